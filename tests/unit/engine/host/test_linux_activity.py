# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others do on a disk, from recorded counters and from the real ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from engine.host import linux_activity as activity
from engine.host.linux_activity import DiskActivity

OWN, OTHER, THREAD = 10, 20, 30
SECTOR = 512


class Machine:
    """A /sys and a /proc with one disk and three processes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now = 100.0
        (root / "sys/class/block/sda/queue").mkdir(parents=True)
        (root / "sys/class/block/sda/queue/rotational").write_text("1\n")
        self.disk(0, 0)
        for pid, flags in ((OWN, 0x400000), (OTHER, 0x400000), (THREAD, 0x208040)):
            (root / "proc" / str(pid)).mkdir(parents=True)
            (root / "proc" / str(pid) / "stat").write_text("%d (a (b) c) S 1 1 1 0 -1 %d 0 0\n" % (pid, flags))
            self.io(pid, 0, 0)

    def disk(self, read: int, written: int) -> None:
        line = "1 0 %d 5 1 0 %d 5 0 9 9" % (read // SECTOR, written // SECTOR)
        (self.root / "sys/class/block/sda/stat").write_text(line + "\n")

    def io(self, pid: int, read: int, written: int) -> None:
        text = "rchar: 9\nwchar: 9\nread_bytes: %d\nwrite_bytes: %d\ncancelled_write_bytes: 0\n" % (read, written)
        (self.root / "proc" / str(pid) / "io").write_text(text)

    def watch(self) -> DiskActivity:
        return DiskActivity(["sda"], root=str(self.root) + "/", clock=lambda: self.now, own_pid=OWN)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_our_own_reads_are_not_others(machine: Machine) -> None:
    watch = machine.watch()
    machine.now += 2
    machine.disk(1 << 20, 0)
    machine.io(OWN, 1 << 20, 0)
    assert watch.others() == (2.0, 0)
    assert watch.is_rotational


def test_writes_of_another_process_are(machine: Machine) -> None:
    watch = machine.watch()
    machine.disk(1 << 20, 8192)
    machine.io(OWN, 1 << 20, 0)
    machine.io(OTHER, 0, 12288)
    assert watch.others().others_bytes == 8192, "the lower of two estimates: part of it went to another disk"
    assert watch.others().others_bytes == 0, "only what is new"


def test_a_disk_that_others_leave_alone_counts_whatever_they_do_elsewhere(machine: Machine) -> None:
    watch = machine.watch()
    machine.io(OTHER, 5 << 20, 5 << 20)
    assert watch.others().others_bytes == 0


def test_our_own_writes_to_the_disk_are_not_others(machine: Machine) -> None:
    """The storage lies on the imaged disk: the kernel writes for us, later and by its own threads."""
    watch = machine.watch()
    machine.io(OWN, 0, 1 << 20)
    machine.disk(0, 4 << 20)
    machine.io(THREAD, 0, 3 << 20)
    machine.io(OTHER, 0, 4096)
    assert watch.others().others_bytes == 4096


def test_an_ordinary_user_sees_the_disk_only(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity.os, "geteuid", lambda: 1000)
    (machine.root / "proc" / str(OTHER) / "io").unlink()
    watch = machine.watch()
    machine.disk(0, 8192)
    assert watch.others().others_bytes == 8192
    machine.disk(0, 4 << 20)
    machine.io(OWN, 0, 1 << 20)
    assert watch.others().others_bytes == (3 << 20) - 8192


def test_counters_that_are_no_counters(machine: Machine) -> None:
    watch = machine.watch()
    (machine.root / "sys/class/block/sda/stat").write_bytes(b"\xff\x00 x y -5 9" * 400)
    (machine.root / "proc" / str(OTHER) / "io").write_bytes(b"read_bytes: many\nwrite_bytes: -7\n\xff")
    assert watch.others().others_bytes == 0


def test_a_file_on_no_disk_has_nobody_to_wait_for(machine: Machine) -> None:
    watch = DiskActivity([], root=str(machine.root) + "/", clock=lambda: machine.now, own_pid=OWN)
    machine.io(OTHER, 5 << 20, 5 << 20)
    machine.io(OWN, 0, 5 << 20)
    assert watch.others().others_bytes == 0


def test_a_real_process_that_writes_is_seen() -> None:
    folder = Path("/var/tmp")
    watch = DiskActivity.of(str(folder))
    assert watch is not None
    if not watch.disks:  # a container on an overlay
        assert watch.others().others_bytes == 0
        return
    target = folder / ("plantops-activity-%d" % os.getpid())
    work = (
        "import os, sys; f = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY); os.write(f, bytes(8 << 20)); os.fsync(f);"
        "print('written', flush=True); sys.stdin.read()"
    )
    watch.others()
    writer = subprocess.Popen([sys.executable, "-c", work, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        # One look: the disk's and the process's counters of the same time, of which the lower counts.
        assert watch.others().others_bytes >= 4 << 20
    finally:
        writer.communicate(b"", timeout=20)
        target.unlink()
