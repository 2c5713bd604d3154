# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes of 16 TiB that cost their maker nothing: what they claim must cost us neither memory nor endless reading."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict, List, Tuple

import pytest
from engine.disk.extents import ExtentSet, covered_twice
from engine.disk.filesystems import contract, ext
from engine.disk.filesystems.contract import VolumeState
from engine.disk.filesystems.registry import detect
from engine.disk.source import BlockSource
from engine.errors import FileSystemInvalid
from hypothesis import given
from hypothesis import strategies as st
from support.paths import MODULE_UTILS, TESTS

TIB = 1 << 40
_MOST_AT_ONCE_BYTES = 16 << 20


class Claimed(BlockSource):
    """Zeros but for some pieces, and for what ``make`` answers to whoever reads there."""

    path = "claimed"
    sector_bytes = 512

    def __init__(self, pieces: Dict[int, bytes], make: Callable[[int], bytes] = lambda place: b"") -> None:
        self.size_bytes = 16 * TIB
        self._pieces = pieces
        self._make = make
        self.bytes_read = 0

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        self.check_range(offset_bytes, length_bytes)
        assert length_bytes <= _MOST_AT_ONCE_BYTES, "memory for %d bytes at once" % length_bytes
        self.bytes_read += length_bytes
        data = bytearray(length_bytes)
        for start, piece in self._pieces.items():
            for place in range(max(start, offset_bytes), min(start + len(piece), offset_bytes + length_bytes)):
                data[place - offset_bytes] = piece[place - start]
        made = self._make(offset_bytes)
        return (made * (length_bytes // len(made) + 1))[:length_bytes] if made else bytes(data)


def ext_superblock(blocks_per_group: int, groups: int) -> bytes:
    blocks = blocks_per_group * groups
    data = bytearray(1024)
    struct.pack_into("<11I", data, 0, 64, blocks & 0xFFFFFFFF, 0, 0, 0, 0, 2, 2, *[blocks_per_group] * 2, 64)
    struct.pack_into("<HH", data, 56, 0xEF53, 1)
    struct.pack_into("<I", data, 76, 1)
    struct.pack_into("<IH", data, 84, 11, 128)
    struct.pack_into("<III", data, 92, 0, 0x40 | 0x80, 1)
    struct.pack_into("<H", data, 254, 64)
    struct.pack_into("<I", data, 336, blocks >> 32)
    return bytes(data)


def many_ext_groups(groups: int = 1 << 14) -> Claimed:
    """Groups of which each says that one bitmap of alternating bits is its own."""
    per_group = 2048
    descriptor = bytearray(64)
    struct.pack_into("<IIIH", descriptor, 0, 1 << 20, 1 << 20, 1 << 20, per_group // 2)
    first, last = 4096, 4096 + groups * 64
    bitmap = (1 << 20) * 4096

    def make(place: int) -> bytes:
        if place == bitmap:
            return b"\x55"
        return bytes(descriptor) if first <= place < last else b""

    return Claimed({1024: ext_superblock(per_group, groups)}, make)


def huge_fat() -> Claimed:
    boot = bytearray(512)
    boot[0], boot[82:90] = 0xEB, b"FAT32   "
    struct.pack_into("<HBHBHH", boot, 11, 4096, 1, 32, 1, 0, 0)
    struct.pack_into("<II", boot, 32, 0xFFFFFFFF, 0xFFFFFFFF // 1024 + 9)
    boot[510:] = b"\x55\xaa"
    return Claimed({0: bytes(boot)})


def huge_ntfs() -> Claimed:
    boot = bytearray(512)
    boot[3:11] = b"NTFS    "
    struct.pack_into("<HB", boot, 11, 512, 1)
    struct.pack_into("<QQQ", boot, 40, 16 * TIB // 512 - 1, 4, 8)
    boot[64], boot[68], boot[510:] = 0xF6, 0xF6, b"\x55\xaa"
    return Claimed({0: bytes(boot)})


def huge_xfs() -> Claimed:
    data = bytearray(512)
    blocks, per_group = 16 * TIB // 4096, 1024
    struct.pack_into(">4sIQ", data, 0, b"XFSB", 4096, blocks)
    struct.pack_into(">QQ", data, 48, 4, 128)
    struct.pack_into(">4I", data, 84, per_group, blocks // per_group, 0, 1000)
    struct.pack_into(">4H", data, 100, 0xB4A4, 512, 256, 16)
    data[120:125] = bytes([12, 9, 8, 4, 10])
    return Claimed({0: bytes(data)})


HUGE = {
    "ext": (many_ext_groups, "too many pieces"),
    "fat": (huge_fat, "do not match"),
    "ntfs": (huge_ntfs, "master file table"),
    "xfs": (huge_xfs, "log of the XFS volume"),
}


def why_not(source: Claimed) -> str:
    """Why the volume is imaged whole."""
    try:
        found = detect(source)
        assert found is not None
        answer = found.used(VolumeState.OFFLINE)
    except FileSystemInvalid as error:
        return str(error)
    assert not answer.trusted
    assert list(answer.extents) == [(0, source.size_bytes)]
    return answer.reason


@pytest.mark.parametrize("name", sorted(HUGE))
def test_16_tib_of_claims_are_imaged_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of pieces is made smaller, so that it is reached soon; its real size is in the long test."""
    monkeypatch.setattr(ext, "MAX_EXTENTS", 1 << 16)
    make, words = HUGE[name]
    source = make()
    assert words in why_not(source)
    assert source.bytes_read < 64 << 20


_LONG = """
import importlib, resource, signal, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 30,) * 2)
signal.alarm(900)  # a hang is what this is for, not speed
sys.path[:0] = sys.argv[1:3]
tests = importlib.import_module(sys.argv[3])
answer = tests.detect(tests.many_ext_groups((1 << 21) - 1)).used(tests.VolumeState.OFFLINE)
assert "too many pieces" in answer.reason, answer.reason
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.long
def test_two_million_groups_and_eight_million_pieces_stay_below_a_gigabyte() -> None:
    this = ".".join(Path(__file__).resolve().relative_to(TESTS).with_suffix("").parts)
    words = [sys.executable, "-c", _LONG, str(MODULE_UTILS), str(TESTS), this]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) < 900 << 10


def test_no_volume_makes_a_tree_read_for_ever() -> None:
    assert contract.reading_budget(16 * TIB) <= 8 << 30
    assert contract.reading_budget(1 << 20) > 4 << 20


def ranges(pairs: List[Tuple[int, int]]) -> List[Tuple[int, int]]:
    return [(start, start + length) for start, length in pairs]


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=30))
def test_what_two_files_claim(pairs: List[Tuple[int, int]]) -> None:
    found = covered_twice([start for start, end in ranges(pairs)], [end for start, end in ranges(pairs)])
    claims = [sum(start <= byte < end for start, end in ranges(pairs)) for byte in range(90)]
    expected = ExtentSet((byte, 1) for byte, count in enumerate(claims) if count > 1)
    assert list(found) == list(expected)
