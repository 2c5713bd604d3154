# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""XFS: used-block maps against xfs_db, restored volumes, left-out files, logs that wait, damaged metadata."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import struct
from pathlib import Path
from typing import Dict, Iterator

import pytest
from engine.disk.extents import ExtentSet
from engine.disk.filesystems.contract import UsedMap, VolumeState
from engine.disk.filesystems.crc32c import crc32c
from engine.disk.filesystems.registry import detect
from engine.disk.source import FileSource, MemorySource
from engine.errors import DiskError
from support import oracles
from support.filled import MIB, check_volume, churn, contents, empty, make_tree, mounted, run, sync
from support.imaging import image, restore
from support.maps import only_used, restored
from support.xfs_volumes import SMALL, make_from_tree

SIZE_BYTES = 128 * MIB
MATRIX = {
    "defaults": (),
    "block-1k": ("-b", "size=1024"),
    "block-2k": ("-b", "size=2048"),
    "block-4k-sector-4k": ("-b", "size=4096", "-s", "size=4096"),
    "block-1k-folders-8k": ("-b", "size=1024", "-n", "size=8192"),
    "no-reflink": ("-m", "reflink=0"),
    "rmapbt": ("-m", "rmapbt=1"),
    "no-finobt": ("-m", "finobt=0,inobtcount=0"),
    "two-groups": ("-d", "agcount=2"),
    "eight-groups": ("-d", "agcount=8"),
    "no-sparse-inodes": ("-i", "sparse=0"),
    "no-bigtime": ("-m", "bigtime=0"),
    "large-counts": ("-i", "nrext64=1"),
    "inodes-2k": ("-i", "size=2048"),
    "striped-log": ("-d", "su=64k,sw=2", "-l", "su=64k"),
}
# Kernels may no longer mount these: mkfs.xfs itself fills them.
UNMOUNTABLE = {
    "v4": ("-m", "crc=0"),
    "v4-block-512": ("-m", "crc=0", "-b", "size=512"),
    "v4-no-types": ("-m", "crc=0", "-n", "ftype=0"),
    "caseless": ("-n", "version=ci"),
    "block-8k": ("-b", "size=8192"),
    "block-32k": ("-b", "size=32768"),
    "block-512-group-odd": ("-m", "crc=0", "-b", "size=512", "-d", "agcount=3"),
}


def make_xfs(volume: Path, work: Path, *options: str, files: int = 500, many_names: int = 0) -> Path:
    run("mkfs.xfs", "-q", "-f", *options, empty(volume, SIZE_BYTES), env=SMALL)
    with mounted(volume, work / "mnt", "xfs") as folder:
        make_tree(folder, files=files)
        os.symlink("large.bin", str(folder / "a link"))
        many = folder / "many names"
        many.mkdir()
        for number in range(many_names):
            (many / ("recipe-of-the-line-number-%05d" % number)).write_bytes(b"x" * (number % 3))
        churn(folder)
    return volume


def make_from_prototype(volume: Path, work: Path, *options: str) -> Dict[str, str]:
    """Let mkfs.xfs copy a tree; return the contents. Its prototype files know no spaces in names."""
    tree = work / "tree"
    for number in range(400):
        folder = tree / ("line%d" % (number % 7)) / "Förderband"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ("recipe-%03d.txt" % number)).write_bytes(b"%06d;" % number * (number * 13))
    make_from_tree(volume, tree, work / "prototype", SIZE_BYTES, *options)
    return contents(tree)


def read_through_tree(volume: Path) -> Dict[str, str]:
    """The contents of a volume without holes, read by our own tree."""
    found: Dict[str, str] = {}
    with FileSource(str(volume)) as source:
        file_system = detect(source)
        assert file_system is not None
        tree = file_system.tree()
        assert tree is not None
        pending = [("", tree.root())]
        while pending:
            above, folder = pending.pop()
            for entry in tree.children(folder):
                if entry.is_folder:
                    found[above + entry.name] = "directory"
                    pending.append((above + entry.name + "/", entry.node))
                    continue
                content = tree.content(entry.node)
                assert content is not None
                data = b"".join(source.read(*extent) for extent in content.extents)
                text = data[: int(entry.name[7:10]) * 13 * 7]
                found[above + entry.name] = hashlib.sha256(text).hexdigest()
    return found


def ask(volume: Path, state: VolumeState = VolumeState.OFFLINE) -> UsedMap:
    with FileSource(str(volume)) as source:
        found = detect(source)
        assert found is not None
        assert found.kind == "xfs"
        return found.used(state)


def assert_whole(volume: Path, words: str, state: VolumeState = VolumeState.OFFLINE) -> None:
    answer = ask(volume, state)
    assert not answer.trusted
    assert words in answer.reason
    assert list(answer.extents) == [(0, volume.stat().st_size)]


def assert_map_is_right(volume: Path, work: Path) -> None:
    check_volume("xfs", volume)
    answer = ask(volume)
    assert answer.trusted, answer.reason
    assert list(answer.extents) == oracles.xfs_db(volume)
    copy = restored(volume, work)
    check_volume("xfs", copy)
    with mounted(volume, work / "a", "xfs", read_only=True, options=["norecovery"]) as folder:
        before = contents(folder)
    with mounted(copy, work / "b", "xfs", read_only=True, options=["norecovery"]) as folder:
        assert contents(folder) == before


@pytest.mark.root
@pytest.mark.parametrize("name", sorted(MATRIX))
def test_equals_xfs_db_and_restores(name: str, memory_path: Path, need) -> None:
    need("mkfs.xfs", "xfs_db", "xfs_repair", "losetup")
    assert_map_is_right(make_xfs(memory_path / "volume", memory_path, *MATRIX[name]), memory_path)


@pytest.mark.parametrize("name", sorted(UNMOUNTABLE))
def test_volumes_that_no_kernel_mounts(name: str, memory_path: Path, need) -> None:
    need("mkfs.xfs", "xfs_db", "xfs_repair")
    volume = memory_path / "volume"
    before = make_from_prototype(volume, memory_path, *UNMOUNTABLE[name])
    check_volume("xfs", volume)
    answer = ask(volume)
    assert answer.trusted, answer.reason
    assert list(answer.extents) == oracles.xfs_db(volume)
    copy = restored(volume, memory_path)
    check_volume("xfs", copy)
    assert read_through_tree(copy) == before


@pytest.mark.root
@pytest.mark.parametrize("name", ["defaults", "block-1k", "no-reflink", "rmapbt"])
def test_holds_what_partclone_saves(name: str, memory_path: Path, need) -> None:
    need("partclone.xfs")
    volume = make_xfs(memory_path / "volume", memory_path, *MATRIX[name])
    theirs, ours = ExtentSet(oracles.partclone("xfs", volume, memory_path)), ask(volume).extents
    assert list(theirs.difference(ours)) == []
    # partclone also leaves out the groups' free lists; these hold a few blocks each, and are in no tree.
    assert ours.difference(theirs).total_bytes == oracles.xfs_free_list_bytes(volume)


def fill_up(folder: Path) -> None:
    for number in range(100_000):
        (folder / ("filler-%05d" % number)).write_bytes(b"f" * (150_000 if number % 2 else 1000))


@pytest.mark.root
def test_nearly_full_and_fragmented(memory_path: Path, need) -> None:
    need("mkfs.xfs", "xfs_db", "xfs_repair")
    volume = make_xfs(memory_path / "volume", memory_path, "-b", "size=1024", files=100)
    with mounted(volume, memory_path / "mnt", "xfs") as folder:
        with pytest.raises(OSError, match="No space left"):
            fill_up(folder)
        for number in range(0, 1500, 2):
            (folder / ("filler-%05d" % number)).unlink(missing_ok=True)
    assert_map_is_right(volume, memory_path)


@pytest.mark.root
def test_xfs_that_grew(memory_path: Path, need) -> None:
    """By two groups and a piece of one."""
    need("mkfs.xfs", "xfs_growfs")
    volume = make_xfs(memory_path / "volume", memory_path, "-d", "agcount=4", files=60)
    os.truncate(volume, SIZE_BYTES * 7 // 4 + 5 * 4096)
    with mounted(volume, memory_path / "mnt", "xfs") as folder:
        run("xfs_growfs", folder)
        make_tree(folder / "later", files=40)
    assert_map_is_right(volume, memory_path)


@pytest.mark.root
def test_log_that_went_round(memory_path: Path, need) -> None:
    """Enough changes to write the smallest log several times over."""
    need("mkfs.xfs", "xfs_db", "xfs_repair")
    volume = empty(memory_path / "volume", SIZE_BYTES)
    run("mkfs.xfs", "-q", "-f", "-b", "size=1024", volume, env=SMALL)
    for turn in range(3):
        with mounted(volume, memory_path / "mnt", "xfs") as folder:
            for number in range(6000):
                (folder / ("%d-%d" % (turn, number))).write_bytes(b"x" * 10)
            for number in range(0, 6000, 2):
                (folder / ("%d-%d" % (turn, number))).unlink()
        assert ask(volume).trusted
    assert_map_is_right(volume, memory_path)


@pytest.mark.root
@pytest.mark.parametrize("name", ["defaults", "block-1k", "rmapbt", "striped-log"])
def test_logs_of_running_and_frozen_volumes(name: str, memory_path: Path, need) -> None:
    need("mkfs.xfs", "xfs_freeze")
    volume = make_xfs(memory_path / "volume", memory_path, *MATRIX[name], files=100)
    running, frozen = memory_path / "running", memory_path / "frozen"
    with mounted(volume, memory_path / "mnt", "xfs") as folder:
        (folder / "new file").write_bytes(b"not there before" * 1000)
        (folder / "busy").mkdir()
        churn(folder / "busy", seed=5)
        shutil.rmtree(folder / "crumbs")
        sync(folder)
        shutil.copy(str(volume), str(running))
        run("xfs_freeze", "-f", folder)
        try:
            shutil.copy(str(volume), str(frozen))
        finally:
            run("xfs_freeze", "-u", folder)
    assert_whole(running, "must be replayed")
    assert_whole(running, "must be replayed", VolumeState.FROZEN)
    # A freeze writes everything to its place, so its trees are right although the log is not empty.
    assert ask(frozen, VolumeState.FROZEN).trusted
    with mounted(only_used(frozen, VolumeState.FROZEN), memory_path / "a", "xfs") as folder:
        assert (folder / "new file").read_bytes() == b"not there before" * 1000
        after = contents(folder)
    check_volume("xfs", frozen.with_suffix(".restored"))
    with mounted(volume, memory_path / "b", "xfs", read_only=True) as folder:
        assert contents(folder) == after
    assert ask(volume).trusted
    assert ask(volume, VolumeState.FROZEN).trusted
    assert_whole(volume, "changes while it is read", VolumeState.LIVE)


@pytest.mark.root
@pytest.mark.parametrize("name", ["defaults", "block-1k", "striped-log"])
def test_a_repaired_volume_is_clean(name: str, memory_path: Path, need) -> None:
    """xfs_repair -L on a volume whose log waited, and xfs_admin -U on a clean one, write an unmount record into a log of zeros."""
    need("mkfs.xfs", "xfs_repair", "xfs_admin", "xfs_db")
    volume = make_xfs(memory_path / "volume", memory_path, *MATRIX[name], files=100)
    renamed, repaired = memory_path / "renamed", memory_path / "repaired"
    shutil.copy(str(volume), str(renamed))
    with mounted(volume, memory_path / "mnt", "xfs") as folder:
        (folder / "later").mkdir()
        churn(folder / "later", seed=5)
        sync(folder)
        shutil.copy(str(volume), str(repaired))
    assert_whole(repaired, "must be replayed")
    run("xfs_repair", "-L", repaired)
    run("xfs_admin", "-U", "generate", renamed)
    for one in (repaired, renamed):
        work = memory_path / ("work-%s" % one.name)
        work.mkdir()
        assert_map_is_right(one, work)
    # The next system that mounts it goes on behind that record: it is clean again afterwards, and waits in between.
    with mounted(renamed, memory_path / "mnt", "xfs") as folder:
        (folder / "later").mkdir()
        churn(folder / "later", seed=6)
        sync(folder)
        shutil.copy(str(renamed), str(repaired))
    assert_whole(repaired, "must be replayed")
    assert_map_is_right(renamed, memory_path)


@pytest.mark.parametrize("name", ["v4", "v4-block-512"])
def test_a_repaired_volume_of_version_4_is_clean(name: str, memory_path: Path, need) -> None:
    need("mkfs.xfs", "xfs_repair", "xfs_admin", "xfs_db")
    volume = memory_path / "volume"
    make_from_prototype(volume, memory_path, *UNMOUNTABLE[name])
    for command in (("xfs_repair", "-L"), ("xfs_admin", "-U", "generate")):
        run(*command, volume)
        answer = ask(volume)
        assert answer.trusted, answer.reason
        assert list(answer.extents) == oracles.xfs_db(volume)


@pytest.mark.root
def test_volumes_that_are_not_understood(memory_path: Path, need) -> None:
    need("mkfs.xfs")
    log = empty(memory_path / "log", 64 * MIB)
    outside = empty(memory_path / "outside", SIZE_BYTES)
    run("mkfs.xfs", "-q", "-f", "-l", "logdev=%s,size=60m" % log, outside, env=SMALL)
    assert_whole(outside, "log on another device")
    realtime = empty(memory_path / "realtime", SIZE_BYTES)
    run(
        "mkfs.xfs",
        "-q",
        "-f",
        "-r",
        "rtdev=%s" % empty(memory_path / "rt", 64 * MIB),
        "-m",
        "reflink=0",
        realtime,
        env=SMALL,
    )
    assert_whole(realtime, "realtime")
    for place, bits, words in (
        (216, 1 << 20, "unknown features"),
        (212, 1 << 20, "unknown features"),
        (216, 0x10, "repair"),
    ):
        volume = empty(memory_path / "volume", SIZE_BYTES)
        run("mkfs.xfs", "-q", "-f", volume, env=SMALL)
        with open(volume, "r+b") as file:
            data = bytearray(file.read(512))
            struct.pack_into(">I", data, place, struct.unpack_from(">I", data, place)[0] | bits)
            data[224:228] = bytes(4)
            struct.pack_into("<I", data, 224, crc32c(bytes(data)))
            file.seek(0)
            file.write(data)
        assert_whole(volume, words)


@pytest.mark.root
@pytest.mark.parametrize("name", ["defaults", "block-1k", "block-1k-folders-8k", "no-reflink"])
def test_left_out_files(name: str, memory_path: Path, need) -> None:
    need("mkfs.xfs", "xfs_repair", "cp")
    mark = b"CONTENT-THAT-NOBODY-NEEDS-AFTER-A-RESTORE "
    volume = make_xfs(memory_path / "volume", memory_path, *MATRIX[name], files=100, many_names=3000)
    with mounted(volume, memory_path / "mnt", "xfs") as folder:
        cache = folder / "var" / "cache" / "Förderband"
        cache.mkdir(parents=True)
        for number in range(900):
            (cache / ("object-%03d.tmp" % number)).write_bytes(mark * (1 + number % 7 * 200))
        (cache / "kept.db").write_bytes(b"this one stays" * 1000)
        os.link(str(cache / "object-001.tmp"), str(folder / "another name"))
        with open(cache / "torn.tmp", "wb") as torn:
            for number in range(400):  # every second block, so that its extents need a tree of their own
                torn.seek(number * 16384)
                torn.write(mark * 20)
        run("cp", "--reflink=auto", cache / "object-006.tmp", folder / "shared content")
    storage = memory_path / "storage"
    storage.mkdir()
    made = image(storage, volume, exclude=["/var/cache/**/*.tmp"], secrets={})
    found = {entry["pattern"]: entry for entry in made["left_out"]}["/var/cache/**/*.tmp"]
    assert found["saved_bytes"] > 10 * MIB
    reflinked = name != "no-reflink"
    # 900 objects and the torn file, without the one that has another name and the one whose content is shared
    assert found["files"] == 900 - (1 if reflinked else 0)
    target = memory_path / "restored"
    restore(storage, target, secrets={})
    check_volume("xfs", target)
    with mounted(volume, memory_path / "a", "xfs", read_only=True) as folder:
        before = contents(folder)
    with mounted(target, memory_path / "b", "xfs", read_only=True) as folder:
        after = contents(folder)
    kept = {"object-001.tmp"} | ({"object-006.tmp"} if reflinked else set())
    different = {path for path in before if before[path] != after.get(path)}
    assert different == {path for path in before if path.endswith(".tmp") and path.split("/")[-1] not in kept}


def _metadata_places(volume: Path, chance: random.Random) -> Iterator[int]:
    """Places worth damaging: superblock, groups' headers, trees, the log's beginning, inodes and folders near them."""
    with FileSource(str(volume)) as source:
        found = detect(source)
        assert found is not None
        group_bytes = found.group_blocks * found.block_bytes  # type: ignore[attr-defined]
    for dummy in range(300):
        yield chance.choice((0, group_bytes, 2 * group_bytes)) + chance.randrange(chance.choice((512, 4096, 600_000)))


@pytest.mark.root
@pytest.mark.parametrize("name", ["block-1k", "v4", "defaults"])
def test_damage_ends_in_the_catalogue(name: str, memory_path: Path, need) -> None:
    """With v4 no checksum hides the parser from the damage."""
    need("mkfs.xfs")
    volume = memory_path / "volume"
    if name in UNMOUNTABLE:
        make_from_prototype(volume, memory_path, *UNMOUNTABLE[name])
    else:
        make_xfs(volume, memory_path, *MATRIX[name], files=60)
    chance = random.Random(7)
    data = bytearray(volume.read_bytes())
    refused = 0
    for place in _metadata_places(volume, chance):
        before = data[place]
        data[place] ^= 1 << chance.randrange(8)
        source = Damaged(data)
        try:
            found = detect(source)
            if found is not None:
                answer = found.used(VolumeState.OFFLINE)
                assert answer.extents.end_bytes <= len(data)
                assert answer.trusted or answer.reason
                walk(found)
        except DiskError:
            refused += 1
        assert source.bytes_read < 40 * len(data)
        data[place] = before
    assert refused


class Damaged(MemorySource):
    """Counts what is read, and shares the bytes that a test changes."""

    def __init__(self, data: bytearray) -> None:
        super().__init__(b"")
        self._damaged = data
        self.size_bytes = len(data)
        self.bytes_read = 0

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        self.check_range(offset_bytes, length_bytes)
        self.bytes_read += length_bytes
        return bytes(self._damaged[offset_bytes : offset_bytes + length_bytes])


def walk(found) -> None:
    tree = found.tree()
    if tree is None:
        return
    pending, visited = [tree.root()], {tree.root()}
    while pending:
        for entry in tree.children(pending.pop()):
            if not entry.is_folder:
                tree.content(entry.node)
            elif entry.node not in visited:
                visited.add(entry.node)
                pending.append(entry.node)
    tree.protected()
