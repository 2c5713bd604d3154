# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each reason against an installation has its own code and names the way out; what is in order is no reason."""

from __future__ import annotations

from typing import Any, List

import pytest
from engine.errors import WindowsFileUnfit, WindowsSpaceShort, WriteFilterActive
from engine.host import windows_preflight
from engine.host.windows_preflight import PreflightFacts, WriteFilter
from engine.install.windows.preflight import check_device, facts_from_files, refusals
from support.windows.forwarder import forwarding_library

NEEDED_BYTES = 40 << 20
BASE = r"C:\Program Files\plantops-imaging"
OLD = PreflightFacts((6, 1, 7601), "AMD64", True, True, "C:", 1 << 30, ())
NEW = OLD._replace(version=(10, 0, 19045))


def codes(facts: PreflightFacts, platform: str = "windows-7-amd64") -> List[str]:
    return [error.code for error in refusals(facts, platform, BASE, NEEDED_BYTES)]


def test_devices_that_are_in_order() -> None:
    assert codes(OLD) == codes(NEW) == codes(NEW, "windows-amd64") == []
    assert codes(NEW._replace(machine="ARM64"), "windows-arm64") == []
    assert codes(OLD._replace(machine="x86"), "windows-7-x86") == codes(OLD, "windows-7-x86") == []
    assert codes(NEW._replace(has_search_flags=False)) == [], "Windows 8 and newer have it without an update"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"has_runtime": False}, ["A360"]),
        ({"has_search_flags": False}, ["A361"]),
        ({"filters": (WriteFilter("UWF", True),)}, ["A362"]),
        ({"filters": (WriteFilter("EWF", True), WriteFilter("FBWF", None))}, ["A362", "A362"]),
        ({"filters": (WriteFilter("EWF", False), WriteFilter("UWF", False))}, []),
        ({"free_bytes": NEEDED_BYTES}, ["A363"]),
        ({"machine": "x86"}, ["A365"]),
        ({"version": (6, 0, 6002)}, ["A365"]),
        ({"has_runtime": False, "has_search_flags": False, "free_bytes": 0}, ["A360", "A361", "A363"]),
    ],
)
def test_each_reason(change: Any, found: List[str]) -> None:
    assert codes(OLD._replace(**change)) == found


@pytest.mark.parametrize("version", [(6, 1, 7601), (6, 2, 9200), (6, 3, 9600)])
def test_the_bundle_of_today_needs_windows_10(version: Any) -> None:
    assert codes(OLD._replace(version=version), "windows-amd64")[0] == "A365"


@pytest.mark.parametrize(
    ("kind", "commands"),
    [
        ("UWF", ("uwfmgr filter disable", "uwfmgr filter enable")),
        ("EWF", ("ewfmgr d: -commitanddisable", "ewfmgr d: -enable")),
        ("FBWF", ("fbwfmgr /disable", "fbwfmgr /enable")),
    ],
)
def test_a_write_filter_is_told_with_its_two_commands(
    kind: str, commands: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = OLD._replace(volume="D:", filters=(WriteFilter(kind, True),))
    monkeypatch.setattr(windows_preflight, "gather", lambda base: facts)
    with pytest.raises(WriteFilterActive) as caught:
        check_device("windows-7-amd64", BASE, NEEDED_BYTES)
    assert caught.value.fields == {"filter": kind, "volume": "D:", "disable": commands[0], "enable": commands[1]}
    assert all(command in caught.value.as_dict()["hint"] for command in commands)


def test_space_is_told_in_numbers() -> None:
    (error,) = refusals(OLD._replace(free_bytes=50 << 20), "windows-7-amd64", BASE, NEEDED_BYTES)
    assert isinstance(error, WindowsSpaceShort)
    assert error.fields == {"base": BASE, "free": "52.4 MB", "needed": "109 MB"}


@pytest.mark.parametrize(
    ("exports", "platform", "found"),
    [
        (["CloseHandle"], "windows-7-amd64", ["A361"]),
        (["CloseHandle", "AddDllDirectory"], "windows-7-amd64", []),
        (["CreateFile2"], "windows-7-amd64", []),
        (["CreateFile2", "AddDllDirectory"], "windows-amd64", ["A365"]),
        (["CreateFile2", "AddDllDirectory", "GetSystemCpuSetInformation"], "windows-amd64", []),
        (["CreateFile2", "AddDllDirectory", "GetSystemCpuSetInformation"], "windows-arm64", ["A365"]),
    ],
)
def test_files_of_a_device_tell_its_version_and_updates(exports: List[str], platform: str, found: List[str]) -> None:
    kernel32 = forwarding_library("kernel32.dll", dict.fromkeys(exports, "ntdll.x"))
    facts = facts_from_files(kernel32, has_runtime=True, volume="C:", free_bytes=1 << 30)
    assert codes(facts, platform) == found
    missing = facts_from_files(kernel32, has_runtime=False, volume="C:", free_bytes=1 << 30)
    assert "A360" in codes(missing, platform)


def test_a_library_that_is_not_one_is_told() -> None:
    with pytest.raises(WindowsFileUnfit):
        facts_from_files(b"MZ", has_runtime=True, volume="C:", free_bytes=0)
