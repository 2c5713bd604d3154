# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Security descriptors: the one of the agent's folder, and those that let others write there."""

from __future__ import annotations

import struct

import pytest
from engine.smb.errors import SmbError
from engine.smb.security import (
    ADMINISTRATORS,
    SYSTEM,
    Security,
    administrators_only,
    parse,
    why_replaceable,
    why_untrusted,
)
from hypothesis import given
from hypothesis import strategies as st

# O:BAG:SYD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA) as ConvertStringSecurityDescriptorToSecurityDescriptor lays it out.
EXPECTED = (
    "01000490" + "14000000" + "24000000" + "00000000" + "30000000"
    "01020000000000052000000020020000"
    "010100000000000512000000"
    "0200340002000000"
    "00031400ff011f00010100000000000512000000"
    "00031800ff011f0001020000000000052000000020020000"
)


def test_the_descriptor_is_the_bytes_of_the_specification() -> None:
    assert administrators_only().hex() == EXPECTED
    assert parse(administrators_only()) == Security(
        ADMINISTRATORS, (SYSTEM, ADMINISTRATORS), True, (SYSTEM, ADMINISTRATORS)
    )
    assert not why_untrusted(parse(administrators_only()))


@pytest.mark.parametrize(
    "security",
    [
        Security("S-1-5-21-1-2-3-1001", (SYSTEM, ADMINISTRATORS), True),
        Security("", (SYSTEM,), True),
        Security(SYSTEM, (SYSTEM, "S-1-5-32-545"), True),
        Security(SYSTEM, (SYSTEM, ADMINISTRATORS), False),
        parse(struct.pack("<BxHIIII", 1, 0x8000, 20, 0, 0, 0) + bytes.fromhex("010100000000000512000000")),
    ],
)
def test_a_folder_that_others_may_write_to_is_not_trusted(security: Security) -> None:
    assert why_untrusted(security)


def with_rule(rights: int, flags: int = 0, kind: int = 0) -> bytes:
    """The descriptor of the agent's folder with a rule for Authenticated Users."""
    data = administrators_only()
    sid = bytes.fromhex("01010000000000050b000000")
    rule = struct.pack("<BBHI", kind, flags, 20, rights) + sid
    return data[:0x32] + struct.pack("<HH", 0x34 + len(rule), 3) + data[0x36:] + rule


@pytest.mark.parametrize("rights", [0x40, 0x10000, 0x40000, 0x80000, 0x10000000, 0x1301BF, 0x1F01FF])
def test_a_folder_above_that_others_may_rename_is_refused(rights: int) -> None:
    """0x1301BF is what a Windows of today gives Authenticated Users on D:\\."""
    assert "S-1-5-11" in why_replaceable(parse(with_rule(rights)))
    assert not why_replaceable(parse(with_rule(rights, flags=0x0B))), "it is for what is made in it"
    assert not why_replaceable(parse(with_rule(rights, kind=1))), "it denies"
    assert why_replaceable(parse(with_rule(rights, kind=9)))


def test_a_folder_above_as_windows_makes_it_is_accepted() -> None:
    assert not why_replaceable(parse(with_rule(0x4)))
    assert not why_replaceable(parse(with_rule(0x1200A9)))
    assert why_replaceable(Security("S-1-5-21-1-2-3-1001", (SYSTEM,), True))
    no_list = struct.pack("<BxHIIII", 1, 0x8000, 20, 0, 0, 0) + bytes.fromhex("010100000000000512000000")
    assert "S-1-1-0" in why_replaceable(parse(no_list))


def test_a_rule_of_an_unknown_kind_counts_as_a_stranger() -> None:
    changed = bytearray(administrators_only())
    changed[changed.index(bytes.fromhex("00031400"))] = 5
    assert why_untrusted(parse(bytes(changed)))


@given(st.integers(0, 120), st.lists(st.tuples(st.integers(0, 100), st.integers(0, 255)), max_size=5))
def test_any_bytes_are_read_or_refused(length: int, changes: list[tuple[int, int]]) -> None:
    data = bytearray(administrators_only()[:length])
    for place, value in changes:
        if place < len(data):
            data[place] = value
    try:
        security = parse(bytes(data))
    except SmbError:
        return
    assert isinstance(why_untrusted(security), str)
    assert isinstance(why_replaceable(security), str)
