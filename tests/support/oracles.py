# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which blocks of a volume are in use, as other programs see it: sets of (start, length) pairs in bytes, merged."""

from __future__ import annotations

import re
import struct
import subprocess
from pathlib import Path
from typing import Iterable, List, Tuple

from support.filled import run

Pairs = List[Tuple[int, int]]


def merge(units: Iterable[Tuple[int, int]], unit_bytes: int) -> Pairs:
    """Join runs of units that touch into extents of bytes."""
    found: Pairs = []
    for start, count in units:
        begin, length = start * unit_bytes, count * unit_bytes
        if found and found[-1][0] + found[-1][1] == begin:
            found[-1] = (found[-1][0], found[-1][1] + length)
        elif length:
            found.append((begin, length))
    return found


def ntfsclone(volume: Path) -> Pairs:
    """Clusters in ntfsclone's special image format (ntfs-3g, ntfsprogs/ntfsclone.c: image_hdr and its commands)."""
    data = subprocess.run(
        ["ntfsclone", "--quiet", "--save-image", "--output", "-", str(volume)], stdout=subprocess.PIPE, check=True
    ).stdout
    assert data[:16] == b"\0ntfsclone-image"
    cluster_bytes, dummy_device, clusters, in_use, offset = struct.unpack_from("<IqqqI", data, 18)
    found: Pairs = []
    position, cluster = offset, 0
    while cluster < clusters and position < len(data):
        if data[position] == 0:
            cluster += struct.unpack_from("<q", data, position + 1)[0]
            position += 9
        else:
            found.append((cluster, 1))
            cluster += 1
            position += 1 + cluster_bytes
    assert len(found) == in_use
    return merge(found, cluster_bytes)


def partclone(kind: str, volume: Path, work: Path) -> Pairs:
    """Blocks in the bitmap of partclone's image format 0002 (partclone, src/partclone.h: image_desc_v2)."""
    image = work / "partclone.img"
    run("partclone.%s" % kind, "-c", "-F", "-q", "-L", work / "partclone.log", "-s", volume, "-O", image)
    with open(image, "rb") as file:
        head = file.read(110)
        assert head[:15] == b"partclone-image"
        assert head[30:34] == b"0002"
        blocks, dummy_used, dummy_super, block_bytes = struct.unpack_from("<QQQI", head, 36 + 16 + 8)
        bitmap = file.read(-(-blocks // 8))
    image.unlink()
    bits = (number for number in range(blocks) if bitmap[number >> 3] >> (number & 7) & 1)
    return merge(((number, 1) for number in bits), block_bytes)


def fat_chains(volume: Path) -> Pairs:
    """Clusters whose entry in the first table is not zero (Microsoft FAT specification, section 4), read entry by entry."""
    with open(volume, "rb") as file:
        boot = file.read(512)
        sector, per_cluster, reserved, tables, roots, small = struct.unpack_from("<HBHBHH", boot, 11)
        per_table, total = struct.unpack_from("<H", boot, 22)[0], struct.unpack_from("<I", boot, 32)[0]
        wide = per_table == 0
        per_table = per_table or struct.unpack_from("<I", boot, 36)[0]
        first = reserved + tables * per_table + -(-roots * 32 // sector)
        clusters = ((small or total) - first) // per_cluster
        file.seek(reserved * sector)
        table = file.read(per_table * sector)
    used = []
    for number in range(2, clusters + 2):
        if wide:
            value = struct.unpack_from("<I", table, number * 4)[0] & 0x0FFFFFFF
        elif clusters >= 4085:
            value = struct.unpack_from("<H", table, number * 2)[0]
        else:
            pair = struct.unpack_from("<H", table, number * 3 // 2)[0]
            value = pair >> 4 if number & 1 else pair & 0xFFF
        if value:
            used.append(((first + (number - 2) * per_cluster), per_cluster))
    return merge([(0, first), *used], sector)


def dumpe2fs(volume: Path) -> Pairs:
    """Blocks that dumpe2fs does not list as free."""
    text = run("dumpe2fs", volume)
    blocks = int(re.search(r"^Block count:\s+(\d+)", text, re.M).group(1))  # type: ignore[union-attr]
    block_bytes = int(re.search(r"^Block size:\s+(\d+)", text, re.M).group(1))  # type: ignore[union-attr]
    cluster = re.search(r"^Cluster size:\s+(\d+)", text, re.M)
    # With bigalloc the last number of a range is the first block of the last cluster.
    more = int(cluster.group(1)) // block_bytes if cluster else 1
    free = []
    for line in re.findall(r"^  Free blocks: (.*)$", text, re.M):
        for part in [word for word in line.split(", ") if word]:
            first, dummy, last = part.partition("-")
            free.append((int(first), int(last or first) + more))
    if cluster:
        free = [(first, min(end, blocks)) for first, end in free]
    used, position = [], 0
    for first, end in sorted(free):
        used.append((position, first - position))
        position = end
    used.append((position, blocks - position))
    return merge(used, block_bytes)


def xfs_db(volume: Path) -> Pairs:
    """Blocks that are in no free-space tree, as xfs_db prints these trees. (Its freesp also calls the AGFL free.)"""
    text = run("xfs_db", "-r", "-f", "-c", "sb 0", "-c", "p blocksize dblocks agblocks agcount", volume)
    block_bytes, blocks, per_group, groups = (int(value) for value in re.findall(r"= (\d+)$", text, re.M))
    used, position = [], 0
    for group in range(groups):
        text = run("xfs_db", "-r", "-f", "-c", "agf %d" % group, "-c", "addr bnoroot", "-c", "btdump", volume)
        for found in re.findall(r"\d+:\[(\d+),(\d+)\]", text):
            first, count = group * per_group + int(found[0]), int(found[1])
            used.append((position, first - position))
            position = first + count
    used.append((position, blocks - position))
    return merge(used, block_bytes)


def xfs_free_list_bytes(volume: Path) -> int:
    """How many bytes the allocation groups keep in their free lists (AGFL): in no tree, and nobody else's."""
    text = run("xfs_db", "-r", "-f", "-c", "sb 0", "-c", "p blocksize agcount", volume)
    block_bytes, groups = (int(value) for value in re.findall(r"= (\d+)$", text, re.M))
    commands = [word for group in range(groups) for word in ("-c", "agf %d" % group, "-c", "p flcount")]
    return sum(map(int, re.findall(r"= (\d+)$", run("xfs_db", "-r", "-f", *commands, volume), re.M))) * block_bytes


def exfat_bitmap(volume: Path) -> Pairs:
    """All before the clusters, and what the bitmap calls used, bit by bit; dump.exfat says where these are."""
    text = run("dump.exfat", volume)

    def number(name: str) -> int:
        return int(re.search(r"^%s:\s*(\d+)" % re.escape(name), text, re.M).group(1))  # type: ignore[union-attr]

    sector = 1 << number("Sector Size Bits")
    cluster = 1 << number("Sector per Cluster bits")
    heap, clusters = number("Cluster Heap Offset (sector offset)"), number("Cluster Count")
    with open(volume, "rb") as file:
        file.seek((heap + (number("Bitmap start cluster") - 2) * cluster) * sector)
        bitmap = file.read(number("Bitmap size"))
    bits = [unit for unit in range(clusters) if bitmap[unit >> 3] >> (unit & 7) & 1]
    assert len(bits) == number("Total Clusters") - number("Free Clusters")
    return merge([(0, heap), *((heap + unit * cluster, cluster) for unit in bits)], sector)
