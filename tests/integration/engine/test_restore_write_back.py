# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk writes what it was given while the restore decodes the next bytes."""

from __future__ import annotations

from pathlib import Path
from typing import List, Tuple

import pytest
from engine.restore import write
from engine.restore.restore import restore
from engine.restore.target import Target
from engine.storage.local.storage import DirectoryStorage
from support.filled import empty
from support.restoring import partitioned, same_in_use
from support.small_runs import CHUNK, DEVICE, make_small, run_image


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def test_the_disk_works_while_the_next_bytes_are_decoded(memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written is handed to the disk in pieces, each once and none before it was written; the end does not wait for all of it."""
    storage, disk = DirectoryStorage(str(memory_path / "storage")), partitioned()
    image = run_image(storage, disk).image
    target = empty(memory_path / "target", 0)
    monkeypatch.setattr(write, "_WRITE_BYTES", CHUNK)
    monkeypatch.setattr(write, "_SETTLE_BYTES", 4 * CHUNK)
    begun: List[Tuple[int, int]] = []
    reached: List[int] = [0]
    begin_sync, write_pieces = Target.begin_sync, Target.write_pieces

    def writing(one: Target, offset_bytes: int, pieces: List[bytes]) -> None:
        write_pieces(one, offset_bytes, pieces)
        reached[0] = max(reached[0], offset_bytes + sum(map(len, pieces)))

    def beginning(one: Target, start_bytes: int, end_bytes: int) -> None:
        assert end_bytes - start_bytes >= 4 * CHUNK
        assert end_bytes <= reached[0]
        begun.append((start_bytes, end_bytes))
        begin_sync(one, start_bytes, end_bytes)

    monkeypatch.setattr(Target, "write_pieces", writing)
    monkeypatch.setattr(Target, "begin_sync", beginning)
    restore(storage, DEVICE, image, {"disk0": str(target)})
    assert len(begun) > 1
    assert [start for start, dummy in begun] == [0, *(end for dummy, end in begun[:-1])]
    same_in_use(disk, target.read_bytes())
