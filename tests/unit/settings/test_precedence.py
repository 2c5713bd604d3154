# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Global settings, groups, host, job: which of them holds, case by case, and what the operator works with."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
from settings import precedence
from settings.table import SETTINGS

SITE = {"url": "/site", "username": "device", "password": "d", "host_key": "SHA256:x", "port": 4450}
OPERATOR = {"username": "operator", "private_key": "k"}
JOBS: List[Dict[str, Any]] = [
    {"name": "daily", "keep": 3, "drives": ["/dev/sda"]},
    {"name": "monthly", "storage": {"url": "/monthly", "username": "m"}, "exclude": []},
    {"name": "daily", "keep": 99},
]


@pytest.mark.parametrize(
    ("name", "job", "value"),
    [
        ("keep", "", 7),
        ("keep", "daily", 3),
        ("keep", "monthly", 7),
        ("drives", "daily", ["/dev/sda"]),
        ("exclude", "monthly", []),
        ("exclude", "daily", ["*.tmp"]),
        ("storage", "daily", SITE),
        ("storage", "monthly", JOBS[1]["storage"]),
        ("keep", "weekly", 7),
    ],
)
def test_a_job_overrides_what_it_says_and_nothing_else(name: str, job: str, value: Any) -> None:
    site = {"keep": 7, "drives": "all", "exclude": ["*.tmp"], "storage": SITE}
    assert precedence.value_of(name, JOBS, job, site[name]) == value


@pytest.mark.parametrize("name", sorted(one.name for one in SETTINGS if not one.in_jobs))
def test_what_no_job_may_override_is_the_sites(name: str) -> None:
    assert precedence.value_of(name, [{"name": "daily", name: "job's"}], "daily", "site's") == "site's"


@pytest.mark.parametrize(
    ("job", "operator", "expected"),
    [
        ("", {}, SITE),
        ("", None, SITE),
        (
            "",
            OPERATOR,
            {"url": "/site", "host_key": "SHA256:x", "port": 4450, "username": "operator", "private_key": "k"},
        ),
        ("daily", {"url": "/way"}, {"url": "/way", "host_key": "SHA256:x", "port": 4450}),
        ("monthly", OPERATOR, {"url": "/monthly", "username": "m"}),
    ],
)
def test_the_operators_credentials_take_the_place_of_all_of_the_devices(job: str, operator: Any, expected: Any) -> None:
    before = dict(SITE)
    assert precedence.operator_storage(JOBS, job, SITE, operator) == expected
    assert before == SITE


class Sealed(Dict[str, Any]):
    """A dictionary whose secrets must not be looked into by what only chooses."""

    def __getitem__(self, key: str) -> Any:
        assert key not in ("password", "username"), "%s was opened" % key
        return super().__getitem__(key)


def test_nothing_is_looked_into_that_is_not_chosen() -> None:
    site, other = Sealed(SITE), Sealed(name="other", storage=Sealed(SITE))
    assert precedence.value_of("storage", [other, {"name": "daily"}], "daily", site) is site
    assert precedence.value_of("storage", [other], "other", None) is other["storage"]
    assert "password" not in precedence.operator_storage([other], "", site, OPERATOR)


def test_the_later_level_wins_as_a_whole_and_the_job_over_all() -> None:
    levels = [
        {"imaging_storage": SITE, "imaging_keep": 1, "imaging_snapshot": "none", "imaging_jobs": JOBS, "other": 1},
        {"imaging_keep": 2, "imaging_storage": {"url": "/line"}},
        {"imaging_keep": 4, "imaging_storage_operator": OPERATOR},
    ]
    plain = precedence.resolved(levels)
    assert (plain["keep"], plain["snapshot"], plain["verify_level"]) == (4, "none", "full")
    assert plain["storage"] == {"url": "/line"}, "a storage is never mixed from two levels"
    assert plain["storage_operator"] == {"url": "/line", **OPERATOR}
    monthly = precedence.resolved(levels, "monthly")
    assert monthly["storage"] == monthly["storage_operator"] == {"url": "/monthly", "username": "m"}
    assert (monthly["keep"], monthly["exclude"]) == (4, [])
    assert precedence.resolved(levels, "daily")["keep"] == 3
    assert "other" not in plain
    assert "restore_map" not in plain, "it has no value"


def test_flat_spellings_fill_what_the_dictionary_does_not_say() -> None:
    flat = {"imaging_storage_url": "/flat", "imaging_storage_password": "f", "imaging_storage_username": ""}
    levels = [
        {"imaging_storage": {"password": "d"}, "imaging_jobs": JOBS, **flat},
        {"imaging_storage_host_key": "SHA256:y"},
    ]
    plain = precedence.resolved(levels)
    assert plain["storage"] == {"url": "/flat", "password": "d", "host_key": "SHA256:y"}
    assert precedence.resolved(levels, "monthly")["storage"] == JOBS[1]["storage"], "a job's storage is the job's own"
    operator = precedence.resolved([*levels, {"imaging_storage_operator_username": "operator"}])["storage_operator"]
    assert operator == {"url": "/flat", "host_key": "SHA256:y", "username": "operator"}
    assert precedence.resolved([{"imaging_storage_url": "/flat"}])["storage"] == {"url": "/flat"}


def test_a_storage_is_not_looked_into_where_no_flat_spelling_says_anything() -> None:
    site = Sealed(SITE)
    assert precedence.with_flat(site, {"url": "", "password": None}) is site
