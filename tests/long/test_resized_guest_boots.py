# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian system on ext4 comes onto a larger and a smaller disk by the program alone, and boots there with BIOS and with UEFI."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Sequence

import pytest
from support.bare_root import inside
from support.debian import debian_root
from support.filled import MIB, empty
from support.guest import Guest
from support.imaging import image
from support.plain_guest import MARKER, booted, places, plain_disk
from support.recovery import copy, program
from support.whole_disks import copy_range

pytestmark = [pytest.mark.long, pytest.mark.root]
_ROOT = 2  # its place in the table, counted from 0


class Case(NamedTuple):
    more_mib: int
    options: Sequence[str]
    release: str  # of the guest; the program runs in Debian 12, whose least system has resize2fs
    firmware: str
    actions: List[str]  # of the four partitions


CASES: Dict[str, Case] = {
    "same": Case(0, (), "bookworm", "uefi", ["kept"] * 4),
    "larger": Case(640, ("--grow", "system"), "bookworm", "bios", ["kept", "kept", "grown", "moved"]),
    "larger-uefi": Case(640, ("--grow", "system"), "bookworm", "uefi", ["kept", "kept", "grown", "moved"]),
    "smaller": Case(-320, ("--shrink",), "bookworm", "bios", ["kept", "kept", "shrunk", "moved"]),
    "smaller-13": Case(-320, ("--shrink",), "trixie", "bios", ["kept", "kept", "shrunk", "moved"]),
    "smaller-uefi": Case(-320, ("--shrink",), "bookworm", "uefi", ["kept", "kept", "shrunk", "moved"]),
}


@pytest.fixture(scope="module")
def stick_of(tmp_path_factory: pytest.TempPathFactory, need: Callable[..., None]) -> Callable[[str], Path]:
    """The copy of an image of a release's disk, made when it is first asked for."""
    need("qemu-system-x86_64", "debootstrap", "mke2fs", "mkfs.vfat", "mcopy", "sfdisk", "sgdisk", "e2fsck", "resize2fs")
    need("ssh", "unshare", "mkswap")
    made: Dict[str, Path] = {}

    def stick(release: str) -> Path:
        if release not in made:
            folder = tmp_path_factory.mktemp(release)
            image(folder / "storage", plain_disk(release).path, device="guest")
            copy(folder / "storage", folder / "stick", device="guest", program=str(program()))
            made[release] = folder / "stick"
        return made[release]

    return stick


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_system_on_a_disk_of_another_size_boots(name: str, stick_of: Callable[[str], Path], tmp_path: Path) -> None:
    case = CASES[name]
    base, stick = plain_disk(case.release), stick_of(case.release)
    target = tmp_path / "target"
    target.mkdir()
    disk = empty(target / "disk.raw", base.path.stat().st_size + case.more_mib * MIB)
    words = ("restore", "/mnt/stick", "guest", "--to", "disk0=/mnt/target/disk.raw", "--yes", "--json", *case.options)
    done = inside(debian_root("bookworm"), stick, target, *words, devices=True)
    assert done.status == 0, done.errors + done.output
    check_disk(done.document, case, disk, tmp_path)
    with booted(tmp_path / "after", disk, base.key, case.firmware) as guest:
        check_system(guest, disk)
    check_file_system(disk, tmp_path, "-p")  # the guest lost its power


def check_disk(told: Dict[str, Any], case: Case, disk: Path, folder: Path) -> None:
    """The plan that was carried out, the table by sgdisk, the file system by e2fsck."""
    assert [one["action"] for one in told["restore_plan"]["disks"][0]["partitions"]] == case.actions
    checked = subprocess.run(["sgdisk", "-v", str(disk)], check=True, capture_output=True, text=True).stdout
    assert "No problems found" in checked
    assert disk.stat().st_size == plain_disk(case.release).path.stat().st_size + case.more_mib * MIB
    before, after = places(plain_disk(case.release).path)[_ROOT][1], places(disk)[_ROOT][1]
    assert (after > before, after < before) == (case.more_mib > 0, case.more_mib < 0)
    check_file_system(disk, folder, "-n")


def check_file_system(disk: Path, folder: Path, option: str) -> None:
    start, length = places(disk)[_ROOT]
    volume = empty(folder / "root", 0)
    copy_range(disk, start, volume, 0, length)
    done = subprocess.run(["e2fsck", "-f", option, str(volume)], check=False, capture_output=True, text=True)
    assert done.returncode == 0 or (option == "-p" and done.returncode == 1), done.stdout
    volume.unlink()


def check_system(guest: Guest, disk: Path) -> None:
    """Root and swap are found by their UUIDs, root fills its partition, and the marker is there."""
    assert guest.ready().run("cat /root/marker") == MARKER
    size = int(guest.run("findmnt -bno SIZE /"))
    partition = places(disk)[_ROOT][1]
    assert 0.9 * partition < size <= partition
    assert len(guest.run("cat /proc/swaps").splitlines()) == 2
    assert guest.run("systemctl is-system-running --wait", check=False).strip() in ("running", "degraded")
