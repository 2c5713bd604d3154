# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FAT12/16/32: used-block maps against their chains and partclone; restored, checked, compared; oddities of old tools."""

from __future__ import annotations

import random
import shutil
import struct
from pathlib import Path

import pytest
from engine.disk.filesystems.registry import detect
from engine.disk.source import FileSource
from support import oracles
from support.filled import MIB, check_volume, empty, fat_contents, make_fat, make_tree, run
from support.imaging import image, restore
from support.maps import assert_equals_oracle, assert_same, our_map, restored

FAT = {
    "fat12-4m": (4, "-F", "12"),
    "fat12-cluster-8k": (16, "-F", "12", "-s", "16"),
    "fat12-one-table": (4, "-F", "12", "-f", "1"),
    "fat12-sector-2k": (16, "-F", "12", "-S", "2048", "-s", "4"),
    "fat16-cluster-2k": (64, "-F", "16", "-s", "4"),
    "fat16-cluster-32k": (200, "-F", "16", "-s", "64"),
    "fat16-one-table": (64, "-F", "16", "-f", "1"),
    "fat16-many-reserved": (64, "-F", "16", "-R", "1000"),
    "fat16-tiny-root": (40, "-F", "16", "-r", "64"),
    "fat16-sector-1k": (64, "-F", "16", "-S", "1024", "-s", "2"),
    "fat32-cluster-512": (64, "-F", "32", "-s", "1"),
    "fat32-cluster-4k": (300, "-F", "32", "-s", "8"),
    "fat32-sector-4k": (300, "-F", "32", "-S", "4096", "-s", "1"),
    "fat32-reserved-64": (64, "-F", "32", "-s", "1", "-R", "64"),
    "fat32-one-table": (64, "-F", "32", "-s", "1", "-f", "1"),
    "fat32-unaligned": (64, "-F", "32", "-s", "1", "-a"),
}
# Clusters on both sides of what tells FAT12 from FAT16 from FAT32 (Microsoft FAT specification, section 3.5).
BORDERS = {4084: "fat12", 4085: "fat16", 65524: "fat16", 65525: "fat32"}


def patch(volume: Path, offset: int, data: bytes) -> None:
    with open(volume, "r+b") as file:
        file.seek(offset)
        file.write(data)


def assert_map_is_right(volume: Path, work: Path) -> None:
    check_volume("fat", volume)
    assert_equals_oracle("fat", volume)
    copy = restored(volume, work)
    check_volume("fat", copy)
    assert fat_contents(copy, work) == fat_contents(volume, work)


@pytest.mark.parametrize("name", sorted(FAT))
def test_fat_equals_its_chains_and_partclone_and_restores(name: str, memory_path: Path, need) -> None:
    need("mkfs.fat", "mcopy", "partclone.vfat", "fsck.fat")
    size_mib, *options = FAT[name]
    volume = make_fat(memory_path / "volume", memory_path, int(size_mib) * MIB, *map(str, options), files=100)
    assert_map_is_right(volume, memory_path)
    # partclone misreads tables of 12 bits: it calls clusters free that fsck.fat counts as used.
    if "12" not in options:
        assert_same(our_map(volume).extents, oracles.partclone("vfat", volume, memory_path), [])


def clusters_of(volume: Path) -> int:
    with open(volume, "rb") as file:
        boot = file.read(512)
    sector, per_cluster, reserved, tables, roots, small = struct.unpack_from("<HBHBHH", boot, 11)
    per_table = struct.unpack_from("<H", boot, 22)[0] or struct.unpack_from("<I", boot, 36)[0]
    total = small or struct.unpack_from("<I", boot, 32)[0]
    return int((total - reserved - tables * per_table - -(-roots * 32 // sector)) // per_cluster)


@pytest.mark.parametrize("clusters", sorted(BORDERS))
def test_fat_at_the_borders_of_its_kinds(clusters: int, memory_path: Path, need) -> None:
    """mkfs.fat keeps away from them: the number of sectors is made smaller behind its back, before there are files."""
    need("mkfs.fat", "mcopy", "fsck.fat")
    bits = BORDERS[clusters][3:]
    more = {4084: 57, 65524: 545}.get(
        clusters, 2400
    )  # sectors for boot, tables and root: of the largest of a kind exactly
    volume = empty(memory_path / "volume", (clusters + more) * 512)
    run("mkfs.fat", "-F", bits, "-s", "1", "-a", *(["-r", "512"] if bits != "32" else []), volume)
    with open(volume, "rb") as file:
        boot = file.read(512)
    place, kind = (19, "<H") if struct.unpack_from("<H", boot, 19)[0] else (32, "<I")
    total = struct.unpack_from(kind, boot, place)[0] - (clusters_of(volume) - clusters)
    for copy in (0, 6) if bits == "32" else (0,):
        patch(volume, copy * 512 + place, struct.pack(kind, total))
    assert clusters_of(volume) == clusters
    tree = make_tree(memory_path / "tree", files=60, links=False)
    (tree / "sparse.img").unlink()
    (tree / "large.bin").unlink()
    run("mcopy", "-i", volume, "-s", *sorted(tree.iterdir()), "::/")
    assert our_map(volume).kind == BORDERS[clusters]
    # The free clusters that FAT32 notes belong to the size that mkfs.fat knew.
    if bits == "32":
        patch(volume, 512 + 488, b"\xff" * 4)
    assert_map_is_right(volume, memory_path)


def test_fat_whose_notes_of_free_clusters_are_wrong(memory_path: Path, need) -> None:
    need("mkfs.fat", "mcopy")
    volume = make_fat(memory_path / "volume", memory_path, 64 * MIB, "-F", "32", "-s", "1", files=100)
    before = our_map(volume).extents
    patch(volume, 512 + 488, struct.pack("<II", 7, 3))
    assert our_map(volume).extents == before
    assert fat_contents(restored(volume, memory_path), memory_path) == fat_contents(volume, memory_path)


def not_mirrored(volume: Path) -> Path:
    """Let the second table alone count, and make rubbish of the first; return the volume as it was."""
    as_it_was = Path(shutil.copy(str(volume), str(volume.with_suffix(".before"))))
    reserved, per_table = struct.unpack("<H", peek(volume, 14, 2))[0], struct.unpack("<I", peek(volume, 36, 4))[0]
    patch(volume, 40, struct.pack("<H", 0x81))
    clusters = clusters_of(volume)
    rubbish = random.Random(1)
    # Each entry leads to another cluster: who followed the first table would find other files' clusters.
    table = b"".join(struct.pack("<I", rubbish.randrange(2, clusters + 2)) for dummy in range(3000))
    patch(volume, reserved * 512 + 8, table)
    assert per_table * 512 > len(table)
    return as_it_was


def peek(volume: Path, offset: int, length: int) -> bytes:
    with open(volume, "rb") as file:
        file.seek(offset)
        return file.read(length)


def mirrored_again(volume: Path) -> Path:
    """What mtools can read: the second table in the place of the first."""
    copy = Path(shutil.copy(str(volume), str(volume.with_suffix(".mirrored"))))
    reserved, per_table = struct.unpack("<H", peek(volume, 14, 2))[0], struct.unpack("<I", peek(volume, 36, 4))[0]
    patch(copy, 40, b"\0\0")
    patch(copy, reserved * 512, peek(volume, (reserved + per_table) * 512, per_table * 512))
    return copy


def test_fat_without_mirroring_follows_the_table_that_counts(memory_path: Path, need) -> None:
    need("mkfs.fat", "mcopy")
    volume = make_fat(memory_path / "volume", memory_path, 64 * MIB, "-F", "32", "-s", "1", files=100)
    run("mcopy", "-i", volume, empty(memory_path / "pagefile.sys", 200_000), "::/")
    before = fat_contents(not_mirrored(volume), memory_path)
    storage, target = memory_path / "s", memory_path / "restored"
    storage.mkdir()
    made = image(storage, volume, secrets={})
    assert [(one["pattern"], one["files"]) for one in made["left_out"]] == [("\\pagefile.sys", 1)]
    restore(storage, target, secrets={})
    after = fat_contents(mirrored_again(target), memory_path)
    before.pop("pagefile.sys")
    after.pop("pagefile.sys")
    assert after == before


def first_clusters(volume: Path) -> dict:
    with FileSource(str(volume)) as source:
        found = detect(source)
        assert found is not None
        tree = found.tree()
        assert tree is not None
        return {entry.name.upper(): entry.node for entry in tree.children(tree.root())}


def test_cross_linked_files_keep_what_they_share(memory_path: Path, need) -> None:
    """The page file's last cluster leads into another file, as a stick that was pulled out may have left it."""
    need("mkfs.fat", "mcopy")
    volume = empty(memory_path / "volume", 64 * MIB)
    run("mkfs.fat", "-F", "32", "-s", "1", volume)
    page, kept = memory_path / "pagefile.sys", memory_path / "recipes.db"
    page.write_bytes(b"p" * 51_200)
    kept.write_bytes(bytes(range(256)) * 400)
    run("mcopy", "-i", volume, page, kept, "::/")
    places = first_clusters(volume)
    reserved, per_table = struct.unpack("<H", peek(volume, 14, 2))[0], struct.unpack("<I", peek(volume, 36, 4))[0]
    for copy in range(2):
        entry = (reserved + copy * per_table) * 512 + (places["PAGEFILE.SYS"] + 99) * 4
        patch(volume, entry, struct.pack("<I", places["RECIPES.DB"]))
    storage, target = memory_path / "s", memory_path / "restored"
    storage.mkdir()
    made = image(storage, volume, secrets={})
    assert made["left_out"][0]["saved_bytes"] == 51_200 - 4096  # its head stays
    restore(storage, target, secrets={})
    run("mcopy", "-i", target, "::/recipes.db", memory_path / "read")
    assert (memory_path / "read").read_bytes() == kept.read_bytes()


def test_tables_that_differ_leave_nothing_out(memory_path: Path, need) -> None:
    need("mkfs.fat", "mcopy")
    volume = empty(memory_path / "volume", 64 * MIB)
    run("mkfs.fat", "-F", "32", "-s", "1", volume)
    run("mcopy", "-i", volume, empty(memory_path / "pagefile.sys", 51_200), "::/")
    reserved = struct.unpack("<H", peek(volume, 14, 2))[0]
    patch(volume, reserved * 512 + 9000 * 4, struct.pack("<I", 0x0FFFFFFF))
    storage = memory_path / "s"
    storage.mkdir()
    made = image(storage, volume, secrets={})
    assert made["left_out"] == []
    assert any("allocation tables differ" in warning for warning in made["warnings"])
