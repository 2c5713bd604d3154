# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes values of a registry hive of Windows in place: bytes of the same length inside cells, nothing else.

A hive is a base block of 4096 bytes, then bins of cells. The sum in the base block covers only the base block, so a change inside
a cell leaves the hive valid. Where the two sequence numbers differ, changes are still in the log files, which Windows would write
over ours. Structures: [Maxim Suhanov, "Windows registry file format specification"; libregf].
"""

from __future__ import annotations

import struct
from typing import List, Sequence, Tuple

MOST_CHANGES = 1000  # a hive with more was not made by Windows
_BASE_BYTES = 4096
_HEAD = struct.Struct("<4sII")
_SUM_AT, _BINS_AT = 508, 40
_BIN = struct.Struct("<4sII")
_BIN_HEAD_BYTES = 32

Change = Tuple[int, bytes]  # the offset in the hive, and the bytes there


def why_locked(hive: bytes) -> str:
    """Why the hive must not be changed, "" when nothing speaks against it."""
    if len(hive) < 2 * _BASE_BYTES or hive[:4] != b"regf":
        return "it is not a registry hive"
    dummy_mark, first, second = _HEAD.unpack_from(hive)
    if first != second:
        return "Windows was running and had not written all changes to it; they are in its log files"
    if _sum_of(hive) != struct.unpack_from("<I", hive, _SUM_AT)[0]:
        return "the checksum of its base block is wrong"
    end = _end_of(hive)
    if not _BASE_BYTES < end <= len(hive) or end % _BASE_BYTES or not _has_whole_bins(hive, end):
        return "its bins are incomplete or out of order"
    return ""


def _sum_of(hive: bytes) -> int:
    found = 0
    for word in struct.unpack_from("<127I", hive):
        found ^= word
    return {0: 1, 0xFFFFFFFF: 0xFFFFFFFE}.get(found, found)


def _end_of(hive: bytes) -> int:
    size: int = struct.unpack_from("<I", hive, _BINS_AT)[0]
    return _BASE_BYTES + size


def _has_whole_bins(hive: bytes, end: int) -> bool:
    """Whether each bin says its own place, and its cells fill it: then the pieces of the file are in order."""
    place = _BASE_BYTES
    while place < end:
        mark, offset, size = _BIN.unpack_from(hive, place)
        if mark != b"hbin" or offset != place - _BASE_BYTES or size % _BASE_BYTES or not 0 < size <= end - place:
            return False
        cell, after = place + _BIN_HEAD_BYTES, place + size
        while cell < after:
            length = abs(struct.unpack_from("<i", hive, cell)[0])
            if length < 8 or length % 8 or length > after - cell:
                return False
            cell += length
        place = after
    return place == end


def changes(hive: bytes, pairs: Sequence[Tuple[bytes, bytes]]) -> List[Change]:
    """The changes that replace each first of ``pairs`` by its second, of the same length, in the bins of the hive; one more than
    ``MOST_CHANGES`` where there are more."""
    found: List[Change] = []
    end = _end_of(hive)
    for old, new in pairs:
        if len(old) != len(new):
            raise AssertionError("a value of a hive keeps its length")
        place = hive.find(old, _BASE_BYTES, end)
        while place >= 0 and len(found) <= MOST_CHANGES:
            found.append((place, new))
            place = hive.find(old, place + len(old), end)
    return sorted(found)


def count(hive: bytes, word: bytes) -> int:
    """How often a word is in the bins of the hive."""
    return hive.count(word, _BASE_BYTES, _end_of(hive))
