# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is fetched to look for volumes that moved is bounded by what is found: one that only looks as if it had moved costs little,
one that did costs its index and sends nothing again."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
from engine.disk.source import MemorySource
from engine.image.access import Passwords
from engine.image.reader import ImageReader
from engine.image.writing import look_budget, lookup, writer
from engine.image.writing.look_budget import LookBudget
from engine.image.writing.writer import DiskInput, ImageOrder, write_image
from support.small_runs import CHUNK, DEVICE, SmallDisk, make_small
from support.storages import MemoryStorage

PASSWORD = "a password for this test"
VOLUMES, CHUNKS = 6, 24
FREE_BYTES = 2 << 10


@pytest.fixture(autouse=True)
def budgets(monkeypatch: pytest.MonkeyPatch) -> List[LookBudget]:
    make_small(monkeypatch)
    monkeypatch.setattr(look_budget, "FREE_BYTES", FREE_BYTES)
    monkeypatch.setattr(lookup, "_DESCRIPTION_BYTES", 0)
    made: List[LookBudget] = []

    class Watched(LookBudget):
        def __init__(self, disk: str) -> None:
            super().__init__(disk)
            made.append(self)

    monkeypatch.setattr(writer, "LookBudget", Watched)
    return made


def described(first: int, word: str) -> Dict[str, Any]:
    """Device information of volumes that are all as large as one another."""
    partitions = [
        {"number": number, "start_bytes": (first + number * CHUNKS) * CHUNK, "length_bytes": CHUNKS * CHUNK}
        for number in range(VOLUMES)
    ]
    volumes = [{"number": number, "kind": "ntfs", "uuid": "%s%d" % (word, number)} for number in range(VOLUMES)]
    return {"disks": {"disk0": {"layout": {"partitions": partitions}, "volumes": volumes}}}


def run(storage: MemoryStorage, first: int, seed: int, word: str) -> str:
    disk = SmallDisk(VOLUMES * CHUNKS, seed)
    data = bytes(first * CHUNK) + bytes(disk.data)
    used = SmallDisk(len(data) // CHUNK)
    used.used = set(range(first, first + VOLUMES * CHUNKS))
    job = ImageOrder(
        device=DEVICE,
        timestamp="2026-11-23_20-00-00",
        disks=[DiskInput(MemorySource(data), used.extents(), "serial:%s%d" % (word, first))],
        passwords=Passwords(password=PASSWORD),
        device_information=described(first, word),
        sleep=lambda seconds: None,
        scrub_bytes=0,
    )
    return write_image(storage, job).image


def packs_bytes(storage: MemoryStorage) -> int:
    return sum(len(data) for path, data in storage.files.items() if path.startswith("%s/packs/" % DEVICE))


def test_volumes_that_only_look_as_if_they_had_moved(budgets: List[LookBudget]) -> None:
    storage = MemoryStorage()
    run(storage, 0, 1, "a")
    image = run(storage, 3, 2, "a")
    budget = budgets[-1]
    assert budget.found_bytes == 0
    assert 0 < budget.fetched_bytes <= FREE_BYTES
    log = ImageReader(storage, DEVICE, image, PASSWORD).document("job.log").decode()
    assert "sent again" in log
    assert [note in log for note in budget.notes()] == [True]


@pytest.mark.parametrize("word", ["a", "b"], ids=["named", "by their sizes"])
def test_a_disk_whose_volumes_all_moved(budgets: List[LookBudget], word: str) -> None:
    storage = MemoryStorage()
    run(storage, 0, 1, "a")
    before = packs_bytes(storage)
    run(storage, 3, 1, word)
    budget = budgets[-1]
    assert budget.found_bytes >= (VOLUMES * CHUNKS - 8) * CHUNK
    assert budget.fetched_bytes <= FREE_BYTES + budget.found_bytes // look_budget.YIELD
    assert budget.notes() == []
    assert packs_bytes(storage) - before < before // 20
