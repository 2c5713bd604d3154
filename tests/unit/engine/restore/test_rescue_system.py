# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which running systems count as rescue systems: by their mounts, their kernel's command line, their medium; never by a union root alone."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Optional

import pytest
from engine.restore.rescue_system import running_system

LIVE = {"debian": "boot=live components", "fedora": "root=live:CDLABEL=F rd.live.image", "arch": "archisobasedir=arch"}


def a_root(
    folder: Path, mounts: Dict[str, str], command_line: str = "quiet", disk: str = "", removable: str = "0"
) -> str:
    """A machine: ``mounts`` are "kind source" by their point, ``disk`` is the folder of its disk sdb in sysfs."""
    process = folder / "proc" / "1"
    process.mkdir(parents=True)
    lines = [
        "%d 1 8:%d / %s rw - %s rw" % (number, number, point, text)
        for number, (point, text) in enumerate(mounts.items())
    ]
    (process / "mountinfo").write_text("\n".join(lines) + "\n", encoding="ascii")
    (process / "environ").write_bytes(b"HOME=/\0TERM=linux\0")
    (folder / "proc" / "cmdline").write_text(command_line + "\n", encoding="ascii")
    if disk:
        real = folder / "sys" / "devices" / disk / "sdb"
        (real / "sdb1").mkdir(parents=True)
        (real / "removable").write_text(removable + "\n", encoding="ascii")
        (real / "sdb1" / "partition").write_text("1\n", encoding="ascii")
        classes = folder / "sys" / "class" / "block"
        classes.mkdir(parents=True)
        (classes / "sdb1").symlink_to(real / "sdb1")
        (classes / "sdb").symlink_to(real)
    return str(folder)


@pytest.mark.parametrize(
    ("mounts", "command_line", "disk", "removable", "is_rescue", "is_doubtful"),
    [
        pytest.param({"/": "ext4 /dev/sda2"}, "quiet", "", "0", False, False, id="installed"),
        pytest.param({"/": "ext4 /dev/sda2", "/cdrom": "iso9660 /dev/sr0"}, "quiet", "", "0", False, False, id="with-a-disc"),
        pytest.param({"/": "rootfs rootfs"}, "quiet", "", "0", True, False, id="initramfs"),
        pytest.param({"/": "tmpfs tmpfs"}, "quiet", "", "0", True, False, id="tmpfs"),
        pytest.param({"/": "overlay overlay"}, "quiet", "", "0", False, True, id="overlay"),
        pytest.param({"/": "overlay overlayroot"}, "overlayroot=tmpfs", "", "0", False, True, id="overlayroot"),
        pytest.param({"/": "overlay overlay"}, LIVE["debian"], "", "0", False, True, id="live-unknown-medium"),
        pytest.param(
            {"/": "overlay overlay", "/run/live/medium": "vfat /dev/sdb1"}, LIVE["debian"], "pci0/usb1/1-2", "0", True, False,
            id="live-usb-disk",
        ),
        pytest.param(
            {"/": "overlay overlay", "/run/live/medium": "vfat /dev/sdb1"}, LIVE["debian"], "pci0/ata1", "1", True, False,
            id="live-removable",
        ),
        pytest.param(
            {"/": "overlay overlay", "/run/live/medium": "ext4 /dev/sdb1"}, LIVE["debian"], "pci0/ata1", "0", False, True,
            id="live-from-a-fixed-disk",
        ),
        pytest.param(
            {"/": "overlay LiveOS_rootfs", "/run/initramfs/live": "iso9660 /dev/sr0"}, LIVE["fedora"], "", "0", True, False,
            id="live-disc",
        ),
        pytest.param(
            {"/": "overlay airootfs", "/run/archiso/bootmnt": "nfs server:/arch"}, LIVE["arch"], "", "0", False, True,
            id="live-from-the-network",
        ),
        pytest.param({"/": "squashfs /dev/sdb1"}, "quiet", "pci0/ata1", "0", False, True, id="appliance"),
        pytest.param({}, "quiet", "", "0", False, True, id="nothing-known"),
    ],
)  # fmt: skip
def test_what_is_known_decides(
    mounts: Dict[str, str],
    command_line: str,
    disk: str,
    removable: str,
    is_rescue: bool,
    is_doubtful: bool,
    tmp_path: Path,
) -> None:
    found = running_system(a_root(tmp_path, mounts, command_line, disk, removable))
    assert (found.is_rescue, found.is_doubtful) == (is_rescue, is_doubtful)
    assert found.reason


@pytest.mark.parametrize("mark", ["run/systemd/container", "run/.containerenv", ".dockerenv", None])
@pytest.mark.parametrize("kind", ["overlay overlay", "tmpfs tmpfs", "rootfs rootfs"])
def test_a_container_is_no_rescue_system(mark: Optional[str], kind: str, tmp_path: Path) -> None:
    root = a_root(tmp_path, {"/": kind, "/run/live/medium": "iso9660 /dev/sr0"}, LIVE["debian"])
    if mark is None:
        (tmp_path / "proc" / "1" / "environ").write_bytes(b"HOME=/\0container=lxc\0")
    else:
        (tmp_path / mark).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / mark).write_text("docker\n", encoding="ascii")
    found = running_system(root)
    assert (found.is_rescue, found.is_doubtful) == (False, True)
