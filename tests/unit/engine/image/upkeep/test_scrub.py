# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every run hashes a share of the older packs, so that each is read in turn."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.image.access import Passwords
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.format.packs import read_table
from engine.image.upkeep.verify import verify_image
from engine.storage.local.storage import DirectoryStorage
from support.small_runs import DEVICE, SmallDisk, make_small, run_image

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


def test_every_run_hashes_a_share_of_the_older_packs(memory_path: Path) -> None:
    """Damage that nobody looked for is found by the runs themselves within a few of them, and healed."""
    base = memory_path / "base"
    storage = DirectoryStorage(str(base))
    disk = SmallDisk()
    run_image(storage, disk, Passwords(password=PASSWORD))
    pack = damage(base, storage, fmt.KIND_CHUNK)
    for dummy in range(40):
        result = run_image(storage, disk, Passwords(password=PASSWORD))
        if pack in result.healed_packs:
            break
    else:
        pytest.fail("forty runs did not find the damaged pack")
    for manifest in DeviceDirectory(storage, DEVICE).images():
        assert verify_image(storage, DEVICE, manifest.image, "full", password=PASSWORD).ok
