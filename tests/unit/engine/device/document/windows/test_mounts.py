# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drive letters as MountedDevices has them."""

from __future__ import annotations

import struct
import uuid

from engine.device.document.windows.mounts import read_mounts
from hypothesis import given
from hypothesis import strategies as st
from support.windows.registries import reader

PARTITION = uuid.UUID("1e178d94-4f79-41e9-865d-2e5b4328cd23")


def test_letters_of_both_kinds_of_tables_and_of_a_stick() -> None:
    stick = "_??_USBSTOR#Disk&Ven_HP#AA95#{53f56307-b6bf-11d0-94f2-00a0c91efb8b}".encode("utf-16-le")
    keys = {
        r"SYSTEM\MountedDevices": {
            r"\DosDevices\C:": b"DMIO:ID:" + PARTITION.bytes_le,
            r"\DosDevices\D:": struct.pack("<IQ", 0xD1CECF67, 1 << 20),
            r"\DosDevices\E:": stick,
            r"\??\Volume{62517174-f29b-11ec-85e0-806e6f6e6963}": b"x" * 12,
        }
    }
    found = read_mounts(reader(keys))
    assert {letter: item["source"] for letter, item in found.items()} == {
        "C:": "gpt partition %s" % PARTITION,
        "D:": "mbr:d1cecf67, byte 1048576",
        "E:": "USBSTOR#Disk&Ven_HP#AA95",
    }


@given(st.binary(max_size=60))
def test_no_value_makes_it_fail(data: bytes) -> None:
    assert list(read_mounts(reader({r"SYSTEM\MountedDevices": {r"\DosDevices\c:": data}}))) == ["C:"]
