# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which places a boot configuration of Windows names."""

from __future__ import annotations

import struct

import pytest
from engine.restore.resize import boot_config as module
from engine.restore.resize.boot_config import BootConfig, read_config
from support.small_volumes import volume

MIB = 1 << 20
DEVICE = b"regf" + bytes(500) + struct.pack("<Q8xI4xI", 100 * MIB, 1, 0xCAFEBABE) + bytes(500)


def test_names_the_place_on_its_own_disk_only() -> None:
    config = BootConfig([bytes(300), DEVICE], False)
    assert config.names(100 * MIB, "cafebabe")
    assert not config.names(101 * MIB, "cafebabe")
    assert not config.names(100 * MIB, "cafebabf")


def test_in_doubt_every_place_is_named() -> None:
    assert BootConfig([], True).names(1, "00000001")
    assert BootConfig([DEVICE], False).names(1, "no signature")
    assert not BootConfig([], False).names(100 * MIB, "cafebabe")


def test_stores_are_read_in_the_order_of_the_file_and_not_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    store = bytes(range(256)) * 64
    volumes = [volume(number, "ntfs", {"Boot/BCD": store}) for number in range(1, 5)]
    assert read_config(volumes) == BootConfig([store] * 4, False)
    monkeypatch.setattr(module, "MOST_BYTES", 2 * len(store) - 1)
    found = read_config(volumes)
    assert (len(found.stores), found.is_unreadable) == (2, True)
