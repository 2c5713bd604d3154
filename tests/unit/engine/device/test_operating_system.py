# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""imaging_operating_system: what a Windows says of itself counts, and another kind than the declared one is not imaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest
from engine.device import operating_system
from engine.device.operating_system import check_kind, found_kind
from engine.errors import OperatingSystemMismatch, RequestInvalid
from support.imaging import image


class Windows:
    """``number``: of RtlGetVersion; ``word``: of the registry, or an error of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number = 1
        self.word: Any = "WinNT"
        self.error: Optional[OSError] = None
        monkeypatch.setattr(operating_system.sys, "platform", "win32")
        monkeypatch.setattr(operating_system.windows_calls, "product_type", lambda: self.number)
        monkeypatch.setattr(operating_system, "RunningRegistry", lambda: self)

    def values(self, path: str) -> Dict[str, Any]:
        assert path.endswith("ProductOptions")
        if self.error is not None:
            raise self.error
        return {"ProductType": self.word} if self.word is not None else {}


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> Windows:
    return Windows(monkeypatch)


@pytest.mark.parametrize(("number", "kind"), [(1, "workstation"), (2, "server"), (3, "server")])
def test_the_system_call_decides(windows: Windows, number: int, kind: str) -> None:
    windows.number, windows.word = number, "ServerNT" if kind == "workstation" else "WinNT"
    assert found_kind() == kind


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("WinNT", "workstation"),
        ("ServerNT", "server"),
        ("LanmanNT", "server"),
        ("lanmannt", "server"),
        ("other", None),
        (7, None),
        (None, None),
        (PermissionError(13, "denied"), None),
    ],
)
def test_the_registry_answers_where_the_call_does_not(windows: Windows, word: Any, kind: Optional[str]) -> None:
    for number in (0, 9):
        windows.number, windows.word = number, word
        windows.error = word if isinstance(word, OSError) else None
        assert found_kind() == kind


def test_a_mismatch_is_refused_and_a_match_is_not(windows: Windows) -> None:
    assert check_kind("workstation") == check_kind("") == "workstation"
    with pytest.raises(OperatingSystemMismatch) as caught:
        check_kind("server")
    assert caught.value.fields == {"declared": "server", "found": "workstation"}
    windows.number = 3
    assert check_kind("server") == "server"
    with pytest.raises(OperatingSystemMismatch):
        check_kind("workstation")


def test_a_windows_that_does_not_tell_is_as_declared(windows: Windows) -> None:
    windows.number, windows.word = 0, None
    assert (check_kind("server"), check_kind("")) == ("server", None)


def test_linux_is_as_declared() -> None:
    assert found_kind() is None
    assert (check_kind("server"), check_kind("workstation"), check_kind("")) == ("server", "workstation", None)


@pytest.mark.parametrize("check", [False, True])
def test_a_run_ends_before_a_disk_is_opened_or_the_storage_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: bool
) -> None:
    opened: List[str] = []
    monkeypatch.setattr(operating_system, "found_kind", lambda: "workstation")
    monkeypatch.setattr("engine.verbs.opened_disks.open_source", opened.append)
    with pytest.raises(OperatingSystemMismatch):
        image(tmp_path / "storage", tmp_path / "disk.raw", operating_system="server", check=check)
    assert opened == []
    assert list((tmp_path / "storage").iterdir()) == []


def test_the_result_tells_the_kind(tmp_path: Path) -> None:
    (tmp_path / "disk.raw").write_bytes(bytes(1 << 20))
    for declared in ("server", ""):
        made = image(tmp_path / "storage", tmp_path / "disk.raw", operating_system=declared, check=True)
        assert made["operating_system"] == (declared or None)
    with pytest.raises(RequestInvalid):
        image(tmp_path / "storage", tmp_path / "disk.raw", operating_system="Windows 10")
