# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes come in bounded parts, and no part goes out after the deadline."""

from __future__ import annotations

import itertools
from typing import List

import pytest
from engine.storage.contract import READ_SIZE_BYTES
from engine.storage.parts import parts_of


def test_parts_are_bounded_and_together_the_data() -> None:
    data = [b"", b"a", b"b" * READ_SIZE_BYTES, b"c" * (2 * READ_SIZE_BYTES + 1)]
    parts = [bytes(part) for part in parts_of(data, None)]
    assert [len(part) for part in parts] == [1, READ_SIZE_BYTES, READ_SIZE_BYTES, READ_SIZE_BYTES, 1]
    assert b"".join(parts) == b"".join(data)


def test_the_deadline_is_asked_before_each_part() -> None:
    taken: List[int] = []

    def deadline() -> None:
        if len(taken) == 2:
            raise TimeoutError

    parts = parts_of([b"x" * (4 * READ_SIZE_BYTES)], deadline)
    taken += [len(next(parts)), len(next(parts))]
    with pytest.raises(TimeoutError):
        next(parts)
    assert taken == [READ_SIZE_BYTES] * 2


def test_data_is_taken_as_it_is_needed() -> None:
    parts = parts_of(itertools.repeat(b"x"), None)
    assert bytes(next(parts)) == b"x"
