# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads from an X.509 certificate its subject, its issuer, its serial number and when it expires; it checks no signature.

The package cryptography can do this too, but loading its part for certificates costs every run 25 ms and 5 MiB.
Sources of the formats: RFC 5280 section 4.1 (fields), X.690 (DER), RFC 7468 (PEM), RFC 4514 (names as text).
"""

from __future__ import annotations

import base64
import datetime
import re
from typing import Iterator, NamedTuple

_PEM = re.compile(rb"-----BEGIN (?:X509 )?CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END (?:X509 )?CERTIFICATE-----\s*")
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z", re.ASCII)
_INTEGER, _BITS, _KIND, _UTC_TIME, _TIME_OF_ANY_YEAR = 0x02, 0x03, 0x06, 0x17, 0x18
_SEQUENCE, _SET, _VERSION = 0x30, 0x31, 0xA0
_UNIVERSAL, _TWO_BYTES = 0x1C, 0x1E
_TEXTS = (0x0C, 0x12, 0x13, 0x14, 0x16, 0x1A)  # UTF-8, numeric, printable, teletex, IA5, visible
_SHORT = {
    "2.5.4.3": "CN",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
}
_MOST_KIND_BYTES = 64
_SPECIAL = re.compile(r'(["+,;<>\\])')


class Certificate(NamedTuple):
    subject: str
    issuer: str
    serial: int
    expires: datetime.datetime  # in UTC


class _Element(NamedTuple):
    tag: int
    content: bytes


def parse_certificate(data: bytes) -> Certificate:
    """Parse one certificate, in PEM or DER.

    :raises ValueError: when it is none.
    """
    armoured = _PEM.fullmatch(data)
    if armoured:
        data = base64.b64decode(b"".join(armoured.group(1).split()), validate=True)
    (outer,) = _elements(data)
    signed, *dummy_signature = _elements(_content(outer, _SEQUENCE))
    fields = list(_elements(_content(signed, _SEQUENCE)))
    if fields and fields[0].tag == _VERSION:
        fields = fields[1:]
    serial, dummy_algorithm, issuer, validity, subject, *dummy_rest = fields
    dummy_begin, end = _elements(_content(validity, _SEQUENCE))
    number = int.from_bytes(_content(serial, _INTEGER), "big", signed=True)
    return Certificate(_name(subject), _name(issuer), number, _moment(end))


def _elements(data: bytes) -> Iterator[_Element]:
    """The elements that ``data`` consists of, each within it."""
    at = 0
    while at < len(data):
        if len(data) - at < 2 or data[at] & 0x1F == 0x1F:
            raise ValueError("an element is cut, or its tag is a long one")
        tag, length, start = data[at], data[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7F
            if not 1 <= count <= 4 or start + count > len(data):
                raise ValueError("the length of an element is malformed")
            length = int.from_bytes(data[start : start + count], "big")
            start += count
        if length > len(data) - start:
            raise ValueError("an element is longer than the one around it")
        at = start + length
        yield _Element(tag, data[start:at])


def _content(element: _Element, tag: int) -> bytes:
    if element.tag != tag:
        raise ValueError("a field has the tag %d, not %d" % (element.tag, tag))
    return element.content


def _moment(element: _Element) -> datetime.datetime:
    text = element.content.decode("ascii")
    if element.tag == _UTC_TIME:
        text = ("19" if text >= "50" else "20") + text
    match = _TIME.fullmatch(text) if element.tag in (_UTC_TIME, _TIME_OF_ANY_YEAR) else None
    if match is None:
        raise ValueError("a time is malformed")
    year, month, day, hour, minute, second = (int(group) for group in match.groups())
    return datetime.datetime(year, month, day, hour, minute, second)


def _name(element: _Element) -> str:
    """The name as RFC 4514 writes it: its last part first."""
    parts = [_elements(_content(part, _SET)) for part in _elements(_content(element, _SEQUENCE))]
    return ",".join("+".join(_attribute(one) for one in part) for part in reversed(parts))


def _attribute(element: _Element) -> str:
    kind, value = _elements(_content(element, _SEQUENCE))
    dotted = _dotted(_content(kind, _KIND))
    return "%s=%s" % (_SHORT.get(dotted, dotted), _shown(value))


def _shown(value: _Element) -> str:
    if value.tag == _BITS:
        return "#" + value.content.hex()
    text = _SPECIAL.sub(r"\\\1", _text(value)).replace("\0", "\\00")
    text = text[:-1] + "\\ " if text.endswith(" ") and len(text) > 1 else text
    return "\\" + text if text.startswith(("#", " ")) else text


def _text(value: _Element) -> str:
    if value.tag in _TEXTS:
        return value.content.decode("utf-8")
    if value.tag == _TWO_BYTES:
        return value.content.decode("utf-16-be")
    if value.tag == _UNIVERSAL:
        return value.content.decode("utf-32-be")
    raise ValueError("a part of a name is not a text")


def _dotted(content: bytes) -> str:
    """The kind of a part of a name, as numbers with points between them."""
    if not content or len(content) > _MOST_KIND_BYTES or content[-1] & 0x80:
        raise ValueError("the kind of a part of a name is malformed")
    numbers, number = [], 0
    for byte in content:
        number = (number << 7) | (byte & 0x7F)
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    top = min(numbers[0] // 40, 2)
    return ".".join(str(one) for one in (top, numbers[0] - 40 * top, *numbers[1:]))
