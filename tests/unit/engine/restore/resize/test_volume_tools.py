# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new UUID that a tool refuses: the file system keeps its own as long as it is whole; one that is not whole makes the restore fail."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Dict, Iterator, List

import pytest
from engine.errors import RestoreResizeFailed
from engine.restore.resize import volume_tools as module
from engine.restore.resize.tools import Ran
from engine.restore.resize.volume_tools import Medium, renew_id
from support.small_volumes import volume

MEDIUM = Medium("disk0", "/dev/sdx", "", 0, 0, 4096, 512)


class Machine:
    """The tools of a machine; ``ends`` are their exit statuses, by the name and what they are asked for."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.device = folder / "device"
        self.device.write_bytes(bytes(4096))
        self.ends: Dict[str, int] = {}
        self.ran: List[str] = []
        self.writes = False
        monkeypatch.setattr(module, "run_tool", self.run)
        monkeypatch.setattr(module, "attached", self.attached)

    @contextlib.contextmanager
    def attached(self, *dummy: int) -> Iterator[str]:
        yield str(self.device)

    def run(self, tool: str, *arguments: str, keep_open: object = ()) -> Ran:  # noqa: ARG002
        name = "%s %s" % (tool, next(one for one in arguments if one in ("-p", "-n", "-U", "--new-serial")))
        self.ran.append(name)
        if self.writes:
            self.device.write_bytes(b"half a boot sector".ljust(4096))
        return Ran(self.ends.get(name, 0), "it said. why")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_tools_that_agree_leave_no_reason(machine: Machine) -> None:
    assert renew_id(volume(1, "ext4", {}), MEDIUM) == ""
    assert machine.ran == ["e2fsck -p", "tune2fs -U", "e2fsck -n"]
    assert renew_id(volume(1, "ntfs", {}), MEDIUM) == ""


@pytest.mark.parametrize(
    ("kind", "tool", "ran"),
    [
        ("ext4", "e2fsck -p", ["e2fsck -p"]),
        ("ext4", "tune2fs -U", ["e2fsck -p", "tune2fs -U", "e2fsck -n"]),
        ("ntfs", "ntfslabel --new-serial", ["ntfslabel --new-serial"]),
    ],
)
def test_a_tool_that_refuses_keeps_the_uuid(kind: str, tool: str, ran: List[str], machine: Machine) -> None:
    machine.ends[tool] = 8
    assert tool.split(" ")[0] in renew_id(volume(1, kind, {}), MEDIUM)
    assert machine.ran == ran


def test_a_file_system_that_is_not_whole_afterwards_fails_the_restore(machine: Machine) -> None:
    machine.ends["e2fsck -n"] = 4
    with pytest.raises(RestoreResizeFailed):
        renew_id(volume(1, "ext4", {}), MEDIUM)
    machine.ends["ntfslabel --new-serial"], machine.writes = 1, True
    with pytest.raises(RestoreResizeFailed):
        renew_id(volume(1, "ntfs", {}), MEDIUM)


def test_a_missing_loop_device_keeps_the_uuid_and_lost_writes_fail(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def broken(*dummy: int) -> Iterator[str]:
        if not is_late:
            raise OSError(16, "busy")
        yield str(machine.device)
        raise OSError(5, "lost")

    monkeypatch.setattr(module, "attached", broken)
    is_late = False
    assert "busy" in renew_id(volume(1, "ext4", {}), MEDIUM)
    assert machine.ran == []
    is_late = True
    with pytest.raises(RestoreResizeFailed):
        renew_id(volume(1, "ext4", {}), MEDIUM)
