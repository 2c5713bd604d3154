# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Partitions without shadow copies: two passes must agree, and a change after that is an error."""

from __future__ import annotations

from typing import List

import pytest
from engine.disk.layout import Partition, read_layout
from engine.disk.source import BlockSource
from engine.errors import PartitionNotStill
from engine.snapshot.vss import still
from engine.snapshot.vss.still import stand_still

MIB = 1 << 20


class Changing(BlockSource):
    """A disk that a program writes to; ``changes``: before which readings of one block, each a pass."""

    def __init__(self, changes: List[int]) -> None:
        self.path, self.size_bytes, self.sector_bytes = "disk", 4 * MIB, 512
        self.data = bytearray(bytes(range(1, 256)) * 16448 + bytes(64))[: 4 * MIB]
        self._changes = changes
        self._reads = 0

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        is_pass = (offset_bytes, length_bytes) == (2 * MIB, MIB)
        self._reads += is_pass
        if is_pass and self._reads in self._changes:
            self.data[2 * MIB + 5] ^= 255
        return bytes(self.data[offset_bytes : offset_bytes + length_bytes])


def partition_of(source: BlockSource) -> Partition:
    layout = read_layout(source)
    return layout.partitions[0]._replace(start_bytes=MIB, length_bytes=3 * MIB - 512)


def test_one_that_nothing_writes_to_is_read_as_it_is() -> None:
    source = Changing([])
    found = stand_still(source, partition_of(source), "Partition 1", sleep=lambda seconds: None)
    assert found is not None
    assert found.read(100, 2 * MIB) == bytes(source.data[MIB + 100 : 3 * MIB + 100])
    assert found.read(found.size_bytes - 3, 3) == bytes(source.data[4 * MIB - 515 : 4 * MIB - 512])


def test_one_that_changes_once_is_looked_at_again() -> None:
    pauses: List[float] = []
    source = Changing([2])
    assert stand_still(source, partition_of(source), "Partition 1", sleep=pauses.append) is not None
    assert len(pauses) == 1


def test_one_that_never_stands_still() -> None:
    source = Changing(list(range(1, 1000)))
    assert stand_still(source, partition_of(source), "Partition 1", sleep=lambda seconds: None) is None


def test_one_that_holds_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(still, "MOST_BYTES", MIB)
    source = Changing([])
    assert stand_still(source, partition_of(source), "Partition 1", sleep=lambda seconds: None) is None


def test_a_change_during_the_image_is_an_error() -> None:
    source = Changing([])
    found = stand_still(source, partition_of(source), "Partition 1", sleep=lambda seconds: None)
    assert found is not None
    source.data[2 * MIB + 5] ^= 1
    assert found.read(0, MIB) == bytes(source.data[MIB : 2 * MIB])
    with pytest.raises(PartitionNotStill) as caught:
        found.read(MIB, 10)
    assert caught.value.fields["path"] == "Partition 1"


def test_a_change_is_accepted_where_the_settings_say_so_and_told() -> None:
    source = Changing([])
    found = stand_still(source, partition_of(source), "Partition 1", accepts_changes=True, sleep=lambda seconds: None)
    assert found is not None
    assert found.read(MIB, 10) == bytes(source.data[2 * MIB : 2 * MIB + 10])
    assert not found.has_changed
    source.data[2 * MIB + 5] ^= 1
    assert found.read(MIB, 10) == bytes(source.data[2 * MIB : 2 * MIB + 10])
    assert found.has_changed
