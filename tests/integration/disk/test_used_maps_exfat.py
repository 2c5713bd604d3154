# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""exFAT: used-block maps against dump.exfat and partclone, restored volumes, left-out files, dirty and damaged ones."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
from engine.disk.extents import ExtentSet
from engine.disk.filesystems.contract import UsedMap, VolumeState
from engine.disk.filesystems.registry import detect
from engine.disk.source import FileSource, MemorySource
from engine.errors import DiskError, FileSystemInvalid
from support import oracles
from support.exfat_volumes import mounted
from support.filled import MIB, churn, contents, empty, make_tree, run
from support.imaging import image, restore
from support.maps import restored

MATRIX = {
    "defaults": (96, ()),
    "cluster-512": (64, ("-c", "512")),
    "cluster-1k": (64, ("-c", "1K")),
    "cluster-8k": (96, ("-c", "8K")),
    "cluster-2k": (64, ("-c", "2K")),
    "cluster-16k": (96, ("-c", "16K")),
    "cluster-64k": (128, ("-c", "64K")),
    "cluster-1m": (900, ("-c", "1M")),
    "cluster-32m": (3000, ("-c", "32M")),
    "boundary-4m": (96, ("-b", "4M")),
    "packed-bitmap": (96, ("--pack-bitmap",)),
}
FEW_FILES = {"cluster-1m": 20, "cluster-32m": 2}


def make_exfat(volume: Path, work: Path, size_mib: int, *options: str, files: int = 300) -> Path:
    run("mkfs.exfat", "-L", "Fräse 7", *options, empty(volume, size_mib * MIB))
    with mounted(volume, work / "mnt") as folder:
        if files < 50:  # clusters so large that few files fill the volume
            for number in range(files):
                (folder / ("großes Bild %d.bin" % number)).write_bytes(random.Random(number).randbytes(MIB + number))
        else:
            tree = make_tree(folder / "tree", files=files, links=False)
            churn(tree)
    return volume


def ask(volume: Path, state: VolumeState = VolumeState.OFFLINE) -> UsedMap:
    with FileSource(str(volume)) as source:
        found = detect(source)
        assert found is not None
        assert found.kind == "exfat"
        return found.used(state)


def patch(volume: Path, offset: int, data: bytes) -> None:
    with open(volume, "r+b") as file:
        file.seek(offset)
        file.write(data)


def bitmap_place(volume: Path) -> int:
    """Where the allocation bitmap begins: mkfs.exfat puts it into the first cluster."""
    with open(volume, "rb") as file:
        boot = file.read(512)
    return struct.unpack_from("<I", boot, 88)[0] << boot[108]


@pytest.mark.root
@pytest.mark.parametrize("name", sorted(MATRIX))
def test_equals_dump_exfat_and_partclone_and_restores(name: str, memory_path: Path, need) -> None:
    need("mkfs.exfat", "mount.exfat-fuse", "dump.exfat", "fsck.exfat", "partclone.exfat", "losetup")
    size_mib, options = MATRIX[name]
    volume = make_exfat(memory_path / "volume", memory_path, size_mib, *options, files=FEW_FILES.get(name, 300))
    run("fsck.exfat", "-n", volume)
    ours = ask(volume).extents
    assert list(ours) == oracles.exfat_bitmap(volume)
    assert list(ExtentSet(oracles.partclone("exfat", volume, memory_path)).difference(ours)) == []
    copy = restored(volume, memory_path)
    run("fsck.exfat", "-n", copy)
    with mounted(volume, memory_path / "a", read_only=True) as folder:
        before = contents(folder)
    with mounted(copy, memory_path / "b", read_only=True) as folder:
        assert contents(folder) == before


@pytest.mark.root
def test_sectors_of_4096_bytes(memory_path: Path, need) -> None:
    need("mkfs.exfat", "fsck.exfat", "losetup")
    volume = empty(memory_path / "volume", 96 * MIB)
    loop = run("losetup", "-f", "--show", "-b", "4096", volume).strip()
    try:
        run("mkfs.exfat", loop)
    finally:
        run("losetup", "-d", loop)
    with open(volume, "rb") as file:
        assert file.read(109)[108] == 12
    with mounted(volume, memory_path / "mnt", sector_bytes=4096) as folder:
        make_tree(folder / "tree", files=100, links=False)
    assert list(ask(volume).extents) == oracles.exfat_bitmap(volume)
    copy = restored(volume, memory_path)
    run("fsck.exfat", "-n", copy)
    with mounted(volume, memory_path / "a", read_only=True, sector_bytes=4096) as folder:
        before = contents(folder)
    with mounted(copy, memory_path / "b", read_only=True, sector_bytes=4096) as folder:
        assert contents(folder) == before


@pytest.mark.root
def test_dirty_is_trusted_only_where_files_and_bitmap_agree(memory_path: Path, need) -> None:
    need("mkfs.exfat", "mount.exfat-fuse")
    volume = make_exfat(memory_path / "volume", memory_path, 64, files=100)
    clean = ask(volume).extents
    for state in (VolumeState.OFFLINE, VolumeState.FROZEN):
        patch(volume, 106, b"\x02\x00")
        assert ask(volume, state) == UsedMap(clean, True, "")
    assert "changes while it is read" in ask(volume, VolumeState.LIVE).reason
    patch(volume, bitmap_place(volume) + 100, bytes(50))
    answer = ask(volume)
    assert not answer.trusted
    assert "marked dirty" in answer.reason
    assert list(answer.extents) == [(0, volume.stat().st_size)]


@pytest.mark.root
def test_left_out_files(memory_path: Path, need) -> None:
    need("mkfs.exfat", "mount.exfat-fuse", "fsck.exfat")
    mark = b"CONTENT-THAT-NOBODY-NEEDS-AFTER-A-RESTORE "
    volume = make_exfat(memory_path / "volume", memory_path, 96, files=100)
    with mounted(volume, memory_path / "mnt") as folder:
        logs = folder / "Protokolle der Förderbänder" / "日本語"
        logs.mkdir(parents=True)
        for number in range(300):
            (logs / ("a rather long name of a log %03d.LOG" % number)).write_bytes(mark * 300)
        (logs / "kept.txt").write_bytes(b"stays" * 5000)
        (folder / "pagefile.sys").write_bytes(mark * 9000)
    storage = memory_path / "storage"
    storage.mkdir()
    pattern = "\\protokolle der FÖRDERBÄNDER\\**\\*.log"
    made = image(storage, volume, exclude=[pattern], secrets={})
    found = {entry["pattern"]: entry for entry in made["left_out"]}
    assert found[pattern]["files"] == 300
    assert found["\\pagefile.sys"]["files"] == 1
    target = memory_path / "restored"
    restore(storage, target, secrets={})
    run("fsck.exfat", "-n", target)
    with mounted(volume, memory_path / "a", read_only=True) as folder:
        before = contents(folder)
    with mounted(target, memory_path / "b", read_only=True) as folder:
        after = contents(folder)
    different = {name for name in before if before[name] != after.get(name)}
    assert different == {name for name in before if name.endswith((".LOG", "pagefile.sys"))}
    # The head of the page file stays, a page of it, and nothing else of all this.
    assert target.read_bytes().count(b"CONTENT-THAT-NOBODY-NEEDS") <= -(-4096 // len(mark))


@pytest.mark.root
def test_damaged_boot_region_is_refused(memory_path: Path, need) -> None:
    need("mkfs.exfat")
    volume = empty(memory_path / "volume", 64 * MIB)
    run("mkfs.exfat", volume)
    patch(volume, 112, b"\x63")  # how full it is: not in the checksum, and not looked at
    assert ask(volume).trusted
    patch(volume, 200, b"\x01")
    with pytest.raises(FileSystemInvalid, match="checksum"):
        ask(volume)


def sealed(data: bytearray) -> None:
    """Make the boot region's checksum right again, so that it does not hide the parser from the damage."""
    total = 0
    for place in range(11 * 512):
        if place not in (106, 107, 112):
            total = ((total & 1) << 31) + (total >> 1) + data[place] & 0xFFFFFFFF
    data[11 * 512 : 12 * 512] = struct.pack("<I", total) * 128


@pytest.mark.parametrize("state", list(VolumeState))
@pytest.mark.parametrize("how", ["two tables", "the second one is active"])
def test_texfat_is_imaged_whole(how: str, state: VolumeState, memory_path: Path, need) -> None:
    """With two allocation tables and bitmaps the flags say which ones count [exFAT specification, 3.1.13.1, 3.1.16]."""
    need("mkfs.exfat")
    volume = empty(memory_path / "volume", 64 * MIB)
    run("mkfs.exfat", volume)
    data = bytearray(volume.read_bytes())
    if how == "two tables":
        data[110] = 2
        length = struct.unpack_from("<I", data, 84)[0]
        # The second one takes half of the room of the first, which is enough for half of the clusters.
        data[84:88], data[92:96] = struct.pack("<I", length // 2), struct.pack("<I", length // 2 * 512 // 4 - 2)
    else:
        data[106] |= 1
    sealed(data)
    volume.write_bytes(data)
    answer = ask(volume, state)
    assert not answer.trusted
    assert list(answer.extents) == [(0, 64 * MIB)]
    assert "TexFAT" in answer.reason or state is VolumeState.LIVE


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


@pytest.mark.root
def test_damage_ends_in_the_catalogue(memory_path: Path, need) -> None:
    need("mkfs.exfat", "mount.exfat-fuse")
    volume = make_exfat(memory_path / "volume", memory_path, 24, files=60)
    data = bytearray(volume.read_bytes())
    data[106] |= 2  # dirty: then the whole tree is looked at
    fat = struct.unpack_from("<I", data, 80)[0] * 512
    heap = bitmap_place(volume)
    chance = random.Random(11)
    refused = 0
    for turn in range(400):
        places = ((64, 48), (fat, 20_000), (heap, 60_000), (heap, 2_000_000))
        start, length = places[turn % 4]
        place = start + chance.randrange(length)
        before = data[place]
        data[place] ^= 1 << chance.randrange(8)
        sealed(data)
        source = Damaged(data)
        try:
            found = detect(source)
            if found is not None:
                answer = found.used(VolumeState.OFFLINE)
                assert answer.extents.end_bytes <= len(data)
                refused += not answer.trusted
        except DiskError:
            refused += 1
        assert source.bytes_read < 40 * len(data)
        data[place] = before
    assert refused
