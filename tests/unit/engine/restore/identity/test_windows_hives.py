# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hives are read in the order of the file, within bounds, one that can't be changed is locked, and changes have their place on the volume."""

from __future__ import annotations

import struct
from typing import List

import pytest
from engine.errors import RestoreBootConfigLocked
from engine.restore.identity.draw import Drawn, device_names
from engine.restore.identity.windows_hives import HiveFile, changes_in, places, read_hive
from support.hives import boot_config, gpt_device, hive, read_values
from support.small_volumes import Content, guid, patched, volume

BCD = "EFI/Microsoft/Boot/BCD"
OLD, NEW = guid(1), "fedcba98-7654-4321-8fed-cba987654321"
DRAWN = Drawn("gpt", (guid(0), guid(77)), {1: (OLD, NEW)})
NAMES = device_names(DRAWN, [], {})


def read(content: Content, path: str = BCD) -> List[HiveFile]:
    one = volume(1, "vfat", {path: content}, role="efi")
    return [found for found in (read_hive("disk0", "/t", place) for place in places([one])) if found is not None]


def test_a_hive_in_pieces_out_of_order_is_read_and_changed_in_the_order_of_the_file() -> None:
    content = hive(boot_config([gpt_device(guid(0), OLD)] * 60))
    one = volume(1, "vfat", {BCD: content}, role="efi")
    found = [read_hive("disk0", "/t", place) for place in places([one])]
    (store,) = [each for each in found if each is not None]
    assert len(store.ranges) > 4
    assert store.content == content
    changed = changes_in("disk0", "/t", store, DRAWN, NAMES)
    after = patched(one, BCD, store.on_volume(changed))
    assert set(read_values(after).values()) == {gpt_device(guid(77), NEW)}


def test_a_change_that_spans_two_pieces_is_cut() -> None:
    one = HiveFile(volume(1, "vfat", {}), "BCD", [(8192, 4096), (0, 4096)], bytes(8192))
    assert one.on_volume([(4090, b"0123456789")]) == [(12282, b"012345"), (0, b"6789")]


def locked(content: Content, path: str = BCD) -> str:
    (one,) = read(content, path)
    with pytest.raises(RestoreBootConfigLocked) as caught:
        changes_in("disk0", "/t", one, DRAWN, NAMES)
    return str(caught.value.fields["reason"])


def test_bins_that_are_not_whole_pages_are_locked() -> None:
    content = bytearray(hive(boot_config([gpt_device(guid(0), OLD)])))
    size = struct.unpack_from("<I", content, 40)[0]
    for more in (1, 4, 512, 4095):
        struct.pack_into("<I", content, 40, size + more)
        total = 0
        for word in struct.unpack_from("<127I", content):
            total ^= word
        struct.pack_into("<I", content, 508, total)
        assert "bins" in locked(bytes(content) + bytes(4096))


@pytest.mark.parametrize("path", [BCD, "Windows/System32/config/SYSTEM"])
def test_a_hive_with_more_than_a_thousand_places_is_locked(path: str) -> None:
    device = gpt_device(guid(0), OLD)
    most = 250  # two elements a device, two ids an element
    (one,) = read(hive(boot_config([device] * most)), path)
    assert len(changes_in("disk0", "/t", one, DRAWN, NAMES)) == 1000
    assert "1000" in locked(hive(boot_config([device] * (most + 1))), path)


@pytest.mark.parametrize(("path", "most"), [(BCD, 16 << 20), ("Windows/System32/config/SYSTEM", 64 << 20)])
def test_a_hive_that_is_too_large_is_not_read(path: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    one = volume(1, "vfat", {path: b"regf"}, role="efi")
    system = one.file_system
    assert system is not None
    tree = system.tree()
    monkeypatch.setattr(tree, "ranges", lambda node: [(0, most + 1)])
    with pytest.raises(RestoreBootConfigLocked):
        [read_hive("disk0", "/t", place) for place in places([one])]
    monkeypatch.setattr(tree, "ranges", lambda node: [(0, most)])
    monkeypatch.setattr(one.source, "read", lambda start, length: b"r")
    assert [found for place in places([one]) if (found := read_hive("disk0", "/t", place)) is not None]


def test_ids_that_overlap_are_locked() -> None:
    content = hive({"x": b"ababababababababababab" * 2})
    (one,) = read(content)
    pairs = [(b"abab", b"1234"), (b"baba", b"5678")]
    with pytest.raises(RestoreBootConfigLocked):
        changes_in("disk0", "/t", one, DRAWN, (pairs, pairs))
