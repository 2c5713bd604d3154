# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A target that contains data is described by what a person knows of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from engine.disk.layout import read_layout
from engine.disk.source import FileSource
from engine.restore.held import held_in_words

MIB = 1 << 20


def held(path: Path, sector_bytes: int = 512) -> str:
    with FileSource(str(path), sector_bytes) as source:
        layout = read_layout(source)
    return held_in_words(str(path), layout)


def test_a_file_system_on_the_whole_disk_and_one_in_a_partition(tmp_path: Path) -> None:
    whole, table = tmp_path / "whole", tmp_path / "table"
    for path in (whole, table):
        path.write_bytes(b"")
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-L", "data", str(whole), "24M"], check=True)
    words = held(whole)
    assert words.startswith("ext4 'data', 25.2 MB, ")
    assert words.endswith(" MB used")
    table.write_bytes(bytes(40 * MIB))
    subprocess.run(["sfdisk", "-q", str(table)], input=b"label: gpt\nstart=1MiB, size=24MiB\nsize=8MiB\n", check=True)
    with table.open("r+b") as file:
        file.seek(MIB)
        file.write(whole.read_bytes())
    assert held(table) == "partition 1: %s" % words


def test_what_is_unknown_or_missing_has_no_words(tmp_path: Path) -> None:
    noise = tmp_path / "noise"
    noise.write_bytes(b"\x5a" * MIB)
    assert held(noise) == ""
    with FileSource(str(noise)) as source:
        layout = read_layout(source)
    assert held_in_words(str(tmp_path / "missing"), layout) == ""


def test_a_table_with_large_sectors_is_taken_as_the_plan_read_it(tmp_path: Path) -> None:
    """Only sfdisk counts in sectors of 512 bytes here: 256 of 4096 bytes are one MiB."""
    table = tmp_path / "table"
    table.write_bytes(bytes(16 * MIB))
    subprocess.run(["sfdisk", "-q", str(table)], input=b"label: dos\nstart=256, size=2048\n", check=True)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-L", "data", "-E", "offset=%d" % MIB, str(table), "8M"], check=True)
    assert held(table, 4096).startswith("partition 1: ext4 'data', 8.4 MB")
    assert held(table, 512) == ""
