# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine's names out of SMBIOS tables, and tables that lie."""

from __future__ import annotations

import random
import struct
import uuid
from typing import List

import pytest
from engine.host.smbios import UNKNOWN, system_information

UUID = "00112233-4455-6677-8899-aabbccddeeff"


def structure(kind: int, formatted: bytes, texts: List[bytes]) -> bytes:
    strings = b"".join(text + b"\0" for text in texts) or b"\0"
    return struct.pack("<BBH", kind, len(formatted) + 4, kind) + formatted + strings + b"\0"


def system(identity: bytes, texts: List[bytes], numbers: bytes = bytes([1, 2, 3, 4])) -> bytes:
    return structure(1, numbers + identity + bytes([6, 0, 0]), texts)


def raw(table: bytes, version: tuple[int, int] = (3, 0)) -> bytes:
    return struct.pack("<BBBBI", 0, version[0], version[1], 0, len(table)) + table


TEXTS = [b"Siemens AG", b"SIMATIC IPC427E", b"0002", b"SVPK1234567"]
BIOS = structure(0, bytes(20), [b"American Megatrends", b"1.2"])
END = structure(127, b"", [])


@pytest.mark.parametrize(
    ("version", "stored"),
    [((3, 2), uuid.UUID(UUID).bytes_le), ((2, 6), uuid.UUID(UUID).bytes_le), ((2, 5), uuid.UUID(UUID).bytes)],
)
def test_the_system(version: tuple[int, int], stored: bytes) -> None:
    found = system_information(raw(BIOS + system(stored, TEXTS) + END, version))
    assert found == ("Siemens AG", "SIMATIC IPC427E", "0002", "SVPK1234567", UUID)


def test_strings_that_are_not_there() -> None:
    found = system_information(raw(system(uuid.UUID(UUID).bytes_le, [b"only one"], bytes([1, 2, 0, 9])) + END))
    assert found == ("only one", "", "", "", UUID)


def test_a_short_structure_has_no_uuid() -> None:
    assert system_information(raw(structure(1, bytes([1, 0, 0, 0]), [b"old"]) + END)).uuid == ""


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 7, raw(b""), raw(END), raw(END + system(bytes(16), TEXTS)), raw(b"\1\3")]
)
def test_nothing_is_known(data: bytes) -> None:
    assert system_information(data) == UNKNOWN


def test_steering_characters_are_dropped() -> None:
    found = system_information(raw(system(bytes(16), [b"\x1b[31mred\x07", b"two\xff"]) + END))
    assert found.vendor.isprintable()
    assert found.product.isprintable()


def test_any_bytes_end() -> None:
    chance = random.Random(4)
    whole = raw(BIOS + system(uuid.UUID(UUID).bytes_le, TEXTS) + END)
    for dummy in range(3000):
        data = bytearray(whole)
        for dummy_too in range(chance.randrange(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        system_information(bytes(data[: chance.randrange(len(data) + 1)]))
