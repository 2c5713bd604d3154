# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run reads a whole disk, and leaves the memory of the machine to the programs that the machine is there for."""

from __future__ import annotations

import ctypes
import mmap
import os
import threading
from pathlib import Path
from typing import Iterator, List

import pytest
from support.filled import run
from support.imaging import image
from support.plain_disks import MIB, make_disk

pytestmark = [pytest.mark.root, pytest.mark.alone]
DISK_MIB = 256


def resident_bytes(path: str) -> int:
    """How much of a device or file the page cache holds (mincore(2))."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        size = os.lseek(descriptor, 0, os.SEEK_END)
        with mmap.mmap(descriptor, size, prot=mmap.PROT_READ | mmap.PROT_WRITE, flags=mmap.MAP_PRIVATE) as mapped:
            pages = (ctypes.c_ubyte * (-(-size // mmap.PAGESIZE)))()
            buffer = (ctypes.c_char * size).from_buffer(mapped)
            answer = ctypes.CDLL(None, use_errno=True).mincore(ctypes.byref(buffer), ctypes.c_size_t(size), pages)
            del buffer
            assert answer == 0, os.strerror(ctypes.get_errno())
            return sum(page & 1 for page in pages) * mmap.PAGESIZE
    finally:
        os.close(descriptor)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[str]:
    make_disk(tmp_path / "disk.raw", DISK_MIB, 240, "cache")
    loop = run("losetup", "-f", "--show", tmp_path / "disk.raw").strip()
    kept = os.open(
        loop, os.O_RDONLY
    )  # as a mounted partition keeps its disk: after the last close nothing would stay anyway
    try:
        yield loop
    finally:
        os.close(kept)
        run("losetup", "-d", loop)


def test_what_was_read_of_a_disk_does_not_stay_in_memory(device: str, tmp_path: Path) -> None:
    """Neither while a run reads nor afterwards."""
    Path(device).read_bytes()
    assert resident_bytes(device) >= DISK_MIB * MIB - MIB, "the oracle sees what a reader leaves in memory"
    seen: List[int] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            seen.append(resident_bytes(device))

    image(tmp_path / "images", Path(device))
    assert resident_bytes(device) <= 4 * MIB
    watch = threading.Thread(target=look)
    watch.start()
    try:
        image(tmp_path / "images", Path(device), limit_read_rate=200)
    finally:
        ended.set()
        watch.join()
    assert resident_bytes(device) <= 4 * MIB
    assert sum(size > MIB for size in seen) > 10, "it was watched while the run read"
    assert max(seen) <= 64 * MIB
