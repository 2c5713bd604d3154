# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files left out of ext and FAT volumes: their content is gone, everything else is identical, the checker is content."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
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
    assert b"CONTENT-THAT-NOBODY-NEEDS" not in restored.read_bytes()
