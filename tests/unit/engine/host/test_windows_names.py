# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of names of Windows, told apart on every system alike."""

from __future__ import annotations

import pytest
from engine.host.windows_names import NameKind, is_raw, kind_of_name

KINDS = {
    NameKind.DISK: [r"\\.\PhysicalDrive0", r"\\?\PhysicalDrive12", r"\\.\physicaldrive3", "//./PhysicalDrive1"],
    NameKind.VOLUME: [
        r"\\.\C:",
        "\\\\.\\d:\\",
        r"\\?\Volume{12345678-1234-1234-1234-123456789abc}",
        r"\\?\GLOBALROOT\Device\HarddiskVolumeShadowCopy7",
        r"\\.\HarddiskVolume2",
    ],
    NameKind.LETTER: ["C:", "c:\\", "D:/"],
    NameKind.FILE: [
        r"C:\disk.raw",
        "d:/images/disk.raw",
        r"C:\folder with spaces\ä.img",
        r"C:\console\nulls.raw",
        "C:\\..\\x",
    ],
    NameKind.SHARE: [r"\\server\share", r"\\server\share\disk.raw", "//server/share/x"],
    NameKind.OTHER: [
        *("", "disk.raw", "/dev/sda", "/x", "C", "C:disk.raw", "CC:\\x", "\\\\", r"\\server", r"\x", "all"),
        *(r"\\.\PhysicalDrive", r"\\.\PhysicalDrive0x", r"\\.\PhysicalDrive0\x", r"\\.\pipe\x", "C:\\x\0y", "C:\\x\ny"),
        *(
            r"C:\disk.raw:stream",
            r"C:\*",
            r"C:\a?b",
            r"C:\nul",
            r"C:\CON\x",
            r"C:\x\com1.raw",
            r"C:\lpt9 .x",
            "C:\\com\xb9",
        ),
    ],
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in KINDS.items() for name in names])
def test_the_kind_of_a_name(kind: NameKind, name: str) -> None:
    assert kind_of_name(name) is kind
    assert is_raw(name) is (kind in (NameKind.DISK, NameKind.VOLUME))
