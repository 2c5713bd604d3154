# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Windows answers for files that are open, and how long it is asked again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Dict, List, Tuple

import pytest
from ansible_collections.plantops.imaging.plugins.module_utils.engine.entries import EntryKind
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import DeviceFileFailed, DeviceFolderUnsafe
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb import link as smb
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb.errors import Refused
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb.security import administrators_only
from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share import share as _share
from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share.errors import Peer
from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share.place import place_of
from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share.share import DeviceShare

SHARING_VIOLATION, ACCESS_DENIED, CANNOT_DELETE, NOT_EMPTY = 0xC0000043, 0xC0000022, 0xC0000121, 0xC0000101
ABSENT, DISK_FULL = 0xC0000034, 0xC000007F
BASE = "Program Files\\plantops-imaging"
OURS = administrators_only()
OWNER_IS_A_USER = OURS.replace(b"\x20\x02\0\0", b"\x21\x02\0\0", 1)  # S-1-5-32-545


class Link:
    """Refuses calls as the script says: the call, how often, with which status."""

    def __init__(self, **refusals: Tuple[int, int]) -> None:
        self.refusals = {name: [status] * times for name, (times, status) in refusals.items()}
        self.calls: List[str] = []
        self.folders = {"": OURS, "Program Files": OURS, BASE: OURS}  # with their descriptors

    def _called(self, name: str) -> None:
        self.calls.append(name)
        left = self.refusals.get(name)
        if left:
            raise Refused(left.pop())

    def open(self, path: str, access: int, *dummy_rest: int) -> Any:
        self._called("write" if access == smb.WRITE else "open")
        if access == smb.READ_SECURITY and path not in self.folders:
            raise Refused(ABSENT)
        return smb.Handle(path, EntryKind.DIRECTORY, 0)

    def security(self, handle: Any) -> bytes:
        return self.folders[handle.open]

    def create_folder(self, path: str, descriptor: bytes) -> Any:
        self._called("create")
        if path in self.folders:
            raise Refused(0xC0000035)  # NAME_COLLISION
        self.folders[path] = descriptor
        return smb.Handle(path, EntryKind.DIRECTORY, 0)

    def close(self, dummy_handle: Any) -> None:
        return

    close_quietly = close

    def rename(self, *dummy: Any) -> None:
        self._called("rename")

    def delete_on_close(self, dummy_handle: Any) -> None:
        self._called("delete")


def share_on(link: Link, monkeypatch: pytest.MonkeyPatch) -> DeviceShare:
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr(_share, "time", SimpleNamespace(monotonic=lambda: clock[0], sleep=sleep))
    made = DeviceShare.__new__(DeviceShare)
    made.peer, made.place = Peer("pc", "10.0.0.1", "u", "C$"), place_of("C$", "C:\\")
    vars(made)["link"] = link
    return made


@pytest.mark.parametrize("status", [SHARING_VIOLATION, ACCESS_DENIED, CANNOT_DELETE, NOT_EMPTY])
@pytest.mark.parametrize("call", ["rename", "delete"])
def test_what_is_open_for_a_moment_is_tried_again(call: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    link = Link(**{call: (3, status)})
    share = share_on(link, monkeypatch)
    if call == "rename":
        share.rename("a", "b")
    else:
        assert share.delete("a")
    assert link.calls.count(call) == 4
    other = Link(**{call: (1000, DISK_FULL)})
    with pytest.raises(DeviceFileFailed):
        share_on(other, monkeypatch).rename("a", "b") if call == "rename" else share_on(other, monkeypatch).delete("a")
    assert other.calls.count(call) == 1


def test_a_folder_in_use_is_not_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    assert share_on(Link(), monkeypatch).move_aside("a", "b")
    assert not share_on(Link(rename=(1000, ACCESS_DENIED)), monkeypatch).move_aside("a", "b")
    with pytest.raises(DeviceFileFailed):
        share_on(Link(rename=(1, DISK_FULL)), monkeypatch).move_aside("a", "b")


@pytest.mark.parametrize(
    ("refusals", "is_running"),
    [
        ({}, False),
        ({"write": (1, SHARING_VIOLATION)}, False),
        ({"write": (1000, SHARING_VIOLATION)}, True),
        ({"write": (1, ABSENT)}, False),
        ({"write": (1000, ACCESS_DENIED)}, False),
    ],
)
def test_a_program_that_can_not_be_written_to_is_running(
    refusals: Dict[str, Tuple[int, int]], is_running: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert share_on(Link(**refusals), monkeypatch).is_running("python.exe") is is_running


@pytest.mark.parametrize("folder", ["", "Program Files", BASE])
def test_a_folder_above_that_another_user_could_rename_is_refused(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    link = Link()
    share = share_on(link, monkeypatch)
    assert share.check_base()
    share.make_base()
    link.folders[folder] = OWNER_IS_A_USER
    for ask in (share.check_base, share.make_base):
        with pytest.raises(DeviceFolderUnsafe) as refused:
            ask()
        assert refused.value.fields["path"] == "C:\\" + folder


def test_a_drive_without_a_folder_for_programs_gets_no_base(monkeypatch: pytest.MonkeyPatch) -> None:
    link = Link()
    share = share_on(link, monkeypatch)
    link.folders = {"": OURS}
    assert not share.check_base()
    with pytest.raises(DeviceFileFailed) as refused:
        share.make_base()
    assert "C:\\Program Files" in str(refused.value.fields["reason"])
    assert "create" not in link.calls
    link.folders["Program Files"] = OURS
    share.make_base()
    assert share.check_base()


def test_the_folder_of_windows_is_connected_to_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation looks into it five times."""
    link = Link()
    beside: List[str] = []

    def opened(name: str) -> Link:
        beside.append(name)
        return link

    link.beside = opened  # type: ignore[attr-defined]
    monkeypatch.setattr(_share, "pull", lambda *dummy: iter([b"MZ"]))
    share = share_on(link, monkeypatch)
    assert [share.system_file(name, 2) for name in ("System32\\a.dll", "System32\\b.dll")] == [b"MZ", b"MZ"]
    assert beside == ["ADMIN$"]
