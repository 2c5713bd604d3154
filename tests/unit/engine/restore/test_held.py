# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A target that contains data is described by what a person knows of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from engine.restore.held import held_in_words

MIB = 1 << 20


def test_a_file_system_on_the_whole_disk_and_one_in_a_partition(tmp_path: Path) -> None:
    whole, table = tmp_path / "whole", tmp_path / "table"
    for path in (whole, table):
        path.write_bytes(b"")
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-L", "data", str(whole), "24M"], check=True)
    words = held_in_words(str(whole))
    assert words.startswith("ext4 'data', 25.2 MB, ")
    assert words.endswith(" MB used")
    table.write_bytes(bytes(40 * MIB))
    subprocess.run(["sfdisk", "-q", str(table)], input=b"label: gpt\nstart=1MiB, size=24MiB\nsize=8MiB\n", check=True)
    with table.open("r+b") as file:
        file.seek(MIB)
        file.write(whole.read_bytes())
    assert held_in_words(str(table)) == "partition 1: %s" % words


def test_what_is_unknown_or_missing_has_no_words(tmp_path: Path) -> None:
    noise = tmp_path / "noise"
    noise.write_bytes(b"\x5a" * MIB)
    assert held_in_words(str(noise)) == ""
    assert held_in_words(str(tmp_path / "missing")) == ""
