# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress of a disk: bytes in use up to a place, never back, and each once."""

from __future__ import annotations

from typing import List

import pytest
from engine.disk.extents import ExtentSet
from engine.image.format import constants as fmt
from engine.image.writing import disk_progress
from engine.image.writing.disk_progress import DiskProgress
from support.small_runs import make_small


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)
    monkeypatch.setattr(disk_progress, "_REPORT_CHUNKS", 2)


def test_only_bytes_in_use_count_and_each_once() -> None:
    told: List[int] = []
    segment, chunk = fmt.SEGMENT_BYTES, fmt.CHUNK_BYTES
    done = DiskProgress(ExtentSet([(chunk, chunk), (segment, segment)]), told.append)
    done.begin()
    done.segment(0)
    done.segment(1)
    done.segment(2)
    done.segment(0)  # a repair reads it again
    assert told == [0, chunk, chunk + segment]


def test_a_segment_moves_by_several_chunks() -> None:
    told: List[int] = []
    segment, chunk = fmt.SEGMENT_BYTES, fmt.CHUNK_BYTES
    done = DiskProgress(ExtentSet([(0, 2 * segment)]), told.append)
    for until in range(1, 5):
        done.chunks(0, until)
    assert told == [2 * chunk, 4 * chunk]
    done.chunks(1, 1)
    assert told[-1] == segment, "what lies before is done"
    done.chunks(0, 2)
    done.segment(1)
    assert told[2:] == [segment, 2 * segment]
