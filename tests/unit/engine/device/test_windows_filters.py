# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The write filters in the description of a Windows: one warning for each volume, and none for what protects nothing."""

from __future__ import annotations

from typing import Any, Dict, List

from engine.device.windows_filters import with_filters
from engine.errors import WriteFilterProtects, WriteFilterSilent
from engine.host.windows_write_filters import WriteFilter


def described(*points: List[str]) -> Dict[str, Any]:
    return {"version": 1, "volumes": [{"mount_points": one} for one in points]}


def ask(volume: str) -> List[WriteFilter]:
    return {"C:": [WriteFilter("UWF", True), WriteFilter("EWF", None)], "D:": [WriteFilter("UWF", False)]}[volume]


def test_each_filter_that_protects_or_does_not_tell_is_told_once() -> None:
    found = with_filters(described(["C:\\"], ["D:\\"], ["C:\\"], [], ["C:\\mounted\\"]), ask)
    assert found["write_filters"] == [
        {"filter": "UWF", "volume": "C:", "protects": True},
        {"filter": "EWF", "volume": "C:", "protects": None},
    ]
    codes = [WriteFilterProtects.code, WriteFilterSilent.code]
    assert [code in one for code, one in zip(codes, found["warnings"])] == [True, True]
    assert found["version"] == 1


def test_a_windows_without_filters_has_empty_lists() -> None:
    found = with_filters(described(["C:\\"]), lambda volume: [])
    assert (found["write_filters"], found["warnings"]) == ([], [])
    assert with_filters({}, ask)["write_filters"] == []
