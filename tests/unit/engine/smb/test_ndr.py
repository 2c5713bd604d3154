# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers and strings of remote calls, and answers that lie about their lengths."""

from __future__ import annotations

import struct

import pytest
from engine.smb.errors import Failure, SmbError
from engine.smb.ndr import NdrReader, NdrWriter
from hypothesis import given
from hypothesis import strategies as st


@given(st.text(st.characters(min_codepoint=1, codec="utf-16-le"), max_size=40), st.integers(0, 2**32 - 1))
def test_what_was_written_is_read_again(text: str, number: int) -> None:
    stub = NdrWriter().string(text).numbers(number).optional_string(None).optional_string(text).numbers(7).bytes()
    reader = NdrReader(stub)
    assert (reader.string(), reader.number(), reader.number()) == (text, number, 0)
    assert reader.number() != 0
    assert (reader.string(), reader.number()) == (text, 7)


@pytest.mark.parametrize(
    "stub",
    [
        b"",
        struct.pack("<III", 4, 0, 4) + b"a\0b\0",
        struct.pack("<III", 4, 0, 5) + bytes(100),
        struct.pack("<III", 4, 1, 3) + bytes(100),
        struct.pack("<III", 0xFFFFFFFF, 0, 0xFFFFFFFF) + bytes(100),
    ],
)
def test_a_string_that_lies_about_its_length_is_refused(stub: bytes) -> None:
    with pytest.raises(SmbError) as caught:
        NdrReader(stub).string()
    assert caught.value.failure is Failure.ANSWER_INVALID


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(stub: bytes) -> None:
    reader = NdrReader(stub)
    try:
        text = reader.string()
        numbers = reader.numbers(2)
    except SmbError:
        return
    assert len(text) <= len(stub)
    assert len(numbers) == 2
