# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files left out of ext and FAT volumes: their content is gone, everything else is identical, the checker is content."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from engine.disk.extents import ExtentSet
from engine.disk.filesystems.contract import VolumeState
from engine.disk.layout import read_layout
from engine.disk.patterns import Pattern
from engine.disk.source import FileSource
from engine.disk.used import DiskPlan, plan_disk
from engine.host import linux_mounts as mounts
from support.filled import MIB, check_volume, contents, empty, fat_contents, make_tree, mounted, run
from support.imaging import image, restore

MARK = b"CONTENT-THAT-NOBODY-NEEDS-AFTER-A-RESTORE "


@pytest.mark.root
@pytest.mark.parametrize(
    "options",
    [
        ("-t", "ext4"),
        ("-t", "ext4", "-b", "1024"),
        ("-t", "ext2", "-b", "1024"),
        ("-t", "ext4", "-O", "bigalloc", "-C", "16384"),
    ],
    ids=["ext4-4k", "ext4-1k", "ext2-1k", "ext4-bigalloc"],
)
def test_ext(options: tuple, memory_path: Path, need) -> None:
    need("mke2fs", "e2fsck", "losetup")
    volume = empty(memory_path / "volume", 96 * MIB)
    run("mke2fs", "-q", "-F", *options, volume)
    with mounted(volume, memory_path / "mnt", "ext4") as folder:
        make_tree(folder / "keep", files=200)
        cache = folder / "var" / "cache"
        (cache / "deep" / "deeper").mkdir(parents=True)
        for number in range(300):
            (cache / ("object-%03d.tmp" % number)).write_bytes(MARK * 500)
        (cache / "deep" / "deeper" / "large.tmp").write_bytes(MARK * 200_000)
        (cache / "deep" / "index.db").write_bytes(b"this one stays" * 1000)
        (cache / "linked.tmp").write_bytes(b"it has another name outside" * 1000)
        os.link(str(cache / "linked.tmp"), str(folder / "keep" / "linked"))
        (folder / "swapfile").write_bytes(MARK * 50_000)
        os.symlink("/etc/passwd", str(cache / "link.tmp"))
    whole = memory_path / "s1"
    whole.mkdir()
    everything = image(whole, volume, secrets={})["bytes_in_use"]
    storage = memory_path / "s2"
    storage.mkdir()
    made = image(storage, volume, exclude=["/var/cache/**/*.tmp", "/swapfile", "/nothing/here"], secrets={})
    found = {entry["pattern"]: entry for entry in made["left_out"]}
    assert found["/var/cache/**/*.tmp"]["files"] == 301
    assert found["/swapfile"]["files"] == 1
    saved = sum(entry["saved_bytes"] for entry in found.values())
    assert saved == everything - made["bytes_in_use"] > 12 * MIB
    assert any("/nothing/here" in warning for warning in made["warnings"])
    assert any("another name" in warning for warning in made["warnings"])
    restored = memory_path / "restored"
    restore(storage, restored, secrets={})
    check_volume("ext", restored)
    with mounted(volume, memory_path / "a", "ext4", read_only=True) as one:
        before = contents(one)
    with mounted(restored, memory_path / "b", "ext4", read_only=True) as two:
        after = contents(two)
    assert set(before) == set(after)
    different = {name for name in before if before[name] != after[name]}
    assert different == {name for name in before if name.endswith(".tmp") and "link" not in name} | {"swapfile"}


@pytest.mark.parametrize(
    "options",
    [(8, "-F", "12"), (40, "-F", "16"), (64, "-F", "32", "-s", "1")],
    ids=["fat12", "fat16", "fat32"],
)
def test_fat(options: tuple, memory_path: Path, need) -> None:
    need("mkfs.fat", "mcopy", "fsck.fat")
    size_mib, *rest = options
    volume = empty(memory_path / "volume", size_mib * MIB)
    run("mkfs.fat", *rest, volume)
    tree = memory_path / "tree"
    (tree / "Logs Of The Press" / "old").mkdir(parents=True)
    for number in range(40):
        (tree / "Logs Of The Press" / ("a long name of log %02d.LOG" % number)).write_bytes(MARK * 700)
        (tree / "Logs Of The Press" / ("kept %02d.txt" % number)).write_bytes(b"stays" * 700)
    (tree / "Logs Of The Press" / "old" / "older.log").write_bytes(MARK * 9000)
    (tree / "pagefile.sys").write_bytes(MARK * 9000)
    run("mcopy", "-i", volume, "-s", *sorted(tree.iterdir()), "::/")
    storage = memory_path / "storage"
    storage.mkdir()
    made = image(storage, volume, exclude=["C:\\logs of the press\\**\\*.log"], secrets={})
    by_letter = [warning for warning in made["warnings"] if "drive letters" in warning]
    assert by_letter, "a file has no drive letter, so the pattern matches nothing, and that is said"
    made = image(storage, volume, exclude=["\\logs of the press\\**\\*.log"], secrets={})
    found = {entry["pattern"]: entry for entry in made["left_out"]}
    assert found["\\logs of the press\\**\\*.log"]["files"] == 41
    assert found["\\pagefile.sys"]["files"] == 1
    restored = memory_path / "restored"
    restore(storage, restored, secrets={})
    check_volume("fat", restored)
    before, after = fat_contents(volume, memory_path), fat_contents(restored, memory_path)
    different = {name for name in before if before[name] != after.get(name)}
    assert different == {name for name in before if name.lower().endswith((".log", "pagefile.sys"))}
    kept = restored.read_bytes()
    assert kept.count(MARK) == 4096 // len(MARK), "the first page of pagefile.sys"
    assert kept[kept.index(MARK) :][: 4096 + 64].rstrip(b"\0") == (MARK * 100)[:4096]


def swap_file(folder: Path, name: str, size_mib: int) -> None:
    path = folder / name
    path.write_bytes(MARK * (size_mib * MIB // len(MARK)))
    run("mkswap", "-U", "11111111-2222-3333-4444-555555555555", path)


@pytest.mark.root
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_what_is_swapped_to_a_file_is_left_out_and_the_restored_file_is_swap_space_still(
    kind: str, memory_path: Path, need
) -> None:
    need("mke2fs", "mkfs.xfs", "mkswap", "losetup")
    volume = empty(memory_path / "volume", 320 * MIB)
    run(*(("mke2fs", "-q", "-F", "-t", "ext4") if kind == "ext4" else ("mkfs.xfs", "-q")), volume)
    with mounted(volume, memory_path / "mnt", kind) as folder:
        make_tree(folder / "keep", files=100)
        swap_file(folder, "swap.img", 24)
        (folder / "var").mkdir()
        swap_file(folder / "var", "swap[1]", 4)
        swap_file(folder, "unused.img", 4)
        (folder / "noswap").write_bytes(MARK * 1000)

    def planned(*paths: str, points: tuple = ("/",), **more: object) -> DiskPlan:
        with FileSource(str(volume)) as source:
            return plan_disk(
                source,
                read_layout(source),
                lambda partition: VolumeState.FROZEN,
                mount_points_of=lambda partition: points,
                swap_files=paths,
                **more,
            )

    whole, plan = planned(), planned("/swap.img", "/on/another/volume", "/var/swap[1]", "/noswap")
    assert [(one.pattern, one.automatic) for one in plan.left_out] == [("/swap.img", True)]
    saved = whole.used.total_bytes - plan.used.total_bytes
    assert plan.left_out[0].saved_bytes == saved
    assert saved == 24 * MIB // len(MARK) * len(MARK) // 4096 * 4096 + 4096 - 4096
    assert len(plan.warnings) == 2
    assert any("/var/swap[1] stays" in warning and "pattern" in warning for warning in plan.warnings)
    assert any("/noswap stays" in warning and "first page" in warning for warning in plan.warnings)
    assert planned("/data/swap.img", points=("/data",)).used == plan.used
    assert planned("/swap.img", points=()).used == whole.used, "nothing is known of a volume that is not mounted"
    by_hand = planned("/swap.img", exclude=[Pattern.parse("/swap.img")])
    assert by_hand.warnings == []
    restored = empty(memory_path / "restored", 320 * MIB)
    with open(volume, "rb") as old, open(restored, "r+b") as new:
        for extent in plan.used:
            old.seek(extent.start_bytes)
            new.seek(extent.start_bytes)
            new.write(old.read(extent.length_bytes))
    check_volume("ext" if kind == "ext4" else kind, restored)
    with mounted(restored, memory_path / "after", kind, read_only=True) as folder:
        content = (folder / "swap.img").read_bytes()
        assert "11111111-2222-3333-4444-555555555555" in run("blkid", "-p", "-o", "export", folder / "swap.img")
        assert MARK not in content[4096:]
        assert (folder / "unused.img").read_bytes().count(MARK) > 1000
        assert MARK in (folder / "noswap").read_bytes()


def test_the_swap_files_of_a_system(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = (
        "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
        "/dev/sda3                               partition\t8388604\t0\t-2\n"
        "/swap\\040file.img                       file\t\t2097148\t0\t-3\n"
    )
    monkeypatch.setattr(mounts, "_text", lambda path: listed if path == "/proc/swaps" else "")
    assert mounts.swap_files() == ["/swap file.img"]


@pytest.mark.root
@pytest.mark.parametrize("place", ["inode table", "bitmap", "journal"])
def test_a_file_that_claims_what_is_the_file_systems_own_takes_nothing_away(
    place: str, memory_path: Path, need
) -> None:
    """A volume marked clean, with a file that was made to lie over the structures."""
    need("mke2fs", "debugfs", "dumpe2fs", "losetup")
    volume = empty(memory_path / "volume", 32 * MIB)
    run("mke2fs", "-q", "-F", "-t", "ext3", "-b", "1024", "-O", "^extents", volume)
    with mounted(volume, memory_path / "mnt", "ext3") as folder:
        (folder / "victim").write_bytes(MARK * 200)
    told = run("dumpe2fs", volume)
    if place == "journal":
        block = int(run("debugfs", "-R", "bmap <8> 5", volume).split()[-1])
    else:
        words = {"inode table": "Inode table at ", "bitmap": "Block bitmap at "}[place]
        block = int(re.search(words + r"(\d+)", told).group(1)) + (1 if place == "inode table" else 0)  # type: ignore[union-attr]
    run("debugfs", "-w", "-R", "set_inode_field /victim block[0] %d" % block, volume)

    def planned(*exclude: str) -> ExtentSet:
        with FileSource(str(volume)) as source:
            patterns = [Pattern.parse(text) for text in exclude]
            return plan_disk(source, read_layout(source), lambda partition: VolumeState.OFFLINE, exclude=patterns).used

    gone = planned().difference(planned("/victim"))
    assert gone, "its other block is left out"
    assert not gone.intersection(ExtentSet([(block * 1024, 1024)]))
