# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of a FAT volume: entries by long and short names, bounds, slots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from engine.errors import FileSystemInvalid
from engine.restore.fallback import fat_folder
from engine.restore.fallback.fat_folder import Folder, entry_of, padded
from engine.restore.fallback.fat_table import FatTable
from support.efi_volumes import KINDS, debian, make, volume_of

LONG = "systemd-bootx64.efi"


@pytest.fixture(autouse=True)
def tools(need: Any) -> None:
    need("mkfs.fat", "mcopy", "mmd")


@pytest.mark.parametrize("bits", KINDS)
def test_names_are_found_in_both_forms_and_any_case(bits: int, tmp_path: Path) -> None:
    path = make(tmp_path / "esp", {"EFI/systemd/" + LONG: b"x" * 700, "EFI/empty.txt": b""}, bits)
    volume = volume_of(path)
    table = FatTable(volume)
    root = Folder.read(volume, table, 0)
    efi = root.find("efi")
    assert efi is not None
    assert efi.is_folder
    folder = Folder.read(volume, table, efi.first)
    empty = folder.find("EMPTY.TXT")
    assert empty is not None
    assert (empty.first, empty.size_bytes) == (0, 0)
    inner = folder.find("SYSTEMD")
    assert inner is not None
    names = Folder.read(volume, table, inner.first)
    for name in (LONG, LONG.upper(), "SYSTEM~1.EFI"):
        found = names.find(name)
        assert found is not None
        assert (found.name, found.size_bytes) == (LONG, 700)
    assert names.find("missing.efi") is None


def test_a_folder_without_an_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = dict(debian(), **{"EFI/F%d.TXT" % number: b"x" for number in range(40)})
    volume = volume_of(make(tmp_path / "esp", files))
    table = FatTable(volume)
    efi = Folder.read(volume, table, 0).find("EFI")
    assert efi is not None
    assert len(list(Folder.read(volume, table, efi.first).entries())) == 41
    monkeypatch.setattr(fat_folder, "_MOST_BYTES", 512)
    with pytest.raises(FileSystemInvalid):
        Folder.read(volume, table, efi.first)


def test_a_name_is_padded_to_eleven_bytes() -> None:
    assert padded("BOOTX64.EFI") == b"BOOTX64 EFI"
    assert padded("BOOT") == b"BOOT       "
    raw = entry_of(padded("BOOT"), 0x12345, 0, bytes(32), is_folder=True)
    assert len(raw) == 32
    assert raw[11] == 0x10
    assert raw[20:22] + raw[26:28] == b"\x01\x00\x45\x23"
