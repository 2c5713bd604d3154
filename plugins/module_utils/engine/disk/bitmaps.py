# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From allocation bitmaps to extents, at the speed of the regular expression engine instead of a loop over bits."""

from __future__ import annotations

import re
from typing import Iterator, List, Tuple

_RUNS = re.compile(rb"\x00+|\xff+|[^\x00\xff]", re.DOTALL)


def _runs_of_byte(value: int) -> List[Tuple[int, int]]:
    runs: List[Tuple[int, int]] = []
    for bit in range(8):
        if value >> bit & 1:
            if runs and sum(runs[-1]) == bit:
                runs[-1] = (runs[-1][0], runs[-1][1] + 1)
            else:
                runs.append((bit, 1))
    return runs


_BYTE_RUNS = [_runs_of_byte(value) for value in range(256)]


def set_runs(bitmap: bytes, bit_count: int, first_unit: int = 0) -> Iterator[Tuple[int, int]]:
    """Yield ``(unit, count)`` for runs of set bits, least significant bit first; neighbours may come apart.

    :param bit_count: how many bits count; padding after them is ignored.
    :param first_unit: the unit (cluster, block) that bit 0 stands for.
    """
    for match in _RUNS.finditer(bitmap):
        start_bit = match.start() * 8
        if start_bit >= bit_count:
            return
        value = bitmap[match.start()]
        if value == 0:
            continue
        if value == 0xFF:
            length = min(match.end() * 8, bit_count) - start_bit
            yield first_unit + start_bit, length
            continue
        for bit, length in _BYTE_RUNS[value]:
            length = min(length, bit_count - start_bit - bit)
            if length > 0:
                yield first_unit + start_bit + bit, length
