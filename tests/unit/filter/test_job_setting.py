# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters of precedence inside Ansible's templates: the same results as the templates of release 0.1.0, no value opened early."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.plantops.imaging.plugins.filter.job_setting import job_setting
from ansible_collections.plantops.imaging.plugins.filter.operator_storage import operator_storage
from support import templates, versions
from support.playbooks import ROOT

VARIABLES = yaml.safe_load((ROOT / "roles" / "imaging" / "vars" / "main.yml").read_text(encoding="utf-8"))
DEFAULTS = yaml.safe_load((ROOT / "roles" / "imaging" / "defaults" / "main.yml").read_text(encoding="utf-8"))
# What the role said before there was a function for it.
BEFORE = {
    "__imaging_chosen": "{{ imaging_jobs | selectattr('name', 'equalto', imaging_job) | first | default({}) }}",
    "__imaging_storage": "{{ __imaging_chosen.storage | default(imaging_storage) }}",
    "__imaging_operator_settings": "{{ {} if __imaging_chosen.storage is defined else imaging_storage_operator }}",
    "__imaging_credentials": ["username", "password", "private_key_file", "private_key", "private_key_passphrase"],
    "__imaging_operator_storage": """{{ (__imaging_storage | dict2items | rejectattr('key', 'in', __imaging_credentials) | items2dict
      | combine(__imaging_operator_settings)) if __imaging_operator_settings else __imaging_storage }}""",
    "__imaging_drives": "{{ __imaging_chosen.drives | default(imaging_drives) }}",
    "__imaging_keep": "{{ __imaging_chosen.keep | default(imaging_keep) }}",
    "__imaging_limit_read_rate": "{{ __imaging_chosen.limit_read_rate | default(imaging_limit_read_rate) }}",
}
ASKED = sorted(set(BEFORE) & set(VARIABLES))


TEXTS = ("a", "b", "0", "", "true", "{{ a_secret }}", "{{ a_secret }}x")
NAMES = ("daily", "monthly", "", "x")
CASES = 120


def some(chance: random.Random, **fields: Any) -> Dict[str, Any]:
    """Some of ``fields``, or none."""
    return {name: value for name, value in fields.items() if chance.random() < 0.5}


def a_storage(chance: random.Random) -> Dict[str, Any]:
    texts = {name: chance.choice(TEXTS) for name in ("username", "password", "private_key", "host_key")}
    return dict(some(chance, port=chance.randrange(1, 9), **texts), url=chance.choice(TEXTS))


def a_job(chance: random.Random) -> Dict[str, Any]:
    drives = chance.choice(("all", [chance.choice(TEXTS)], []))
    rate = chance.choice(TEXTS)
    return dict(
        some(chance, storage=a_storage(chance), keep=chance.randrange(1, 9), limit_read_rate=rate, drives=drives),
        name=chance.choice(NAMES),
    )


def an_inventory(chance: random.Random) -> Dict[str, Any]:
    operator = {name: chance.choice(TEXTS) for name in ("username", "url", "private_key")}
    return {
        "a_secret": "sesame",
        "imaging_jobs": [a_job(chance) for dummy in range(chance.randrange(4))],
        "imaging_job": chance.choice(NAMES),
        "imaging_storage": a_storage(chance),
        "imaging_storage_operator": chance.choice(({}, some(chance, **operator))),
        "imaging_drives": "system",
        "imaging_keep": 7,
        "imaging_limit_read_rate": "{{ a_secret }}",
    }


def results_agree(python: Path) -> None:
    chance = random.Random(20261129)
    inventories = [an_inventory(chance) for dummy in range(CASES)]
    asked = [(inventory, name) for inventory in inventories for name in ASKED]
    after = templates.evaluate(
        [(dict(DEFAULTS, **dict(VARIABLES, **inventory)), name) for inventory, name in asked], python
    )
    before = templates.evaluate([(dict(BEFORE, **inventory), name) for inventory, name in asked], python)
    assert len(after) == len(before) == CASES * len(ASKED) > CASES
    for case, was, now in zip(asked, before, after):
        assert "value" in now, now
        assert now == was, case


def test_the_results_are_those_of_the_templates_before() -> None:
    results_agree(Path(sys.executable))


@pytest.mark.long
@pytest.mark.parametrize("minor", range(versions.OLDEST_ANSIBLE[1], versions.NEWEST_ANSIBLE[1] + 1))
def test_the_results_are_those_of_the_templates_before_with_every_ansible_core(minor: int) -> None:
    results_agree(versions.of_ansible((2, minor)).programs / "python")


def evaluate(name: str, inventory: Dict[str, Any]) -> Dict[str, Any]:
    (answer,) = templates.evaluate([(dict(DEFAULTS, **dict(VARIABLES, **inventory)), name)])
    return answer


BROKEN = "{{ nowhere_to_be_found }}"
UNUSED: Dict[str, Dict[str, Any]] = {
    "another job": {"imaging_jobs": [{"name": "other", "storage": {"url": BROKEN}}, {"name": "daily", "keep": 3}]},
    "the site's, which the job overrides": {"imaging_jobs": [{"name": "daily", "keep": 3}], "imaging_keep": BROKEN},
    "the site's, which is not asked for": {"imaging_jobs": [{"name": "daily", "keep": 3}], "imaging_drives": BROKEN},
}


def test_what_is_not_used_may_be_broken() -> None:
    cases = [dict({"imaging_job": "daily", "imaging_keep": 7}, **UNUSED[case]) for case in sorted(UNUSED)]
    answers = templates.evaluate([(dict(DEFAULTS, **dict(VARIABLES, **case)), "__imaging_keep") for case in cases])
    assert answers == [{"value": 3}] * len(UNUSED)


def test_what_is_used_and_broken_is_an_error() -> None:
    inventory = {"imaging_job": "daily", "imaging_keep": BROKEN, "imaging_jobs": [{"name": "daily"}]}
    assert "nowhere_to_be_found" in evaluate("__imaging_keep", inventory)["error"]


def test_credentials_of_the_device_are_not_evaluated_for_the_operator() -> None:
    inventory = {
        "imaging_job": "",
        "imaging_jobs": [],
        "imaging_storage": {"url": "/images", "password": BROKEN, "host_key": "{{ key }}"},
        "imaging_storage_operator": {"username": "operator"},
        "key": "SHA256:x",
    }
    expected = {"url": "/images", "host_key": "SHA256:x", "username": "operator"}
    assert evaluate("__imaging_operator_storage", inventory) == {"value": expected}


@pytest.mark.parametrize("jobs", [None, []])
def test_no_jobs_are_no_jobs(jobs: Optional[List[Any]]) -> None:
    assert job_setting(jobs, "keep", "", 7) == 7


def test_only_settings_of_jobs_are_asked_for() -> None:
    with pytest.raises(AnsibleFilterError, match="verify_level"):
        job_setting([], "verify_level", "", "full")


def test_the_operators_settings_are_a_dictionary() -> None:
    with pytest.raises(AnsibleFilterError, match="dictionary"):
        operator_storage([], "", {"url": "/images"}, ["operator"])  # type: ignore[arg-type]
