# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compressing chunks one by one and many at once gives the same bytes; noise is not tried again and again."""

from __future__ import annotations

import random
import time

import pytest
from engine.image.format import constants as fmt
from engine.image.format.seal import Compressor, Decompressor

CHANCE = random.Random(5)
NOISE = [CHANCE.randbytes(fmt.CHUNK_BYTES) for dummy in range(40)]
TEXT = [b"%d: a line of a log\n" % number * 2000 for number in range(40)]


@pytest.mark.parametrize("level", [1, 3, 9, 12])
def test_many_at_once_are_the_same_bytes_as_one_by_one(level: int) -> None:
    plains = [TEXT[0], NOISE[0], TEXT[1][:777], b"x", NOISE[1], TEXT[2]]
    one_by_one = [Compressor(level).compress(plain) for plain in plains]
    assert Compressor(level).compress_many([memoryview(plain) for plain in plains]) == one_by_one
    assert [codec for codec, dummy in one_by_one] == [fmt.CODEC_ZSTD, 0, fmt.CODEC_ZSTD, 0, 0, fmt.CODEC_ZSTD]
    for plain, (codec, packed) in zip(plains, one_by_one):
        assert Decompressor().decompress(codec, packed, len(plain)) == plain


def test_what_follows_noise_is_still_compressed_at_its_level() -> None:
    compressor, fresh = Compressor(19), Compressor(19)
    for noise in NOISE[:10]:
        assert compressor.compress(noise) == (fmt.CODEC_RAW, noise)
    assert compressor.compress(TEXT[0]) == fresh.compress(TEXT[0])


def test_noise_costs_a_high_level_next_to_nothing() -> None:
    compressor = Compressor(19)
    compressor.compress_many([memoryview(noise) for noise in NOISE[:8]])
    started = time.thread_time()
    compressor.compress_many([memoryview(noise) for noise in NOISE[8:]])
    noticed = time.thread_time() - started
    started = time.thread_time()
    for noise in NOISE[8:]:
        Compressor(19).compress(noise)
    assert noticed * 5 < time.thread_time() - started
