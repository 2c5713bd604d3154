# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian system disk without LVM: GPT, BIOS boot, an EFI partition with the fallback loader, ext4 root, swap behind it.

Laid out on a plain file: no mount, no loop device, no first boot. Everything is named by UUID, as Debian's installer does it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import List, Sequence, Tuple

from .guest import Guest
from .guest_build import GuestDisk, cache_folder, mirror, run_logged, settle_tree

MIB = 1 << 20
ROOT_UUID = "6f2b7c52-2b1e-4d0e-9d38-6a54a1d1a001"
SWAP_UUID = "6f2b7c52-2b1e-4d0e-9d38-6a54a1d1a002"
DISK_BYTES = 1500 * MIB
MARKER = "what the plant needs\n"
_PACKAGES = (
    "linux-image-cloud-amd64 systemd-sysv udev kmod openssh-server python3 grub-pc-bin grub-efi-amd64-bin grub2-common "
    "initramfs-tools iproute2 dbus e2fsprogs"
)
_TABLE = """label: gpt
start=1MiB, size=1MiB, type=21686148-6449-6E6F-744E-656564454649
size=48MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
size=1340MiB, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4
size=64MiB, type=0657FD6D-A4AB-43C4-84E5-0933C84B4F4F
"""
_FILES = {
    "etc/fstab": "UUID=%s / ext4 errors=remount-ro 0 1\nUUID=%s none swap sw 0 0\n" % (ROOT_UUID, SWAP_UUID),
    "boot/grub/grub.cfg": (
        "set timeout=0\nserial --unit=0 --speed=115200\nterminal_output serial\nsearch --no-floppy --fs-uuid --set=root "
        + ROOT_UUID
        + "\nmenuentry guest {\n  linux {kernel} root=UUID="
        + ROOT_UUID
        + " ro console=ttyS0 panic=10 systemd.show_status=no\n  initrd {initrd}\n}\n"
    ),
    "root/marker": MARKER,
}
_MODULES = "part_gpt ext2 search search_fs_uuid normal linux serial terminal configfile echo test"
_EARLY = "search.fs_uuid %s root\nset prefix=($root)/boot/grub\n" % ROOT_UUID
_OVMF = Path("/usr/share/OVMF")


def plain_disk(release: str = "bookworm") -> GuestDisk:
    """Return the disk (a raw file, never written to again), made now if the cache has none of this recipe."""
    base = cache_folder()
    recipe = "\0".join([release, _PACKAGES, _TABLE, repr(_FILES), _MODULES, _EARLY, str(DISK_BYTES), "1"])
    folder = base / ("plain-" + hashlib.sha256(recipe.encode()).hexdigest()[:16])
    with open(base / ("lock-plain-" + release), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test processes make it once
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=str(base), prefix=".making-") as making:
                _make(Path(making), release)
                os.rename(os.path.join(making, "done"), str(folder))
    found = GuestDisk(folder)
    found.path = folder / "disk.raw"
    return found


def _make(folder: Path, release: str) -> None:
    done, tree = folder / "done", folder / "tree"
    done.mkdir(mode=0o700)
    disk = done / "disk.raw"
    with open(done / "build.log", "wb") as log:
        packages = "--include=" + ",".join(_PACKAGES.split())
        run_logged(["debootstrap", "--variant=minbase", packages, release, str(tree), mirror()], log)
        (tree / "early.cfg").write_text(_EARLY, encoding="ascii")
        efi = "grub-mkimage -O x86_64-efi -o /bootx64.efi -c /early.cfg -p /boot/grub fat efi_gop all_video " + _MODULES
        bios = "grub-mkimage -O i386-pc -o /core.img -p (,gpt3)/boot/grub biosdisk " + _MODULES
        for command in (efi, bios):
            run_logged(["chroot", str(tree), *command.split()], log)
        for name in ("bootx64.efi", "core.img"):
            shutil.move(str(tree / name), str(folder / name))
        shutil.copy(str(tree / "usr/lib/grub/i386-pc/boot.img"), str(folder))
        (tree / "early.cfg").unlink()
        settle_tree(tree, done, _FILES)
        with open(disk, "wb") as file:
            file.truncate(DISK_BYTES)
        subprocess.run(["sfdisk", "-q", str(disk)], input=_TABLE.encode(), check=True)
        (_core, efi_place, root, swap) = places(disk)
        run_logged(
            ["mke2fs", "-q", "-t", "ext4", "-U", ROOT_UUID, "-L", "root", "-d", str(tree)]
            + ["-E", "offset=%d" % root[0], str(disk), "%dk" % (root[1] >> 10)],
            log,
        )
        _volume(disk, swap, ["mkswap", "-q", "-U", SWAP_UUID], folder, log)
        _volume(disk, efi_place, ["mkfs.vfat", "-F", "32", "-n", "EFI"], folder, log, efi=folder / "bootx64.efi")
        _embed(disk, _core[0] // 512, (folder / "boot.img").read_bytes(), (folder / "core.img").read_bytes())


def places(disk: Path) -> List[Tuple[int, int]]:
    """Start and length of each partition in bytes, as sfdisk reads them."""
    text = subprocess.run(["sfdisk", "--json", str(disk)], check=True, capture_output=True).stdout
    table = json.loads(text)["partitiontable"]["partitions"]
    return [(one["start"] * 512, one["size"] * 512) for one in table]


def _volume(
    disk: Path, place: Tuple[int, int], make: Sequence[str], folder: Path, log: object, *, efi: Path = Path()
) -> None:
    """Make a volume in a file of its own and put it into the partition."""
    volume = folder / "volume"
    with open(volume, "wb") as file:
        file.truncate(place[1])
    run_logged([*make, str(volume)], log)
    if efi.is_file():
        run_logged(["mmd", "-i", str(volume), "::EFI", "::EFI/BOOT"], log)
        run_logged(["mcopy", "-i", str(volume), str(efi), "::EFI/BOOT/BOOTX64.EFI"], log)
    with open(disk, "r+b") as target:
        target.seek(place[0])
        target.write(volume.read_bytes())
    volume.unlink()


def _embed(disk: Path, lba: int, boot: bytes, core: bytes) -> None:
    """Put GRUB into the first sector and the BIOS boot partition, with the block lists that grub-install would write."""
    padded = bytearray(core + bytes(-len(core) % 512))
    with open(disk, "r+b") as file:
        sector = bytearray(file.read(512))
        sector[:3], sector[0x5A:0x1B8] = boot[:3], boot[0x5A:0x1B8]
        struct.pack_into("<Q", sector, 0x5C, lba)
        sector[0x64] = 0xFF  # the drive that the BIOS started from
        sector[0x66:0x68] = b"\x90\x90"  # as grub-bios-setup does for hard disks
        struct.pack_into("<QHH", padded, 0x1F4, lba + 1, len(padded) // 512 - 1, 0x820)
        file.seek(lba * 512)
        file.write(padded)
        file.seek(0)
        file.write(sector)


def uefi(folder: Path) -> List[str]:
    """The options of a machine whose UEFI has no boot entry of anything: it starts the fallback path."""
    variables = folder / "variables.fd"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(str(_OVMF / "OVMF_VARS_4M.fd"), str(variables))
    code = "if=pflash,format=raw,unit=0,readonly=on,file=%s" % (_OVMF / "OVMF_CODE_4M.fd")
    return ["-drive", code, "-drive", "if=pflash,format=raw,unit=1,file=%s" % variables]


def booted(folder: Path, disk: Path, key: Path, firmware: str) -> Guest:
    """A guest with this disk and firmware, not started yet."""
    return Guest(folder, [disk], key, options=uefi(folder) if firmware == "uefi" else [])
