# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NTFS: used-block maps against ntfsclone and partclone; each volume restored, checked, compared file by file."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from engine.disk.filesystems.contract import VolumeState
from engine.disk.filesystems.ntfs import Ntfs
from engine.disk.filesystems.ntfs_attributes import ATTRIBUTE_LIST
from engine.disk.filesystems.ntfs_table import FileTable
from engine.disk.filesystems.registry import detect
from engine.disk.source import FileSource
from engine.errors import FileSystemInvalid
from support import oracles
from support.filled import MIB, check_volume, contents, empty, make_ntfs, mounted, run
from support.imaging import image, restore
from support.maps import assert_equals_oracle, assert_restores, assert_same, ntfs_tail, our_map
from support.ntfs_surgery import Surgery, spread_bitmap, spread_table
from support.refusing import failing

NTFS = {
    "cluster-512": (64, "-c", "512"),
    "cluster-1k": (64, "-c", "1024"),
    "cluster-2k": (64, "-c", "2048"),
    "cluster-4k": (64, "-c", "4096"),
    "cluster-8k": (64, "-c", "8192"),
    "cluster-16k": (64, "-c", "16384"),
    "cluster-32k": (96, "-c", "32768"),
    "cluster-64k": (128, "-c", "65536"),
    "sector-1k": (64, "-s", "1024"),
    "sector-2k": (64, "-s", "2048", "-c", "8192"),
    "sector-4k": (64, "-s", "4096", "-c", "4096"),
    "sector-4k-cluster-64k": (128, "-s", "4096", "-c", "65536"),
    "indexing-off-zone-4": (64, "-I", "-z", "4"),
}
LARGE_CLUSTERS = {131072: 256, 262144: 256, 524288: 384, 1 << 20: 512, 2 << 20: 8192}


def assert_map_is_right(volume: Path, work: Path, *, by_partclone: bool = True) -> None:
    check_volume("ntfs", volume)
    assert_equals_oracle("ntfs", volume)
    if by_partclone:
        ours = our_map(volume)
        assert_same(ours.extents, oracles.partclone("ntfs", volume, work), ntfs_tail(volume, ours.cluster_bytes))
    assert_restores("ntfs", "ntfs", volume, work)


@pytest.mark.root
@pytest.mark.parametrize("name", sorted(NTFS))
def test_ntfs_equals_ntfsclone_and_partclone_and_restores(name: str, memory_path: Path, need) -> None:
    need("mkntfs", "ntfsclone", "partclone.ntfs", "ntfs-3g", "losetup")
    size_mib, *options = NTFS[name]
    volume = make_ntfs(memory_path / "volume", memory_path, int(size_mib) * MIB, *map(str, options), files=150)
    assert_map_is_right(volume, memory_path)


@pytest.mark.root
@pytest.mark.parametrize("cluster_bytes", sorted(LARGE_CLUSTERS))
def test_clusters_above_64_kib(cluster_bytes: int, memory_path: Path, need) -> None:
    """The boot sector counts them as a power of two."""
    need("mkntfs", "ntfsclone", "ntfs-3g", "losetup")
    volume = empty(memory_path / "volume", LARGE_CLUSTERS[cluster_bytes] * MIB)
    run("mkntfs", "-F", "-Q", "-q", "-c", cluster_bytes, volume)
    with mounted(volume, memory_path / "mnt", "ntfs") as folder:
        for number in range(30):
            (folder / ("recipe %d.txt" % number)).write_bytes(b"%07d " % number * (number * 30))
        with open(folder / "sparse.img", "wb") as file:
            file.truncate(16 * MIB)
            file.seek(9 * MIB)
            file.write(b"island")
        for number in range(0, 30, 3):
            (folder / ("recipe %d.txt" % number)).unlink()
    assert our_map(volume).cluster_bytes == cluster_bytes
    assert_map_is_right(volume, memory_path, by_partclone=False)


def has_attribute_list(volume: Path, number: int) -> bool:
    with FileSource(str(volume)) as source:
        table = FileTable(source, Ntfs(source, source.read(0, 512))._geometry)
        return any(attribute.kind == ATTRIBUTE_LIST for attribute in table.record(number).attributes)


@pytest.mark.root
@pytest.mark.parametrize("parts", [2, 4])
@pytest.mark.parametrize("cluster_bytes", [512, 4096])
def test_a_master_file_table_behind_an_attribute_list(parts: int, cluster_bytes: int, memory_path: Path, need) -> None:
    """As in a table that grew in so many pieces that its own record is too small; ntfs-3g reads it, but never makes it."""
    need("mkntfs", "ntfsclone", "ntfs-3g")
    volume = make_ntfs(memory_path / "volume", memory_path, 64 * MIB, "-c", str(cluster_bytes), files=60)
    before = our_map(volume).extents
    spread_table(volume, parts)
    assert has_attribute_list(volume, 0)
    assert our_map(volume).extents == before
    assert_map_is_right(volume, memory_path)


@pytest.mark.root
@pytest.mark.parametrize("parts", [1, 2, 5])
def test_a_bitmap_behind_an_attribute_list(parts: int, memory_path: Path, need) -> None:
    need("mkntfs", "ntfsclone", "ntfs-3g")
    volume = make_ntfs(memory_path / "volume", memory_path, 64 * MIB, "-c", "512", files=60)
    before = our_map(volume).extents
    spread_bitmap(volume, parts)
    assert has_attribute_list(volume, 6)
    assert our_map(volume).extents == before
    assert_map_is_right(volume, memory_path)


@pytest.mark.root
def test_a_volume_that_grew_and_shrank(memory_path: Path, need) -> None:
    need("mkntfs", "ntfsresize")
    volume = make_ntfs(memory_path / "volume", memory_path, 48 * MIB, files=60)
    os.truncate(volume, 80 * MIB)
    run("ntfsresize", "-f", "-f", volume, input=b"y\n")
    run("ntfsfix", "-d", volume)  # it asks Windows to look; nothing is left to be done
    assert_map_is_right(volume, memory_path)


# -- bitmaps that are not to be believed ------------------------------------------------------------------------------


@pytest.fixture
def ntfs(memory_path: Path, need) -> Path:
    need("mkntfs", "ntfs-3g", "losetup")
    return make_ntfs(memory_path / "volume", memory_path, 32 * MIB, files=40)


def assert_whole(volume: Path, words: str) -> None:
    with FileSource(str(volume)) as source:
        found = detect(source)
        assert found is not None
        answer = found.used(VolumeState.OFFLINE)
    assert not answer.trusted
    assert words in answer.reason
    assert list(answer.extents) == [(0, volume.stat().st_size)]


def change_bitmap(volume: Path, place: int, kind: str, value: int) -> None:
    """Change a field of the attribute that holds ``$Bitmap``."""
    surgery = Surgery(volume)
    record = bytearray(surgery.read(6))
    start = record.index(struct.pack("<I", 0x80), struct.unpack_from("<H", record, 20)[0])
    struct.pack_into(kind, record, start + place, value)
    surgery.write(6, bytes(record))


@pytest.mark.root
@pytest.mark.parametrize("flags", [0x0001, 0x4000])
def test_a_bitmap_that_is_compressed_or_encrypted_is_not_read(ntfs: Path, flags: int) -> None:
    change_bitmap(ntfs, 12, "<H", flags)
    assert_whole(ntfs, "compressed")


@pytest.mark.root
@pytest.mark.parametrize("place", [48, 56], ids=["size", "initialized"])
def test_a_bitmap_shorter_than_the_volume_is_not_believed(ntfs: Path, place: int) -> None:
    change_bitmap(ntfs, place, "<Q", 512)
    assert_whole(ntfs, "too short")


@pytest.mark.root
@pytest.mark.parametrize("record", [0, 2, 6, 10])
def test_a_bitmap_that_calls_a_system_file_free_is_not_believed(ntfs: Path, record: int) -> None:
    with FileSource(str(ntfs)) as source:
        table = FileTable(source, Ntfs(source, source.read(0, 512))._geometry)
        cluster = next(iter(table.extents(table.attributes(record)))).start_bytes // table.geometry.cluster_bytes
    surgery = Surgery(ntfs)
    run_of_bitmap = surgery.bitmap.runs[0]
    assert run_of_bitmap.lcn is not None
    with open(ntfs, "r+b") as file:
        file.seek(run_of_bitmap.lcn * surgery.cluster_bytes + cluster // 8)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte & ~(1 << cluster % 8)]))
    assert_whole(ntfs, "files of the file system itself")


@pytest.mark.root
def test_a_table_that_begins_elsewhere_is_refused(ntfs: Path) -> None:
    with open(ntfs, "r+b") as file:
        file.seek(48)
        file.write(struct.pack("<Q", 1 << 60))
    with FileSource(str(ntfs)) as source, failing(FileSystemInvalid, reason="outside the volume"):
        detect(source)


# -- files left out ---------------------------------------------------------------------------------------------------


@pytest.mark.root
def test_left_out_files(memory_path: Path, need) -> None:
    """Patterns in any case; streams and compressed content go with their file; a hard link elsewhere keeps it."""
    need("mkntfs", "ntfs-3g")
    mark = os.urandom(64)
    volume = make_ntfs(memory_path / "volume", memory_path, 96 * MIB, files=100)
    with mounted(volume, memory_path / "mnt", "ntfs", options=["compression"]) as folder:
        logs = folder / "Protokolle der Förderbänder" / "日本語"
        logs.mkdir(parents=True)
        for number in range(300):
            (logs / ("a rather long name of a log %03d.LOG" % number)).write_bytes(mark * (number * 20))
        (logs / "kept.txt").write_bytes(b"stays" * 5000)
        (logs / "linked.log").write_bytes(b"it has another name" * 1000)
        os.link(str(logs / "linked.log"), str(folder / "another name"))
        (logs.parent / "outside.log").write_bytes(b"one folder above" * 1000)
        os.setxattr(str(logs / "a rather long name of a log 299.LOG"), "user.notes", mark * 900)
        packed = folder / "packed"
        packed.mkdir()
        os.setxattr(str(packed), "system.ntfs_attrib_be", (0x810).to_bytes(4, "big"))
        (packed / "trace.log").write_bytes(b"the same again and again\n" * 40_000)
        with open(packed / "dump.log", "wb") as file:
            file.truncate(30 * MIB)
            file.seek(20 * MIB)
            file.write(mark * 2000)
        for name in ("pagefile.sys", "hiberfil.sys"):
            (folder / name).write_bytes(b"W" + mark * 9000)
    storage, target = memory_path / "storage", memory_path / "restored"
    storage.mkdir()
    deep, near, nothing = "\\protokolle der FÖRDERBÄNDER\\*\\*.log", "\\PACKED\\*.LOG", "\\packed\\*.tmp"
    made = image(storage, volume, exclude=[deep, near, nothing], secrets={})
    found = {entry["pattern"]: entry for entry in made["left_out"]}
    assert found[deep]["files"] == 300
    assert found[near]["files"] == 2
    assert found[near]["saved_bytes"] < MIB, "holes and compression save what they do not need"
    assert found[nothing] == {"pattern": nothing, "automatic": False, "files": 0, "saved_bytes": 0}
    assert found["\\pagefile.sys"]["files"] == found["\\hiberfil.sys"]["files"] == 1
    assert any(nothing in warning and "matches no file" in warning for warning in made["warnings"])
    assert any("1 files that" in warning and "another name" in warning for warning in made["warnings"])
    restore(storage, target, secrets={})
    check_volume("ntfs", target)
    with mounted(volume, memory_path / "a", "ntfs", read_only=True) as folder:
        before = contents(folder)
    with mounted(target, memory_path / "b", "ntfs", read_only=True) as folder:
        after = contents(folder)
        stream = os.getxattr(str(folder / "large.bin"), "user.stream")
        assert stream == b"an alternate stream " * 400
    # Of the two files of the system the first page stays, so that no header of an older file is taken for theirs.
    head = (b"W" + mark * 64)[:4096]
    image_bytes = target.read_bytes()
    assert image_bytes.count(head) == 2
    assert mark not in image_bytes.replace(head, b"")
    different = {name for name in before if before[name] != after.get(name)}
    gone = {
        name for name in before if name.endswith(".LOG") and "log 000" not in name
    }  # an empty one has nothing to lose
    assert different == gone | {"packed/trace.log", "packed/dump.log", "pagefile.sys", "hiberfil.sys"}
