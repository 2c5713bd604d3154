# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads values of ASN.1 in the encoding DER (X.690), as far as signatures of Windows need it."""

from __future__ import annotations

from typing import List, NamedTuple

INTEGER, OCTETS, OID, SEQUENCE, SET, CONTEXT_0 = 0x02, 0x04, 0x06, 0x30, 0x31, 0xA0
_LONGEST_LENGTH_BYTES = 4


class DerInvalid(ValueError):
    """The bytes are not DER."""


class Value(NamedTuple):
    """A value. ``raw`` is it with its tag and length."""

    tag: int
    content: bytes
    raw: bytes

    def parts(self) -> List[Value]:
        """Return the values inside. :raises DerInvalid:"""
        found = []
        rest = self.content
        while rest:
            value = read_value(rest)
            found.append(value)
            rest = rest[len(value.raw) :]
        return found

    def expect(self, tag: int) -> Value:
        """Return itself. :raises DerInvalid: when it is of another kind."""
        if self.tag != tag:
            raise DerInvalid("a value has the tag %#x, not %#x" % (self.tag, tag))
        return self


def read_value(data: bytes) -> Value:
    """Return the value at the head of ``data``; bytes may follow. :raises DerInvalid:"""
    if len(data) < 2 or data[0] & 0x1F == 0x1F:
        raise DerInvalid("a value is cut off or has a long tag")
    length, at = data[1], 2
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= _LONGEST_LENGTH_BYTES or len(data) < 2 + count:
            raise DerInvalid("a length has %d bytes" % count)
        length, at = int.from_bytes(data[2 : 2 + count], "big"), 2 + count
    if len(data) < at + length:
        raise DerInvalid("a value is cut off")
    return Value(data[0], data[at : at + length], data[: at + length])


def oid(content: bytes) -> str:
    """Return an object identifier as text: ``1.2.840``."""
    numbers: List[int] = []
    number = 0
    for byte in content:
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    if not numbers:
        return ""
    first = min(numbers[0] // 40, 2)
    return ".".join(str(one) for one in [first, numbers[0] - 40 * first, *numbers[1:]])
