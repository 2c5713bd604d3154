# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs and updates: what counts as one, under which name."""

from __future__ import annotations

from typing import Dict

import pytest
from engine.device.document.windows.software import read_software, read_updates
from engine.host.registry import Value
from support.windows.registries import Keys, reader

UNINSTALL = r"Microsoft\Windows\CurrentVersion\Uninstall"
PACKAGES = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages"
PROFILES = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList"
USER = "S-1-5-21-1-2-3-1001"


def program(name: str, root: str = "SOFTWARE", key: str = "p", **values: Value) -> Keys:
    return {r"%s\%s\%s" % (root, UNINSTALL, key): dict({"DisplayName": name, "DisplayVersion": "1"}, **values)}


def system(*keys: Keys) -> Keys:
    environment = r"SYSTEM\CurrentControlSet\Control\Session Manager\Environment"
    found: Keys = {environment: {"PROCESSOR_ARCHITECTURE": "AMD64"}}
    for one in keys:
        found.update(one)
    return found


def test_programs_of_both_views_have_keys_of_their_own() -> None:
    found = read_software(reader(system(program("A"), program("A", r"SOFTWARE\WOW6432Node", Publisher="P"))))
    assert {key: item["architecture"] for key, item in found.items()} == {"A": "amd64", "A (x86)": "x86"}
    assert found["A (x86)"]["publisher"] == "P"


def test_several_programs_of_one_name_are_one_item_with_their_versions() -> None:
    found = read_software(reader(system(program("A", key="1"), program("A", key="2", DisplayVersion="2"))))
    assert found["A"]["version"] == "1, 2"


@pytest.mark.parametrize(
    "values", [{"SystemComponent": 1}, {"ParentKeyName": "x"}, {"ReleaseType": "Security Update"}, {"DisplayName": ""}]
)
def test_what_windows_does_not_show_as_a_program(values: Dict[str, Value]) -> None:
    assert read_software(reader(system(program("A", **values)))) == {}


def test_programs_of_a_user_are_unknown_while_the_hive_is_not_loaded() -> None:
    keys = system({PROFILES + "\\" + USER: {}, PROFILES + r"\S-1-5-18": {}})
    key = "programs of the user " + USER
    assert read_software(reader(keys)) == {
        key: dict.fromkeys(("version", "publisher", "architecture", "source", "held", "programs"))
    }
    keys.update(program("B", r"USERS\%s\Software" % USER))
    assert read_software(reader(keys))[key]["programs"] == ["B 1"]


def test_updates_that_are_installed_and_shown() -> None:
    tail = "~31bf3856ad364e35~amd64~~10.0.1.%d"
    states = {
        "Package_for_KB1" + tail % 1: (112, 1),
        "Package_for_KB2" + tail % 1: (80, 1),  # superseded or removed
        "Package_for_KB3_RTM" + tail % 1: (112, 2),
        "Package_7_for_KB4" + tail % 1: (112, 1),
        "Package_for_RollupFix" + tail % 2: (112, 1),
        "Package_for_RollupFix" + tail % 3: (112, 1),
        "Microsoft-Windows-Foundation-Package" + tail % 1: (112, 1),
        "Package_for_KB5": (112, 1),
    }
    keys: Keys = {
        r"%s\%s" % (PACKAGES, name): {"CurrentState": one[0], "Visibility": one[1]} for name, one in states.items()
    }
    keys.update(program("Update for A (KB9)", ReleaseType="Update"))
    found = read_updates(reader(keys))
    assert {key: item["version"] for key, item in found.items()} == {
        "KB1": ["10.0.1.1"],
        "RollupFix": ["10.0.1.2", "10.0.1.3"],
        "Update for A (KB9)": ["1"],
    }
