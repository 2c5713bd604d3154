# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What starts a system is found on disks that other programs made: mkfs.fat, mcopy, sfdisk."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Sequence

import pytest
from engine.disk.layout import read_layout
from engine.disk.source import FileSource
from engine.restore.boot_look import BootLook, look_at_boot

MIB = 1 << 20
EFI_START = MIB
ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"


def table(path: Path, label: str, *lines: str) -> None:
    path.write_bytes(bytes(64 * MIB))
    script = "\n".join(["label: %s" % label, *lines])
    subprocess.run(["sfdisk", "-q", str(path)], input=script, text=True, check=True)


def efi_volume(path: Path, files: Sequence[str], bits: int = 16) -> None:
    """Put a FAT volume with ``files`` at the start of the EFI partition."""
    volume = path.with_suffix(".fat")
    with open(str(volume), "wb") as file:
        file.truncate(40 * MIB)
    subprocess.run(["mkfs.fat", "-F", str(bits), str(volume)], check=True, stdout=subprocess.DEVNULL)
    made = set()
    for name in files:
        folders = name.split("/")[:-1]
        for depth in range(1, len(folders) + 1):
            folder = "/".join(folders[:depth])
            if folder.upper() not in made:
                subprocess.run(["mmd", "-i", str(volume), "::" + folder], check=True)
                made.add(folder.upper())
        subprocess.run(["mcopy", "-i", str(volume), __file__, "::" + name], check=True)
    with open(str(path), "r+b") as disk:
        disk.seek(EFI_START)
        disk.write(volume.read_bytes())


def look(path: Path) -> BootLook:
    with FileSource(str(path), 512) as source:
        return look_at_boot("disk0", source, read_layout(source))


@pytest.fixture
def efi_disk(tmp_path: Path, need: Any) -> Path:
    need("sfdisk", "mkfs.fat", "mcopy", "mmd")
    path = tmp_path / "disk.raw"
    table(path, "gpt", "start=1MiB, size=40MiB, type=%s" % ESP, "size=10MiB")
    return path


@pytest.mark.parametrize("bits", [16, 32])
@pytest.mark.parametrize(
    ("files", "fallback", "loaders"),
    [
        (
            ["EFI/BOOT/BOOTX64.EFI", "EFI/debian/shimx64.efi", "EFI/debian/grubx64.efi"],
            True,
            ["EFI/debian/shimx64.efi"],
        ),
        (["EFI/debian/grubx64.efi"], False, ["EFI/debian/grubx64.efi"]),
        (["efi/boot/bootx64.efi"], True, []),
        (["EFI/Microsoft/Boot/bootmgfw.efi", "EFI/Boot/bootx64.efi"], True, ["EFI/Microsoft/boot/bootmgfw.efi"]),
        (["EFI/Microsoft/Boot/bootmgfw.efi"], False, ["EFI/Microsoft/boot/bootmgfw.efi"]),
        (["readme.txt"], False, []),
        (["EFI/BOOT/BOOTX64.EFI.old"], False, []),
    ],
)
def test_the_loaders_of_an_efi_partition(
    files: Sequence[str], fallback: bool, loaders: Sequence[str], bits: int, efi_disk: Path
) -> None:
    efi_volume(efi_disk, files, bits)
    found = look(efi_disk)
    assert (found.efi_partition, found.efi_fallback) == (1, fallback)
    assert [one.lower() for one in found.efi_loaders] == [
        one.lower() for one in loaders
    ]  # FAT has short names in capitals
    assert found.starts == "uefi"
    assert found.is_windows == any("Microsoft" in one for one in files)
    assert found.efi_id


def test_an_efi_partition_that_is_no_fat_is_unknown(efi_disk: Path) -> None:
    found = look(efi_disk)
    assert (found.efi_partition, found.efi_fallback, found.efi_loaders) == (1, None, [])


def test_the_starts_of_mbr_and_bios_boot_disks(tmp_path: Path, need: Any) -> None:
    need("sfdisk")
    path = tmp_path / "disk.raw"
    table(path, "dos", "start=1MiB, size=20MiB, type=7, bootable")
    found = look(path)
    assert (found.boot_code, found.active_partition, found.starts) == (False, 1, "bios")
    with open(str(path), "r+b") as disk:
        disk.write(b"\xeb\x63\x90")
    assert look(path).boot_code
    table(path, "gpt", "start=1MiB, size=1MiB, type=%s" % BIOS_BOOT, "size=20MiB")
    assert look(path).starts == ""  # no boot code yet
    with open(str(path), "r+b") as disk:
        disk.write(b"\xeb\x63\x90")
    found = look(path)
    assert (found.bios_boot_partition, found.starts) == (1, "bios")
    table(path, "dos", "start=1MiB, size=20MiB, type=7")
    assert look(path).starts == ""


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\xeb\x58\x90-FVE-FS-", "BitLocker"),
        (
            b"LUKS\xba\xbe\x00\x02" + bytes(4088) + b'{"tokens":{"0":{"type":"systemd-tpm2","keyslots":["1"]}}}',
            "LUKS with TPM",
        ),
        (b"LUKS\xba\xbe\x00\x02" + bytes(4088) + b'{"tokens":{}}', ""),
    ],
)
def test_what_a_tpm_may_hold_the_key_of(content: bytes, kind: str, efi_disk: Path) -> None:
    with open(str(efi_disk), "r+b") as disk:
        disk.seek(41 * MIB)
        disk.write(content)
    assert look(efi_disk).sealed == ([(2, kind)] if kind else [])
