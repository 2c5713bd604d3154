# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pack of chunks that compress to next to nothing is cut by their number: each is an object until then."""

from __future__ import annotations

import pytest
from engine.image.format import constants as fmt
from engine.image.writing import pack_stream
from support.small_runs import CHUNK, SmallDisk, make_small, read_image, run_image
from support.storages import MemoryStorage


def test_many_tiny_chunks_make_several_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)
    monkeypatch.setattr(fmt, "PACK_TARGETS", ((1 << 62, 64 << 20),))
    disk = SmallDisk(chunks=40)
    disk.data = bytearray(b"".join(bytes([number + 1]) * CHUNK for number in range(40)))
    whole = MemoryStorage()
    run_image(whole, disk)
    monkeypatch.setattr(pack_stream, "_MOST_BLOBS", 8)
    cut = MemoryStorage()
    made = run_image(cut, disk)
    packs = [sum("/packs/" in path for path in storage.files) for storage in (whole, cut)]
    assert packs[1] > packs[0]
    assert read_image(cut, made.image) == disk.expected()
