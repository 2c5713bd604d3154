# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names that an imaged disk has from its maker: by them the next image finds the previous one."""

from __future__ import annotations

import pytest
from engine.device import disk_hardware
from engine.device.disk_hardware import hardware_of
from support.windows import disk_bytes
from support.windows.pc import NAA, Pc


def test_an_image_file_has_none() -> None:
    assert hardware_of("/images/disk.raw") == ("", "")
    assert hardware_of("/dev/there-is-no-such-disk") == ("", "")


def test_disks_of_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    pc = Pc(monkeypatch)
    monkeypatch.setattr(disk_hardware.sys, "platform", "win32")
    assert hardware_of(r"\\.\PhysicalDrive0") == ("wwn:" + NAA.hex(), "SAMSUNG MZVLB256")
    assert hardware_of(r"\\.\PhysicalDrive1") == ("serial:Z4Y1ABCD", "ST1000")
    pc.described[1] = {0: disk_bytes.descriptor(disk_bytes.SATA, "ST1000", "0000")}
    assert hardware_of(r"\\.\PhysicalDrive1") == ("", "ST1000")
    for name in (r"\\.\C:", r"C:\disk.raw", r"\\?\Volume{%s}" % ("0" * 36)):
        assert hardware_of(name) == ("", "")
    assert pc.open_handles == {}
