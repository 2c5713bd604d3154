# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A target is compared with an image by the ids of its chunks: of what is stored only the index is fetched."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.disk.extents import ExtentSet
from engine.errors import RestoreTargetHoldsData
from engine.image.reader import ImageReader
from engine.restore.restore import plan, restore
from engine.restore.same import first_difference
from engine.restore.target import Target
from support.small_runs import CHUNK, DEVICE, SmallDisk, make_small, run_image
from support.storages import CountingStorage, MemoryStorage


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


@pytest.mark.parametrize("changed", [None, 0, 20, 39])
def test_a_target_is_compared_without_its_content_being_fetched(changed: int, tmp_path: Path) -> None:
    storage, disk, target = MemoryStorage(), SmallDisk(40), tmp_path / "target"
    image = run_image(storage, disk).image
    restore(storage, DEVICE, image, {"disk0": str(target)})
    assert target.read_bytes() == disk.expected()
    if changed is not None:
        with target.open("r+b") as file:
            file.seek(changed * CHUNK + 5)
            file.write(b"changed")
    counting = CountingStorage(storage)
    reader = ImageReader(counting, DEVICE, image, None)
    if changed is None:
        (planned,) = plan(reader, {"disk0": str(target)}, False)
        assert planned.is_done
    else:
        with pytest.raises(RestoreTargetHoldsData):
            plan(reader, {"disk0": str(target)}, False)
    assert counting.fetched_bytes < 8 * CHUNK  # the first sectors for the table, one chunk that differs


@pytest.mark.parametrize("cleared", [ExtentSet(), ExtentSet([(7 * CHUNK, CHUNK)])])
def test_a_difference_at_the_start_is_found_before_the_rest_of_the_index_is_read(
    cleared: ExtentSet, tmp_path: Path
) -> None:
    """Over a slow line the index of a large disk takes minutes, and most targets differ in their first chunk."""
    storage, disk, path = MemoryStorage(), SmallDisk(160), tmp_path / "target"
    image = run_image(storage, disk).image
    path.write_bytes(disk.expected())
    reads = []
    for changed in (False, True):
        if changed:
            with path.open("r+b") as file:
                file.write(b"changed")
        counting = CountingStorage(storage)
        reader = ImageReader(counting, DEVICE, image, None).disk(0)
        before = counting.operations["read"]
        target = Target(str(path))
        everything = ExtentSet([(0, reader.size_bytes)])
        with target.reading():
            place = first_difference(reader, target, everything, cleared, lambda done, total: None)
        target.close()
        assert place == (0 if changed else None)
        reads.append(counting.operations["read"] - before)
    segments = 160 // 8
    assert reads[0] >= segments
    assert reads[1] <= 2, reads  # its segment, and the chunk itself
