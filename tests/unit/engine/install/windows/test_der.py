# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of DER: what is cut off is refused, and no bytes make anything but a value or a refusal."""

from __future__ import annotations

import contextlib

import pytest
from engine.install.windows import der
from engine.install.windows.der import DerInvalid
from hypothesis import given
from hypothesis import strategies as st


def test_a_sequence_of_values_with_short_and_long_lengths() -> None:
    inner = b"\x04\x82\x01\x00" + bytes(256) + b"\x02\x01\x05"
    value = der.read_value(b"\x30\x82\x01\x07" + inner + b"rest")
    octets, number = value.expect(der.SEQUENCE).parts()
    assert (octets.content, number.content, number.raw) == (bytes(256), b"\x05", b"\x02\x01\x05")
    with pytest.raises(DerInvalid):
        number.expect(der.OCTETS)


def test_object_identifiers() -> None:
    assert der.oid(bytes.fromhex("2b060104018237020104")) == "1.3.6.1.4.1.311.2.1.4"
    assert der.oid(bytes.fromhex("608648016503040201")) == "2.16.840.1.101.3.4.2.1"
    assert der.oid(b"") == ""


@pytest.mark.parametrize(
    "data", [b"", b"\x30", b"\x30\x80", b"\x30\x85\0\0\0\0\1", b"\x1f\x01\0", b"\x30\x02\0", b"\x30\x82\x01"]
)
def test_what_is_no_value_is_refused(data: bytes) -> None:
    with pytest.raises(DerInvalid):
        der.read_value(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(DerInvalid):
        assert all(part.raw for part in der.read_value(data).parts())
