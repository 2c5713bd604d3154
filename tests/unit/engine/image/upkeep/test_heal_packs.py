# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A damaged pack is healed for all images by the next run that still finds its content on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.image.access import Passwords
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.format.packs import read_table
from engine.image.upkeep.verify import verify_image
from engine.storage.local.storage import DirectoryStorage
from support.small_runs import DEVICE, SmallDisk, make_small, read_image, run_image

PASSWORD = "a password for this test"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position // 8] ^= 1 << position % 8
    path.write_bytes(data)


def damage(base: Path, storage: DirectoryStorage, kind: int) -> str:
    """Flip a bit inside a blob of ``kind`` in some pack; return the pack's name."""
    for name, size_bytes in sorted(DeviceDirectory(storage, DEVICE).packs().items()):
        for entry in read_table(storage, fmt.pack_path(DEVICE, name), size_bytes):
            if entry.kind == kind:
                flip(base / DEVICE / "packs" / name[:2] / name, (entry.offset + entry.stored_bytes // 2) * 8)
                return name
    raise AssertionError("no pack holds such a blob")


@pytest.mark.parametrize("password", ["", PASSWORD], ids=["clear", "encrypted"])
def test_next_run_heals_a_damaged_pack_for_all_images(password: str, memory_path: Path) -> None:
    """The content is still on the disk: the pack comes back byte for byte, so older images are whole again."""
    base = memory_path / "base"
    storage = DirectoryStorage(str(base))
    disk = SmallDisk()
    first = run_image(storage, disk, Passwords(password=password))
    expected = disk.expected()
    pack = damage(base, storage, fmt.KIND_CHUNK)
    report = verify_image(storage, DEVICE, first.image, "storage")
    assert report.bad_packs == [pack]
    assert not (base / DEVICE / "packs" / pack[:2] / pack).exists()
    disk.write(39)
    second = run_image(storage, disk, Passwords(password=password))
    assert second.healed_packs == [pack]
    assert any(first.image in sentence for sentence in second.warnings)
    for image, data in ((first.image, expected), (second.image, disk.expected())):
        assert verify_image(storage, DEVICE, image, "full", password=password).ok
        assert read_image(storage, image, password) == data


def test_content_that_is_gone_from_the_disk_is_not_healed_but_the_next_image_is_whole(memory_path: Path) -> None:
    base = memory_path / "base"
    storage = DirectoryStorage(str(base))
    disk = SmallDisk()
    first = run_image(storage, disk, Passwords(password=PASSWORD))
    damage(base, storage, fmt.KIND_CHUNK)
    verify_image(storage, DEVICE, first.image, "storage")
    disk.write(*range(40))
    second = run_image(storage, disk, Passwords(password=PASSWORD))
    assert second.healed_packs == []
    assert verify_image(storage, DEVICE, second.image, "full", password=PASSWORD).ok
    assert not verify_image(storage, DEVICE, first.image, "quick").ok


def test_damaged_index_segment_does_not_stop_the_next_run(memory_path: Path) -> None:
    base = memory_path / "base"
    storage = DirectoryStorage(str(base))
    disk = SmallDisk()
    first = run_image(storage, disk, Passwords(password=PASSWORD))
    damage(base, storage, fmt.KIND_SEGMENT)
    verify_image(storage, DEVICE, first.image, "storage")
    disk.write(3)
    second = run_image(storage, disk, Passwords(password=PASSWORD))
    assert verify_image(storage, DEVICE, second.image, "full", password=PASSWORD).ok
    assert read_image(storage, second.image, PASSWORD) == disk.expected()
