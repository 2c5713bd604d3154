# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The volumes of the race: full of this system's files, and the same with one percent rewritten in scattered pieces."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Dict, List

from measure import MIB

MAKE: Dict[str, List[str]] = {"ntfs": ["mkntfs", "-F", "-Q", "-q"], "ext4": ["mke2fs", "-q", "-F", "-t", "ext4"]}
MOUNT: Dict[str, List[str]] = {"ntfs": ["ntfs-3g"], "ext4": ["mount", "-o", "loop"]}
_SOURCES = ("/usr", "/opt", os.path.expanduser("~/.pyenv"))
_PIECE_BYTES = 65536


def fill(volume: Path, mount: Path, file_system: str, wanted_bytes: int) -> None:
    """A volume of twice ``wanted_bytes`` with copies of this system's files."""
    with open(volume, "wb") as file:
        file.truncate(2 * wanted_bytes)
    subprocess.run([*MAKE[file_system], str(volume)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    mount.mkdir(exist_ok=True)
    subprocess.run([*MOUNT[file_system], str(volume), str(mount)], check=True)
    try:
        left = wanted_bytes
        for source in _SOURCES:
            for folder, dummy_folders, names in os.walk(source):
                for name in names:
                    path = Path(folder) / name
                    if left <= 0:
                        return
                    if path.is_symlink() or not path.is_file():
                        continue
                    target = mount / str(path).lstrip("/").replace(":", "_")
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, target)
                    left -= path.stat().st_size
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def change(volume: Path, mount: Path, file_system: str, share: float) -> int:
    """Rewrite a share of the bytes of the larger files in place, in scattered pieces of 64 KiB; return how many bytes."""
    chance = random.Random(1)
    written = 0
    subprocess.run([*MOUNT[file_system], str(volume), str(mount)], check=True)
    try:
        for path in sorted(mount.rglob("*")):
            if path.is_symlink() or not path.is_file() or path.stat().st_size < MIB:
                continue
            size = path.stat().st_size
            with open(path, "r+b") as file:
                for dummy in range(max(1, int(size * share / _PIECE_BYTES)) if chance.random() < 0.9 else 0):
                    file.seek(chance.randrange(0, size - _PIECE_BYTES))
                    written += file.write(chance.randbytes(_PIECE_BYTES))
    finally:
        subprocess.run(["umount", str(mount)], check=True)
    return written
