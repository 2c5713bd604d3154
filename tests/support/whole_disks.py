# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole disks for tests: a partition table made by sfdisk, volumes made by their own tools put into the partitions."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import List, NamedTuple, Sequence

from support.filled import MIB, empty, make_ext, make_fat, make_ntfs, make_tree, mounted, run
from support.xfs_volumes import SMALL

_TYPES = {
    "gpt": {
        "fat": "U",
        "ext": "L",
        "ntfs": "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7",
        "swap": "S",
        "raw": "L",
        "xfs": "L",
    },
    "dos": {"fat": "c", "ext": "L", "ntfs": "7", "swap": "S", "raw": "L", "xfs": "L"},
}


class Part(NamedTuple):
    """A wanted partition: a name, what is on it, its size and further options of the maker."""

    name: str
    kind: str
    size_mib: int
    options: Sequence[str] = ()
    logical: bool = False


class Placed(NamedTuple):
    """A partition of a built disk."""

    part: Part
    start_bytes: int
    size_bytes: int


class WholeDisk(NamedTuple):
    path: Path
    sector_bytes: int
    parts: List[Placed]

    def volume(self, placed: Placed, disk: Path, folder: Path) -> Path:
        """Copy a partition of ``disk`` (this one or a restored one) into a file of its own."""
        target = empty(folder / ("%s-%s" % (disk.stem, placed.part.name)), 0)
        copy_range(disk, placed.start_bytes, target, 0, placed.size_bytes)
        return target


def build_disk(
    folder: Path, scheme: str, parts: Sequence[Part], *, sector_bytes: int = 512, files: int = 300
) -> WholeDisk:
    """Build a disk of all ``parts`` in order, with a few KiB that belong to no partition between and behind them."""
    size_mib = sum(part.size_mib + 2 for part in parts) + 8
    path = empty(folder / ("disk-%s-%d.raw" % (scheme, sector_bytes)), size_mib * MIB)
    lines = ["label: %s" % scheme]
    start = 1
    logical_open = False
    for part in parts:
        if part.logical and not logical_open:
            lines.append("start=%d, type=5" % (start * MIB // sector_bytes))
            logical_open = True
            start += 1
        kind = _TYPES[scheme][part.kind]
        lines.append(
            "start=%d, size=%d, type=%s" % (start * MIB // sector_bytes, part.size_mib * MIB // sector_bytes, kind)
        )
        start += part.size_mib + 2
    sfdisk(path, sector_bytes, "--quiet", script="\n".join(lines) + "\n")
    table = json.loads(sfdisk(path, sector_bytes, "--json"))["partitiontable"]["partitions"]
    wanted = [entry for entry in table if entry["type"] not in ("5", "f")]
    assert len(wanted) == len(parts)
    placed = []
    for number, (part, entry) in enumerate(zip(parts, wanted)):
        place = Placed(part, entry["start"] * sector_bytes, entry["size"] * sector_bytes)
        work = folder / ("make-%s" % part.name)
        work.mkdir()
        volume = _make(part, work, place.size_bytes, sector_bytes, files)
        copy_range(volume, 0, path, place.start_bytes, place.size_bytes)
        volume.unlink()
        # What lies between partitions may be a boot loader's or a licence's: an image holds it.
        with open(path, "r+b") as disk:
            disk.seek(place.start_bytes + place.size_bytes + MIB // 2)
            disk.write(b"nobody's bytes %d " % number * 1000)
        placed.append(place)
    return WholeDisk(path, sector_bytes, placed)


def sfdisk(disk: Path, sector_bytes: int, *options: str, script: str = "") -> str:
    """Run sfdisk on a disk file with sectors of any size, which only a loop device can have."""
    if sector_bytes == 512:
        return run("sfdisk", *options, disk, input=script.encode())
    loop = run("losetup", "-f", "--show", "-b", sector_bytes, disk).strip()
    try:
        return run("sfdisk", *options, loop, input=script.encode()).replace(loop, str(disk))
    finally:
        run("losetup", "-d", loop)


def _make(part: Part, work: Path, size_bytes: int, sector_bytes: int, files: int) -> Path:
    volume = work / "volume"
    if part.kind == "fat":
        return make_fat(volume, work, size_bytes, "-S", str(sector_bytes), *part.options, files=files // 3)
    if part.kind == "ext":
        return make_ext(volume, work, size_bytes, *part.options, files=files)
    if part.kind == "ntfs":
        options = ["-s", str(sector_bytes), "-p", "0", "-H", "0", "-S", "0", *part.options]
        return make_ntfs(volume, work, size_bytes, *options, files=files)
    if part.kind == "xfs":
        run("mkfs.xfs", "-q", "-f", *part.options, empty(volume, size_bytes), env=SMALL)
        with mounted(volume, work / "mnt", "xfs") as folder:
            make_tree(folder, files=files)
        return volume
    if part.kind == "swap":
        run("mkswap", "-p", "4096", empty(volume, size_bytes))
        return volume
    volume.write_bytes(os.urandom(MIB) + bytes(size_bytes - MIB))
    return volume


def copy_range(source: Path, source_start: int, target: Path, target_start: int, length: int) -> None:
    """Copy bytes between files, leaving zeros as holes; the target grows to hold them."""
    with open(source, "rb") as reading, open(target, "r+b") as writing:
        end = target_start + length
        if os.fstat(writing.fileno()).st_size < end:
            writing.truncate(end)
        reading.seek(source_start)
        position = 0
        while position < length:
            data = reading.read(min(MIB, length - position))
            if any(data):
                writing.seek(target_start + position)
                writing.write(data)
            position += len(data)
