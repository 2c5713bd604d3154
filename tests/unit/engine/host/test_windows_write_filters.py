# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write filters: seen in the registry, asked for their state; a text in another language is no answer, and none is guessed."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest
from engine.host import windows_calls, windows_write_filters
from engine.host.windows_write_filters import WriteFilter, filters_of, kinds_seen, uwf_state
from support.windows.registries import MadeRegistry

FILTER = """Unified Write Filter Configuration Utility version 10.0.19041.1

Current Session Settings

FILTER SETTINGS
    Filter state:     %s
    Pending commit:   N/A

Next Session Settings

FILTER SETTINGS
    Filter state:     %s
"""
VOLUME = """Current Session Settings for Volume C:
    Volume state:    %s
    Volume ID:       7a1e0f6c-0000-0000-0000-100000000000

Next Session Settings for Volume C:
    Volume state:    %s
"""


@pytest.mark.parametrize(
    ("state", "volume", "protects"),
    [
        (("ON", "OFF"), ("Protected", "Un-protected"), True),
        (("ON", "ON"), ("Un-protected", "Protected"), False),
        (("OFF", "ON"), ("Protected", "Protected"), False),
        (("ON", "ON"), None, True),
    ],
)
def test_the_current_session_counts(state: object, volume: object, protects: bool) -> None:
    assert uwf_state(FILTER % state, VOLUME % volume if volume else "") is protects


@pytest.mark.parametrize("text", ["", "Filterstatus:  EIN", "Next Session Settings\nFilter state: ON"])
def test_what_is_not_understood_is_no_answer(text: str) -> None:
    assert uwf_state(text, "") is None


SERVICES = "SYSTEM\\CurrentControlSet\\Services\\"


@pytest.mark.parametrize(
    ("keys", "kinds"),
    [
        ({}, []),
        ({"uwfvol": {"Start": 0}}, ["UWF"]),
        ({"UwfVol": {"start": 0}}, ["UWF"]),
        ({"uwfrtl": {"Start": 1}}, ["UWF"]),
        ({"ewf": {"Start": 0}, "fbwf": {"Start": 0}}, ["EWF", "FBWF"]),
        ({"ewf": {"Start": 4}}, []),
        ({"ewf": {}}, []),
        ({"ewf": {"Start": "0"}}, []),
    ],
)
def test_a_filter_is_seen_by_its_driver(keys: Dict[str, Any], kinds: List[str], tmp_path: Path) -> None:
    registry = MadeRegistry({SERVICES + name: values for name, values in keys.items()})
    assert kinds_seen(registry, str(tmp_path)) == kinds


def test_a_filter_is_seen_by_its_tool_where_the_registry_is_closed(tmp_path: Path) -> None:
    registry = MadeRegistry({SERVICES + "ewf": {"Start": 0}}, closed=[SERVICES])
    assert kinds_seen(registry, str(tmp_path)) == []
    (tmp_path / "uwfmgr.exe").write_bytes(b"")
    assert kinds_seen(registry, str(tmp_path)) == ["UWF"]


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(windows_calls, "system_folder", lambda: str(tmp_path))
    return tmp_path


def test_each_filter_is_asked_for_the_volume(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: List[str] = []
    answers = {"UWF": True, "EWF": False, "FBWF": None}

    def answered(kind: str, answer: Optional[bool], volume: str) -> Optional[bool]:
        asked.append(kind + volume)
        return answer

    for kind, answer in answers.items():
        monkeypatch.setitem(windows_write_filters._ASK, kind, partial(answered, kind, answer))
    keys = {SERVICES + name: {"Start": 0} for name in ("uwfvol", "ewf", "fbwf")}
    assert filters_of("D:", MadeRegistry(keys)) == tuple(WriteFilter(*one) for one in answers.items())
    assert asked == ["UWFD:", "EWFD:", "FBWFD:"]
    assert filters_of("D:", MadeRegistry({})) == ()
    assert list(system.iterdir()) == []


@pytest.mark.parametrize("error", [OSError("no such library"), AttributeError("no such function")])
def test_a_driver_without_its_library_gives_no_answer(
    error: Exception, system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(dummy: str) -> Any:
        raise error

    monkeypatch.setattr(windows_calls, "system_library", fail)
    keys = {SERVICES + name: {"Start": 0} for name in ("uwfvol", "ewf", "fbwf")}
    found = filters_of("C:", MadeRegistry(keys))
    assert [one.protects for one in found] == [None, None, None], system
