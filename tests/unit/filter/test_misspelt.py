# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of variables that look like the role's: found, and nothing else is."""

from __future__ import annotations

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.plantops.imaging.plugins.filter.misspelt import misspelt
from support.playbooks import ROOT

ROLE = ROOT / "roles" / "imaging"
SETTINGS = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))["__imaging_settings"]


def test_the_role_knows_every_option_of_its_argument_specs_and_every_result() -> None:
    entries = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    options = {name for entry in entries.values() for name in entry["options"]}
    texts = [path.read_text(encoding="utf-8") for path in (ROLE / "tasks").glob("*.yml")]
    results = {task["register"] for text in texts for task in yaml.safe_load(text) if "register" in task}
    assert set(SETTINGS) == options | results


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("imaging_pasword", "imaging_password"),
        ("imaging_passwords", "imaging_password"),
        ("imaging_exclued", "imaging_exclude"),
        ("imaging_drive", "imaging_drives"),
        ("imaging_limit_iorate", "imaging_limit_io_rate"),
        ("imaging_snaphot", "imaging_snapshot"),
    ],
)
def test_what_looks_misspelt_is_named_with_what_may_be_meant(name: str, meant: str) -> None:
    assert misspelt([name], SETTINGS) == ["%s is no setting; %s may be meant." % (name, meant)]


def test_other_names_of_the_site_are_left_alone() -> None:
    assert misspelt([*SETTINGS, "imaging_demo_directory", "imaging_contact", "imaging_site"], SETTINGS) == []


def test_names_come_as_lists() -> None:
    with pytest.raises(AnsibleFilterError):
        misspelt("imaging_password", SETTINGS)
