# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users and groups of a SAM that is hostile, closed, or not there. Real ones: tests/integration/windows."""

from __future__ import annotations

import struct

import pytest
from engine.device.document.tree import Unreadable
from engine.device.document.windows.accounts import read_groups, read_users
from hypothesis import given
from hypothesis import strategies as st
from support.windows.registries import Keys, reader

DOMAINS = r"SAM\SAM\Domains"
MACHINE = struct.pack("<BB6s4I", 1, 4, bytes([0, 0, 0, 0, 0, 5]), 21, 1, 2, 3)


def user(name: str, flags: int = 0x10, changed: int = 0) -> Keys:
    text = name.encode("utf-16-le")
    table = bytearray(0xCC) + text
    struct.pack_into("<II", table, 0x0C, 0, len(text))
    fixed = bytearray(80)
    struct.pack_into("<Q", fixed, 24, changed)
    struct.pack_into("<H", fixed, 56, flags)
    return {DOMAINS + r"\Account\Users\000003E9": {"F": bytes(fixed), "V": bytes(table)}}


def group(name: str, *members: bytes) -> Keys:
    text = name.encode("utf-16-le")
    alias = bytearray(0x34) + text + b"".join(members)
    struct.pack_into("<II", alias, 0x10, 0, len(text))
    struct.pack_into("<III", alias, 0x28, len(text), sum(map(len, members)), len(members))
    return {DOMAINS + r"\Builtin\Aliases\00000220": {"C": bytes(alias)}}


def test_a_user_and_its_group() -> None:
    keys = dict(user("Müller", 0x211, 132_000_000_000_000_000), **group("Administrators", MACHINE[:-4], MACHINE))
    member = bytes([1, 5]) + MACHINE[2:] + struct.pack("<I", 1001)
    keys.update(group("Administrators", member, MACHINE))
    keys[DOMAINS + r"\Account"] = {"V": b"x" * 30 + MACHINE}
    profiles = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList\S-1-5-21-1-2-3-1001"
    keys[profiles] = {"ProfileImagePath": r"C:\Users\mueller"}
    found = read_users(reader(keys))["Müller"]
    assert found["disabled"]
    assert not found["password_expires"]
    assert (found["uid"], found["home"], found["password_changed"]) == (1001, r"C:\Users\mueller", "2019-04-17")
    assert read_groups(reader(keys))["Administrators"]["members"] == ["Müller", "S-1-5-21-1-2-3"]


def test_a_closed_sam_is_a_reason_and_not_an_empty_list() -> None:
    for read in (read_users, read_groups):
        with pytest.raises(Unreadable):
            read(reader({}, closed=["SAM"]))


@given(st.binary(max_size=120), st.binary(min_size=50, max_size=300), st.binary(max_size=200))
def test_no_account_makes_it_fail(fixed: bytes, table: bytes, alias: bytes) -> None:
    keys: Keys = {DOMAINS + r"\Account\Users\000003E9": {"F": fixed, "V": table}, DOMAINS + r"\Account": {"V": table}}
    keys[DOMAINS + r"\Builtin\Aliases\00000220"] = {"C": alias}
    keys[DOMAINS + r"\Builtin\Aliases\Members"] = {}
    assert len(read_users(reader(keys))) <= 1
    assert len(read_groups(reader(keys))) <= 1
