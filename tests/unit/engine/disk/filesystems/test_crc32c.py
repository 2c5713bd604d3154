# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CRC-32C against the vectors of RFC 3720, appendix B.4; the fast way for much against the plain one."""

from __future__ import annotations

import pytest
from engine.disk.filesystems.crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
        (b"123456789", 0xE3069283),
    ],
)
def test_vectors(data: bytes, value: int) -> None:
    assert crc32c(data) == value


@given(st.binary(min_size=1, max_size=64), st.integers(2000, 6000))
def test_much_at_once_is_the_same_as_piece_by_piece(seed: bytes, length: int) -> None:
    data = (seed * length)[:length]
    value = 0
    for start in range(0, length, 100):
        value = crc32c(data[start : start + 100], value)
    assert crc32c(data) == value
