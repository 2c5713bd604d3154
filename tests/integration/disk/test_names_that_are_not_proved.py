# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file is left out only where its name is proved to be its own: in doubt its content is in the image."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Callable, List, Tuple

import pytest
from engine.disk.exclusions import leave_out
from engine.disk.filesystems.contract import VolumeState
from engine.disk.filesystems.ntfs_attributes import FILE_NAME, REFERENCE_MASK
from engine.disk.filesystems.registry import detect
from engine.disk.patterns import Pattern
from engine.disk.source import FileSource
from support.filled import MIB, empty, make_ext, make_ntfs, mounted, run
from support.ntfs_surgery import Surgery

CONTENT = b"a recipe of the plant" * 2000


def patch(path: Path, place: int, data: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(place)
        file.write(data)


def find(path: Path, text: bytes) -> int:
    place = path.read_bytes().find(text)
    assert place >= 0
    return place


def saved(path: Path, *patterns: str) -> Tuple[int, int]:
    """How many files the patterns match, and how many bytes that saves."""
    with FileSource(str(path)) as source:
        volume = detect(source)
        assert volume is not None
        used = volume.used(VolumeState.OFFLINE)
        assert used.trusted, used.reason
        tree = volume.tree()
        assert tree is not None
        wanted = [Pattern.parse(text).below((), tree.case_sensitive) for text in patterns]
        outcome = leave_out(used.extents, tree, wanted)
    return sum(one.files for one in outcome.matched), sum(one.saved_bytes for one in outcome.matched)


# -- FAT --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def fat(memory_path: Path, need: Callable[..., None]) -> Path:
    """One file with a long name of three parts, another with none."""
    need("mkfs.fat", "mcopy")
    volume = empty(memory_path / "volume", 34 * MIB)
    run("mkfs.fat", "-F", "32", "-s", "1", volume)
    (memory_path / "yesterday's very long cached file.tmp").write_bytes(CONTENT)
    run("mcopy", "-i", volume, memory_path / "yesterday's very long cached file.tmp", "::")
    return volume


def long_parts(volume: Path) -> List[int]:
    """Where the parts of the long name lie, the last of the name first, and then the short name."""
    data = volume.read_bytes()
    short = data.find(b"YESTER~1TMP")
    assert data[short - 32] == 1
    assert data[short - 96] == 0x43
    return [short - 96, short - 64, short - 32, short]


def test_a_long_name_is_believed_where_all_of_it_fits(fat: Path) -> None:
    assert saved(fat, "**/yesterday's very long cached file.tmp")[0] == 1
    assert saved(fat, "**\\YESTERDAY*.TMP")[0] == 1


SPOILT = {
    "another short name": lambda parts, volume: patch(volume, parts[3], b"RECIPE  DAT"),
    "a wrong sum in one part": lambda parts, volume: patch(volume, parts[1] + 13, b"\x00"),
    "no last part": lambda parts, volume: patch(volume, parts[0], b"\x03"),
    "a part that is missing": lambda parts, volume: patch(volume, parts[1], b"\xe5"),
    "parts in another order": lambda parts, volume: (
        patch(volume, parts[1], b"\x01"),
        patch(volume, parts[2], b"\x02"),
    ),
    "a part twice": lambda parts, volume: patch(volume, parts[1], b"\x03"),
    "a part that belongs to a cluster": lambda parts, volume: patch(volume, parts[2] + 26, b"\x05"),
    "a part of another kind": lambda parts, volume: patch(volume, parts[2] + 12, b"\x01"),
    "letters behind its end": lambda parts, volume: patch(volume, parts[0] + 30, b"x\x00"),
    "no end": lambda parts, volume: patch(volume, parts[0] + 28, b"x\x00"),
}


@pytest.mark.parametrize("how", sorted(SPOILT))
def test_a_long_name_that_is_not_proved_matches_nothing(how: str, fat: Path) -> None:
    SPOILT[how](long_parts(fat), fat)
    assert saved(fat, "**/yesterday*", "**/*cache*")[0] == 0
    short = "RECIPE.DAT" if how == "another short name" else "YESTER~1.TMP"
    assert saved(fat, "**/%s" % short)[0] == 1, "the short name is what every system shows then"


def test_letters_of_a_country_match_no_letter(fat: Path) -> None:
    """Byte 0x81 is ü in one code page and Б in another."""
    parts = long_parts(fat)
    patch(fat, parts[3], b"\x81BER    TMP")
    for place in parts[:3]:
        patch(fat, place, b"\xe5")
    assert saved(fat, "**/über.tmp", "**/ÜBER.TMP")[0] == 0
    assert saved(fat, "**/*.tmp")[0] == 1


# -- exFAT ------------------------------------------------------------------------------------------------------------


def test_an_exfat_name_that_contradicts_itself_leaves_nothing_out(memory_path: Path, need: Callable[..., None]) -> None:
    from engine.disk.filesystems.exfat_tree import ExfatTree, _hash_of

    need("mkfs.exfat")
    volume = empty(memory_path / "volume", 8 * MIB)
    run("mkfs.exfat", volume)
    with FileSource(str(volume)) as source:
        found: Any = detect(source)
        root = found.cluster_range(found.root_cluster, 1)[0]
        bitmap = found.cluster_range(*found._root.bitmaps[0][1][0])[0]
        first = 100
        place = found.cluster_range(first, 2)[0]
    patch(volume, place, CONTENT[:8192])
    patch(volume, bitmap + (first - 2) // 8, b"\xff")

    def write(name: str, *, letters: int = 0, hashed: str = "", parts: int = 0) -> None:
        text = name.encode("utf-16-le")
        pieces = [text[start : start + 30] for start in range(0, len(text), 30)] or [b""]
        stream = struct.pack(
            "<BBBBHHQIIQ", 0xC0, 3, 0, letters or len(name), _hash_of((hashed or name).upper()), 0, 8192, 0, first, 8192
        )
        group = [bytes([0x85, 1 + (parts or len(pieces))]) + bytes(2) + struct.pack("<H", 0x20) + bytes(26), stream]
        group += [b"\xc1\0" + piece.ljust(30, b"\0") for piece in pieces][: parts or None]
        total = 0
        for number, one in enumerate(group):
            for at, value in enumerate(one):
                if number or at not in (2, 3):
                    total = ((total & 1) << 15) + (total >> 1) + value & 0xFFFF
        group[0] = group[0][:2] + struct.pack("<H", total) + group[0][4:]
        patch(volume, root + 96, b"".join(group) + bytes(64))

    write("cache.tmp")
    assert saved(volume, "**/*.tmp") == (1, 8192)
    write("cache.tmp", hashed="recipe.dat")
    assert saved(volume, "**/*.tmp") == (0, 0)
    write("cache.tmp", letters=30)
    assert saved(volume, "**/*") == (0, 0)
    write("a rather long name of a cached file.tmp", parts=1)
    assert saved(volume, "**/*") == (0, 0)
    with FileSource(str(volume)) as source:
        found = detect(source)
        assert ExfatTree(found).fold("ä") == "Ä", "as the volume's own table says"


# -- NTFS -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ntfs(memory_path: Path, need: Callable[..., None]) -> Path:
    need("mkntfs", "ntfs-3g", "losetup")
    volume = make_ntfs(memory_path / "volume", memory_path, 32 * MIB, files=3)
    with mounted(volume, memory_path / "mnt", "ntfs") as folder:
        (folder / "caches").mkdir()
        (folder / "caches" / "yesterday.tmp").write_bytes(CONTENT)
    return volume


def node_of(volume: Path, *names: str) -> int:
    with FileSource(str(volume)) as source:
        found = detect(source)
        assert found is not None
        tree: Any = found.tree()
        node = tree.root()
        for name in names:
            node = next(entry.node for entry in tree.children(node) if entry.name == name)
    return int(node)


def change_name(volume: Path, node: int, change: Callable[[bytearray], None]) -> None:
    """Change the $FILE_NAME attributes of a record, whose content begins 24 bytes into them."""
    surgery = Surgery(volume)
    number = node & REFERENCE_MASK
    record, bodies = surgery.read(number), []
    for kind, body in surgery.attributes(record):
        changed = bytearray(body)
        if kind == FILE_NAME:
            change(changed)
        bodies.append(bytes(changed))
    surgery.write(number, surgery.with_attributes(record, bodies))


@pytest.mark.root
@pytest.mark.parametrize("what", ["nothing", "parent", "sequence of the parent", "name", "sequence"])
def test_an_index_of_ntfs_that_is_stale(what: str, ntfs: Path) -> None:
    node = node_of(ntfs, "caches", "yesterday.tmp")
    if what == "parent":
        change_name(ntfs, node, lambda body: struct.pack_into("<Q", body, 24, 5 | 5 << 48))
    elif what == "sequence of the parent":
        change_name(ntfs, node, lambda body: struct.pack_into("<H", body, 30, 99))
    elif what == "name":
        change_name(ntfs, node, lambda body: struct.pack_into("<H", body, 24 + 66, ord("Y")))
    elif what == "sequence":
        surgery = Surgery(ntfs)
        record = bytearray(surgery.read(node & REFERENCE_MASK))
        struct.pack_into("<H", record, 16, struct.unpack_from("<H", record, 16)[0] + 1)
        surgery.write(node & REFERENCE_MASK, bytes(record))
    files, saved_bytes = saved(ntfs, "\\caches\\*.tmp")
    assert (files, saved_bytes > 0) == ((1, True) if what == "nothing" else (0, False))


# -- ext --------------------------------------------------------------------------------------------------------------


@pytest.mark.root
@pytest.mark.parametrize(
    "what", ["nothing", "deleted", "no links", "not in the bitmap", "a folder's type", "a link's type"]
)
def test_an_entry_of_ext_that_leads_to_no_such_file(what: str, memory_path: Path, need: Callable[..., None]) -> None:
    need("mke2fs", "debugfs")
    volume = make_ext(memory_path / "volume", memory_path, 16 * MIB, "-t", "ext2", "-b", "1024", files=3)
    (memory_path / "content").write_bytes(CONTENT)
    run("debugfs", "-w", "-R", "write %s yesterday.tmp" % (memory_path / "content"), volume)
    for name, command in (
        ("deleted", "set_inode_field yesterday.tmp dtime 20200101000000"),
        ("no links", "set_inode_field yesterday.tmp links_count 0"),
        ("not in the bitmap", "freei yesterday.tmp"),
    ):
        if what == name:
            run("debugfs", "-w", "-R", command, volume)
    if what.endswith("type"):
        place = find(volume, b"yesterday.tmp")
        patch(volume, place - 1, b"\x02" if what.startswith("a folder") else b"\x07")
    files, saved_bytes = saved(volume, "/yesterday.tmp", "/yesterday.tmp/**")
    assert (files, saved_bytes > 0) == ((1, True) if what == "nothing" else (0, False))
