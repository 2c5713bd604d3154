# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy onto a real FAT32 volume, through a FUSE driver: it checks clean, and a full one continues on a larger one."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Iterator

import pytest
from engine.errors import CopyTargetFull, EngineError, StorageFull, StoragePermissionDenied
from support.imaging import image
from support.plain_disks import make_disk
from support.recovery import checksums, copy
from support.refusing import check_sentence

pytestmark = pytest.mark.root
MIB = 1 << 20


@pytest.fixture(autouse=True)
def tools(need: Any) -> None:
    need("fusefat", "fusermount", "mkfs.fat", "fsck.fat", "mcopy")


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    make_disk(tmp_path / "disk.raw", 16, 8, 1)
    image(tmp_path / "storage", tmp_path / "disk.raw")
    return tmp_path / "storage"


def make_stick(path: Path, size_mib: int, filled_mib: int = 0) -> Path:
    with open(str(path), "wb") as file:
        file.truncate(size_mib * MIB)
    subprocess.run(["mkfs.fat", "-F", "32", str(path)], check=True, stdout=subprocess.DEVNULL)
    if filled_mib:
        filler = path.with_suffix(".fill")
        filler.write_bytes(bytes(filled_mib * MIB))
        subprocess.run(["mcopy", "-i", str(path), str(filler), "::fill"], check=True)
    return path


@contextlib.contextmanager
def plugged_in(stick: Path, tmp_path: Path) -> Iterator[Path]:
    point = tmp_path / "media"
    point.mkdir(exist_ok=True)
    driver = subprocess.Popen(["fusefat", "-f", "-o", "rw+", str(stick), str(point)], stdout=subprocess.DEVNULL)
    while not os.path.ismount(str(point)):
        assert driver.poll() is None
        time.sleep(0.05)
    try:
        yield point
    finally:
        subprocess.run(["fusermount", "-u", str(point)], check=True)
        driver.wait(timeout=60)  # it writes the count of free clusters when it ends


def is_clean(stick: Path) -> bool:
    return subprocess.run(["fsck.fat", "-n", str(stick)], stdout=subprocess.DEVNULL, check=False).returncode == 0


def test_a_copy_on_fat32_is_whole(storage: Path, tmp_path: Path) -> None:
    stick = make_stick(tmp_path / "stick", 80)
    with plugged_in(stick, tmp_path) as point:
        done = copy(storage, point / "copy")
        assert done["bytes_copied"] > 7 * MIB
    assert is_clean(stick)
    with plugged_in(stick, tmp_path) as point:
        assert checksums(point / "copy") == []
        assert checksums(point / "copy" / "pc" / done["image"]) == []
        again = copy(storage, point / "copy")
        assert (again["bytes_copied"], again["changed"]) == (0, False)
    assert is_clean(stick)


def test_a_full_stick_ends_with_one_sentence_and_a_larger_one_continues(storage: Path, tmp_path: Path) -> None:
    """This driver reports a full volume as a missing permission, and its size as unknown; the kernel's reports both."""
    full, larger = make_stick(tmp_path / "full", 80, 74), make_stick(tmp_path / "larger", 160)
    with plugged_in(full, tmp_path) as point:
        with pytest.raises(EngineError) as caught:
            copy(storage, point / "copy")
        assert isinstance(caught.value, (StorageFull, CopyTargetFull, StoragePermissionDenied))
        check_sentence(caught.value)
        assert not list((point / "copy").glob("pc/*/image.json"))
        shutil.copytree(str(point / "copy"), str(tmp_path / "half"))
    assert is_clean(full)
    with plugged_in(larger, tmp_path) as point:
        subprocess.run(["cp", "-r", str(tmp_path / "half"), str(point / "copy")], check=True)
        done = copy(storage, point / "copy")
        assert done["bytes_kept"] > 0
        assert done["bytes_copied"] > 0
        assert checksums(point / "copy") == []
        assert checksums(point / "copy" / "pc" / done["image"]) == []
    assert is_clean(larger)
