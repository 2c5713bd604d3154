# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""EFI partitions in tests: FAT volumes that mkfs.fat and mtools make and judge, and files that look like boot loaders."""

from __future__ import annotations

import random
import struct
import subprocess
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from engine.disk.filesystems.fat import Fat
from engine.disk.source import MemorySource

MIB = 1 << 20
X64, AA64, IA32 = 0x8664, 0xAA64, 0x14C
# The smallest volumes of each kind that have some thousand clusters or fewer.
KINDS: Dict[int, Tuple[int, Sequence[str]]] = {
    12: (2 * MIB, ("-F", "12", "-s", "1")),
    16: (8 * MIB, ("-F", "16", "-s", "1")),
    32: (34 * MIB, ("-F", "32", "-s", "1")),
}


def loader(size_bytes: int = 3000, machine: int = X64, seed: int = 1) -> bytes:
    """A file with the header of a PE program, and bytes of chance behind it."""
    head = bytearray(b"MZ" + bytes(62))
    struct.pack_into("<I", head, 0x3C, 64)
    head += b"PE\0\0" + struct.pack("<H", machine)
    return bytes(head) + random.Random(seed).randbytes(size_bytes - len(head))


def debian(machine: int = X64, suffix: str = "x64") -> Dict[str, bytes]:
    """The files of a Debian that was not told to use the removable path."""
    return {
        "EFI/debian/shim%s.efi" % suffix: loader(9000, machine, 1),
        "EFI/debian/grub%s.efi" % suffix: loader(25_001, machine, 2),
        "EFI/debian/mm%s.efi" % suffix: loader(8192, machine, 3),
        "EFI/debian/grub.cfg": b"configfile ...\n",
    }


def make(path: Path, files: Dict[str, bytes], bits: int = 16, size_bytes: int = 0, options: Sequence[str] = ()) -> Path:
    """A volume with these files, in their order."""
    size, kind = KINDS[bits]
    with open(path, "wb") as file:
        file.truncate(size_bytes or size)
    _run("mkfs.fat", *(options or kind), str(path))
    put(path, files)
    return path


def put(path: Path, files: Dict[str, bytes]) -> None:
    """Add files to a volume, with the folders above them."""
    for name, content in files.items():
        folders = name.split("/")[:-1]
        for depth in range(1, len(folders) + 1):
            subprocess.run(
                ["mmd", "-D", "s", "-i", str(path), "::" + "/".join(folders[:depth])], check=False, capture_output=True
            )
        source = path.with_suffix(".put")
        source.write_bytes(content)
        _run("mcopy", "-o", "-i", str(path), str(source), "::" + name)


def get(path: Path, name: str) -> Optional[bytes]:
    """The content of a file as mtools reads it, None where there is none."""
    done = subprocess.run(["mtype", "-i", str(path), "::" + name], check=False, capture_output=True)
    return done.stdout if done.returncode == 0 else None


def names(path: Path, folder: str) -> List[str]:
    """The names in a folder as mtools lists them."""
    done = _run("mdir", "-b", "-a", "-i", str(path), "::" + folder)
    return [line.rstrip("/").split("/")[-1] for line in done.splitlines()]


def judge(path: Path) -> None:
    """fsck.fat finds nothing to repair."""
    done = subprocess.run(["fsck.fat", "-n", "-v", str(path)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    wrong = [line for line in done.stdout.splitlines() if "wrong" in line or "Orphan" in line or "differ" in line]
    assert not wrong, done.stdout


def fill(path: Path, leave: int) -> None:
    """Have one file take all free clusters but ``leave`` of them."""
    volume = volume_of(path)
    free = _free_bytes(path) // volume.cluster_bytes
    put(path, {"FULL.BIN": bytes((free - leave) * volume.cluster_bytes)})


def fragment(path: Path, seed: int = 1) -> None:
    """Fill the volume with small files and delete every second of them."""
    volume = volume_of(path)
    count = min(400, _free_bytes(path) // volume.cluster_bytes - 20)
    folder = path.with_suffix(".small")
    folder.mkdir()
    for number in range(count):
        (folder / ("f%d.x" % number)).write_bytes(b"x")
    _run("mmd", "-i", str(path), "::small")
    _run("mcopy", "-i", str(path), *[str(one) for one in sorted(folder.iterdir())], "::small/")
    gone = [one.name for one in sorted(folder.iterdir())][::2]
    random.Random(seed).shuffle(gone)
    _run("mdel", "-i", str(path), *["::small/" + name for name in gone])


def _free_bytes(path: Path) -> int:
    line = next(one for one in _run("mdir", "-i", str(path), "::").splitlines() if "bytes free" in one)
    return int("".join(one for one in line if one.isdigit()))


def volume_of(path: Path) -> Fat:
    volume = Fat.probe(MemorySource(path.read_bytes()))
    assert isinstance(volume, Fat)
    return volume


def apply(path: Path, patches: Sequence[Tuple[int, bytes]]) -> None:
    """Write patches into a volume."""
    with open(path, "r+b") as file:
        for place, data in patches:
            file.seek(place)
            file.write(data)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
