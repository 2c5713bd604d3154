# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of variables that look like the role's: found, and nothing else is."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.plantops.imaging.plugins.filter.misspelt import misspelt
from ansible_collections.plantops.imaging.plugins.module_utils.settings.later import LATER
from support.paths import ROOT

ROLE = ROOT / "roles" / "imaging"
SETTINGS = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))["__imaging_settings"]


def test_a_setting_of_a_later_version_is_not_taken_for_a_misspelt_one() -> None:
    assert misspelt(["imaging_max_age"], SETTINGS) == ["This version has no setting imaging_max_age yet."]
    assert {"imaging_" + name for name in LATER}.isdisjoint(SETTINGS)


def test_the_role_knows_every_option_of_its_argument_specs_and_every_result() -> None:
    entries = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    options = {name for entry in entries.values() for name in entry["options"]}
    texts = [path.read_text(encoding="utf-8") for path in (ROLE / "tasks").glob("*.yml")]
    results = {name for text in texts for name in registered(yaml.safe_load(text)) if name.startswith("imaging_")}
    assert set(SETTINGS) == options | results | {"imaging_run_result"}


def registered(tasks: List[Dict[str, Any]]) -> Iterator[str]:
    """The names of results, those of tasks in blocks as well."""
    for task in tasks:
        yield from [task["register"]] if "register" in task else []
        for part in ("block", "rescue", "always"):
            yield from registered(task.get(part, []))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("imaging_pasword", "imaging_password"),
        ("imaging_passwords", "imaging_password"),
        ("imaging_exclued", "imaging_exclude"),
        ("imaging_drive", "imaging_drives"),
        ("imaging_limit_iorate", "imaging_limit_io_rate"),
        ("imaging_snaphot", "imaging_snapshot"),
        ("imaging_encryption_password", "imaging_password"),
        ("imaging_passphrase", "imaging_password"),
        ("imaging_old_password", "imaging_password"),
        ("imaging_io_rate", "imaging_limit_io_rate"),
        ("imaging_Password", "imaging_password"),
        ("imaging__keep", "imaging_keep"),
        ("IMAGING_PASSWORD", "imaging_password"),
        ("imagin_password", "imaging_password"),
        ("imagng_keep", "imaging_keep"),
        ("imagingpassword", "imaging_password"),
    ],
)
def test_an_unknown_name_is_told_with_the_setting_that_is_nearest(name: str, meant: str) -> None:
    assert misspelt([name], SETTINGS) == ["Unknown setting %s. Did you mean %s?" % (name, meant)]


def test_every_unknown_name_of_the_prefix_is_told_unless_the_site_lists_it() -> None:
    names = ["imaging_contact", "imaging_x", "imaging_"]
    assert len(misspelt([*SETTINGS, *names], SETTINGS)) == len(names)
    assert misspelt([*SETTINGS, *names], SETTINGS, names) == []


def test_names_that_are_not_the_roles_are_left_alone() -> None:
    names = [
        "image_password",
        "my_imaging_password",
        "__imaging_chosen",
        "inventory_hostname",
        "imagination",
        "imaging",
    ]
    assert misspelt(names, SETTINGS) == []


@pytest.mark.parametrize(
    "arguments", [("imaging_keep", SETTINGS), (["a"], "imaging_keep"), (["a"], SETTINGS, "a")], ids=str
)
def test_names_come_as_lists(arguments: Any) -> None:
    with pytest.raises(AnsibleFilterError):
        misspelt(*arguments)
