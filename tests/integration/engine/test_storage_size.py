# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How large a storage becomes over many runs with changes between them, next to what the kept images need."""

from __future__ import annotations

import contextlib
import random
import time
from typing import Optional

import pytest
from engine.image.access import Passwords
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.format.packs import read_table
from engine.image.reader import ImageReader
from engine.image.upkeep.rollover import roll_over
from engine.image.upkeep.verify import verify_image
from engine.storage.contract import Storage
from support.small_runs import CHUNK, DEVICE, SmallDisk, read_image, run_image
from support.storage_factories import SharedServers
from support.storages import MemoryStorage

DAY = 24 * 3600
PASSWORDS = Passwords(password="word")


def live_bytes(storage: Storage, images: list, password: Optional[str] = None) -> int:
    wanted = set()
    for image in images:
        disk = ImageReader(storage, DEVICE, image, password).disk(0)
        for number, reference in enumerate(disk.root.segments):
            if reference.place is not None:
                wanted.add((reference.place.pack, reference.place.offset))
                wanted.update((place.pack, place.offset) for dummy, dummy_id, place in disk.segment(number).stored())
    total = 0
    for name, size_bytes in DeviceDirectory(storage, DEVICE).packs().items():
        for entry in read_table(storage, fmt.pack_path(DEVICE, name), size_bytes):
            if (name, entry.offset) in wanted:
                total += entry.stored_bytes
    return total


@pytest.mark.parametrize(("keep", "changed_share"), [(1, 0.05), (3, 0.02), (7, 0.05), (7, 0.2)])
def test_storage_stays_below_1_3_times_what_the_kept_images_need(
    keep: int, changed_share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fmt, "SEGMENT_CHUNKS", 64)
    monkeypatch.setattr(fmt, "SEGMENT_BYTES", 64 * CHUNK)
    monkeypatch.setattr(fmt, "PACK_TARGETS", ((1 << 62, 16 * CHUNK),))
    chance = random.Random(keep)
    storage, disk = MemoryStorage(), SmallDisk(600)
    now = time.time()
    ratios, contents = [], {}
    for run in range(28):
        result = run_image(storage, disk)
        contents[result.image] = disk.expected()
        now += DAY
        roll_over(storage, DEVICE, keep, openable_key="", now=lambda moment=now: moment)
        images = [manifest.image for manifest in DeviceDirectory(storage, DEVICE).images()]
        assert len(images) == min(keep, run + 1)
        ratios.append(sum(DeviceDirectory(storage, DEVICE).packs().values()) / live_bytes(storage, images))
        disk.write(*(chance.randrange(600) for dummy in range(int(600 * changed_share))))
    assert max(ratios) < 1.3, [round(ratio, 2) for ratio in ratios]
    for image in images:
        assert verify_image(storage, DEVICE, image, "full").ok
        assert read_image(storage, image) == contents[image]
    now += 3 * DAY
    run_image(storage, disk)
    roll_over(storage, DEVICE, keep, openable_key="", now=lambda: now)
    assert DeviceDirectory(storage, DEVICE).trash() == [] or all(
        entry.since_seconds >= now - DAY for entry in DeviceDirectory(storage, DEVICE).trash()
    )


@pytest.mark.parametrize(
    "name",
    [
        "directory",
        "sftp",
        *(pytest.param(name, marks=pytest.mark.long) for name in ("sftp_proftpd_plain", "smb_encrypted")),
    ],
)
def test_keep_3_over_ten_runs_leaves_three_images_that_restore(
    name: str, shared_servers: SharedServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fmt, "SEGMENT_CHUNKS", 64)
    monkeypatch.setattr(fmt, "SEGMENT_BYTES", 64 * CHUNK)
    monkeypatch.setattr(fmt, "PACK_TARGETS", ((1 << 62, 8 * CHUNK),))
    chance, now, contents = random.Random(10), time.time(), {}
    with shared_servers.storage(name) as (dummy_root, opener):
        with contextlib.closing(opener()) as storage:
            disk = SmallDisk(300)
            for run in range(1, 11):
                result = run_image(storage, disk, PASSWORDS)
                contents[result.image] = disk.expected()
                now += DAY
                report = roll_over(storage, DEVICE, 3, openable_key=result.key_id, now=lambda moment=now: moment)
                assert len(report.deleted) == (1 if run > 3 else 0)
                disk.write(*(chance.randrange(300) for dummy in range(15)))
            images = [manifest.image for manifest in DeviceDirectory(storage, DEVICE).images()]
            assert images == sorted(contents)[-3:]
            assert sorted(entry.name for entry in storage.list(DEVICE) if entry.name.startswith("20")) == images
            for image in images:
                assert verify_image(storage, DEVICE, image, "full", password="word").ok
                assert read_image(storage, image, "word") == contents[image]
            stored = sum(DeviceDirectory(storage, DEVICE).packs().values())
            assert stored < 1.3 * live_bytes(storage, images, "word")
            trashed = sum(entry.size_bytes for entry in DeviceDirectory(storage, DEVICE).trash())
            assert trashed < stored / 2, "of what left in the last two days only"
