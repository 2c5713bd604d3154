# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a bitmap is trusted: each cell of the table in docs/architecture.md, with a volume that stands in that state."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path
from typing import Callable, Dict

import pytest
from engine.disk.filesystems.contract import UsedMap, VolumeState
from engine.disk.filesystems.ntfs import Ntfs
from engine.disk.filesystems.ntfs_attributes import DATA
from engine.disk.filesystems.ntfs_table import FileTable
from engine.disk.filesystems.registry import detect
from engine.disk.source import FileSource
from support.filled import (
    MIB,
    check_volume,
    contents,
    empty,
    fat_contents,
    make_ext,
    make_fat,
    make_ntfs,
    make_tree,
    mounted,
    run,
    sync,
)
from support.maps import only_used

OFFLINE, FROZEN, LIVE = VolumeState.OFFLINE, VolumeState.FROZEN, VolumeState.LIVE
MFT_RECORD_BYTES = 1024


def ask(volume: Path, state: VolumeState) -> UsedMap:
    with FileSource(str(volume)) as source:
        found = detect(source)
        assert found is not None
        return found.used(state)


def assert_whole(volume: Path, state: VolumeState, words: str) -> None:
    answer = ask(volume, state)
    assert not answer.trusted
    assert words in answer.reason
    assert list(answer.extents) == [(0, volume.stat().st_size)]


def patch(volume: Path, offset: int, data: bytes) -> None:
    with open(volume, "r+b") as file:
        file.seek(offset)
        file.write(data)


def peek(volume: Path, offset: int, length: int) -> bytes:
    with open(volume, "rb") as file:
        file.seek(offset)
        return file.read(length)


# -- NTFS -------------------------------------------------------------------------------------------------------------


def ntfs_place(volume: Path, record: int) -> int:
    """Where the data of one of the file system's own files begins on the volume, in bytes."""
    with FileSource(str(volume)) as source:
        table = FileTable(source, Ntfs(source, source.read(0, 512))._geometry)
        data = table.joined(table.attributes(record), DATA, "its own file")
        assert data.runs[0].lcn is not None
        return data.runs[0].lcn * table.geometry.cluster_bytes


def unclean_journal(volume: Path) -> None:
    """A journal with an active client, as every shadow copy and every machine that lost power has one."""
    area = struct.pack("<QHHHH", 4711, 1, 0xFFFF, 0, 0)
    page = (b"RSTR" + struct.pack("<HH", 30, 9) + bytes(16) + struct.pack("<H", 48)).ljust(48, b"\0") + area
    patch(volume, ntfs_place(volume, 2), page.ljust(4096, b"\0") * 2)


def mark_ntfs_dirty(volume: Path) -> None:
    boot = peek(volume, 0, 512)
    cluster_bytes = struct.unpack_from("<H", boot, 11)[0] * boot[13]
    place = struct.unpack_from("<Q", boot, 48)[0] * cluster_bytes + 3 * MFT_RECORD_BYTES
    record = peek(volume, place, MFT_RECORD_BYTES)
    attribute = struct.unpack_from("<H", record, 20)[0]
    while struct.unpack_from("<I", record, attribute)[0] != 0x70:
        attribute += struct.unpack_from("<I", record, attribute + 4)[0]
    content = attribute + struct.unpack_from("<H", record, attribute + 20)[0]
    patch(volume, place + content + 10, b"\x01\x00")


def free_a_used_cluster(volume: Path) -> None:
    """Call clusters of a file free in ``$Bitmap``, as a machine that lost power may have left it."""
    with FileSource(str(volume)) as source:
        found = detect(source)
        assert found is not None
        tree = found.tree()
        assert tree is not None
        node = next(entry.node for entry in tree.children(tree.root()) if entry.name == "large.bin")
        content = tree.content(node)
        assert content is not None
        cluster = max(content.extents, key=lambda extent: extent.length_bytes).start_bytes // found.cluster_bytes
    patch(volume, ntfs_place(volume, 6) + cluster // 8 + 4, bytes(8))


def hibernate(volume: Path, work: Path) -> None:
    with mounted(volume, work / "mnt", "ntfs") as folder:
        (folder / "hiberfil.sys").write_bytes(b"HIBR" + bytes(8 * 4096))


@pytest.fixture(scope="module")
def ntfs_master(tmp_path_factory: pytest.TempPathFactory, need) -> Path:
    need("mkntfs", "ntfs-3g", "losetup")
    folder = tmp_path_factory.mktemp("ntfs")
    return make_ntfs(folder / "volume", folder, 48 * MIB, files=200)


@pytest.fixture
def ntfs(ntfs_master: Path, memory_path: Path) -> Path:
    return Path(shutil.copy(str(ntfs_master), str(memory_path / "volume")))


def assert_ntfs_files_survive(volume: Path, state: VolumeState, work: Path) -> None:
    # force: what is checked is the content, and the clean-up of an unclean journal is the driver's
    with mounted(volume, work / "a", "ntfs", read_only=True) as folder:
        before = contents(folder)
    with mounted(only_used(volume, state), work / "b", "ntfs", read_only=True) as folder:
        assert contents(folder) == before


@pytest.mark.root
@pytest.mark.parametrize("state", [OFFLINE, FROZEN])
def test_ntfs_clean_is_trusted(ntfs: Path, state: VolumeState, memory_path: Path) -> None:
    assert_ntfs_files_survive(ntfs, state, memory_path)


@pytest.mark.root
@pytest.mark.parametrize("state", [OFFLINE, FROZEN])
def test_ntfs_with_an_unclean_journal_is_trusted_where_its_files_agree(ntfs: Path, state: VolumeState) -> None:
    before = ask(ntfs, state).extents
    unclean_journal(ntfs)
    assert list(ask(ntfs, state).extents) == list(before)


@pytest.mark.root
def test_ntfs_offline_with_an_unclean_journal_and_a_stale_bitmap_is_whole(ntfs: Path) -> None:
    unclean_journal(ntfs)
    free_a_used_cluster(ntfs)
    assert_whole(ntfs, OFFLINE, "its bitmap marks as free")


@pytest.mark.root
def test_ntfs_offline_and_dirty_is_whole_and_frozen_is_checked(ntfs: Path) -> None:
    mark_ntfs_dirty(ntfs)
    assert_whole(ntfs, OFFLINE, "marked dirty")
    assert ask(ntfs, FROZEN).trusted
    free_a_used_cluster(ntfs)
    assert_whole(ntfs, FROZEN, "its bitmap marks as free")


@pytest.mark.root
def test_ntfs_hibernated_is_whole_offline(ntfs: Path, memory_path: Path) -> None:
    hibernate(ntfs, memory_path)
    assert_whole(ntfs, OFFLINE, "hibernated")
    assert ask(ntfs, FROZEN).trusted  # Windows runs while a shadow copy is made: an old file says nothing


@pytest.mark.root
def test_ntfs_live_is_whole(ntfs: Path) -> None:
    assert_whole(ntfs, LIVE, "mounted")


# -- ext --------------------------------------------------------------------------------------------------------------

EXT: Dict[str, tuple] = {"ext4": ("-t", "ext4"), "ext3": ("-t", "ext3"), "ext2": ("-t", "ext2")}


@pytest.mark.root
@pytest.mark.parametrize("kind", sorted(EXT))
@pytest.mark.parametrize("state", [OFFLINE, FROZEN])
def test_ext_unmounted_is_trusted(kind: str, state: VolumeState, memory_path: Path, need) -> None:
    need("mke2fs", "losetup")
    volume = make_ext(memory_path / "volume", memory_path, 32 * MIB, *EXT[kind], files=100)
    restored = only_used(volume, state)
    check_volume("ext", restored)
    with mounted(volume, memory_path / "a", kind, read_only=True) as folder:
        before = contents(folder)
    with mounted(restored, memory_path / "b", kind, read_only=True) as folder:
        assert contents(folder) == before
    assert_whole(volume, LIVE, "mounted")


def copy_while_mounted(volume: Path, work: Path, kind: str, frozen: bool) -> Path:
    """Copy a volume that is mounted and in use: as it stands after a loss of power, or while it is frozen."""
    copy = work / "copy"
    with mounted(volume, work / "mnt", kind) as folder:
        make_tree(folder / "more", files=60)
        if frozen:
            run("fsfreeze", "--freeze", folder)
        try:
            if not frozen:
                sync(folder)
            shutil.copy(str(volume), str(copy))
        finally:
            if frozen:
                run("fsfreeze", "--unfreeze", folder)
    return copy


@pytest.mark.root
@pytest.mark.parametrize("kind", ["ext4", "ext3"])
def test_ext_frozen_by_the_kernel_is_trusted(kind: str, memory_path: Path, need) -> None:
    need("mke2fs", "fsfreeze", "losetup")
    volume = make_ext(memory_path / "volume", memory_path, 32 * MIB, *EXT[kind], files=100)
    copy = copy_while_mounted(volume, memory_path, kind, frozen=True)
    restored = only_used(copy, FROZEN)
    check_volume("ext", restored)
    with mounted(volume, memory_path / "a", kind, read_only=True) as folder:
        before = contents(folder)
    with mounted(restored, memory_path / "b", kind, read_only=True) as folder:
        assert contents(folder) == before


@pytest.mark.root
@pytest.mark.parametrize("kind", ["ext4", "ext3"])
@pytest.mark.parametrize("state", [OFFLINE, FROZEN])
def test_ext_whose_journal_waits_is_whole(kind: str, state: VolumeState, memory_path: Path, need) -> None:
    need("mke2fs", "losetup")
    volume = make_ext(memory_path / "volume", memory_path, 32 * MIB, *EXT[kind], files=100)
    assert_whole(copy_while_mounted(volume, memory_path, kind, frozen=False), state, "journal")


@pytest.mark.root
def test_ext2_not_unmounted_is_whole(memory_path: Path, need) -> None:
    need("mke2fs", "losetup")
    volume = make_ext(memory_path / "volume", memory_path, 32 * MIB, *EXT["ext2"], files=100)
    assert_whole(copy_while_mounted(volume, memory_path, "ext2", frozen=False), OFFLINE, "not unmounted cleanly")


def test_ext_with_errors_or_unknown_features_is_whole(memory_path: Path, need) -> None:
    need("mke2fs", "debugfs")
    volume = empty(memory_path / "volume", 8 * MIB)
    run("mke2fs", "-q", "-F", "-t", "ext4", volume)
    run("debugfs", "-w", "-R", "set_super_value state 3", volume)
    assert_whole(volume, OFFLINE, "errors")
    assert_whole(volume, FROZEN, "errors")
    run("mke2fs", "-q", "-F", "-t", "ext4", "-O", "^metadata_csum", volume)
    features = struct.unpack("<I", peek(volume, 1024 + 96, 4))[0]
    patch(volume, 1024 + 96, struct.pack("<I", features | 1 << 27))
    assert_whole(volume, OFFLINE, "features")


# -- FAT --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [OFFLINE, FROZEN])
@pytest.mark.parametrize("dirty", [False, True])
def test_fat_is_trusted_dirty_or_not(state: VolumeState, dirty: bool, memory_path: Path, need) -> None:
    need("mkfs.fat", "mcopy", "fsck.fat")
    volume = make_fat(memory_path / "volume", memory_path, 64 * MIB, "-F", "32", "-s", "1", files=100)
    if dirty:  # Microsoft FAT specification, section 4.2: bit 27 of the second entry is the clean-shutdown bit
        reserved = struct.unpack("<H", peek(volume, 14, 2))[0]
        patch(volume, reserved * 512 + 4, struct.pack("<I", 0x07FFFFFF))
    before = fat_contents(volume, memory_path)
    assert fat_contents(only_used(volume, state), memory_path) == before
    assert_whole(volume, LIVE, "mounted")


def test_fat_tables_that_differ_keep_what_either_calls_used(memory_path: Path, need) -> None:
    need("mkfs.fat", "mcopy")
    volume = make_fat(memory_path / "volume", memory_path, 64 * MIB, "-F", "32", "-s", "1", files=100)
    before = ask(volume, OFFLINE).extents
    reserved, per_table = struct.unpack("<H", peek(volume, 14, 2))[0], struct.unpack("<I", peek(volume, 36, 4))[0]
    free = next(number for number in range(5000, 100_000) if not any(peek(volume, reserved * 512 + number * 4, 4)))
    patch(volume, (reserved + per_table) * 512 + free * 4, struct.pack("<I", 0x0FFFFFFF))
    more = ask(volume, OFFLINE).extents.difference(before)
    cluster = (reserved + 2 * per_table) * 512 + (free - 2) * 512
    assert list(more) == [(cluster, 512)]


# -- swap -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [OFFLINE, FROZEN, LIVE])
def test_swap_is_its_header_unless_a_system_sleeps_in_it(state: VolumeState, memory_path: Path, need) -> None:
    need("mkswap")
    volume = empty(memory_path / "swap", 8 * MIB)
    run("mkswap", volume)
    assert list(ask(volume, state).extents) == [(0, 4096)]
    patch(volume, 4096 - 10, b"S1SUSPEND\0")
    assert_whole(volume, state, "suspended system")


# -- nothing known ----------------------------------------------------------------------------------------------------

FOREIGN: Dict[str, Callable[[Path], object]] = {
    "btrfs": lambda volume: run("mkfs.btrfs", "-q", volume),
    "LUKS": lambda volume: patch(volume, 0, b"LUKS\xba\xbe\x00\x02"),
    "BitLocker": lambda volume: patch(volume, 0, b"\xeb\x58\x90-FVE-FS-"),
    "LVM": lambda volume: patch(volume, 512, b"LABELONE"),
    "RAID": lambda volume: patch(volume, 4096, struct.pack("<I", 0xA92B4EFC)),
    "software RAID": lambda volume: patch(volume, 0, struct.pack("<I", 0xA92B4EFC)),  # version 1.1
    "Linux software RAID": lambda volume: (
        run("mke2fs", "-q", "-F", volume, "131000"),  # version 0.90: the file system of the mirror can be seen
        patch(volume, 128 * MIB - 65536, struct.pack("<II", 0xA92B4EFC, 0)),
    ),
    "BitLocker To Go": lambda volume: (
        run("mkfs.fat", "-F", "32", "-s", "1", volume),
        patch(volume, 424, bytes.fromhex("3bd66749292ed84a8399f6a339e3d001")),
    ),
    "F2FS": lambda volume: patch(volume, 1024, bytes.fromhex("1020f5f2")),
    "ISO 9660": lambda volume: patch(volume, 32768, b"\x01CD001"),
    "APFS": lambda volume: patch(volume, 32, b"NXSB"),
    "ReFS": lambda volume: patch(volume, 0, b"\0\0\0ReFS\0\0\0\0"),
}


@pytest.mark.parametrize("name", sorted(FOREIGN))
def test_what_is_not_understood_is_named_and_whole(name: str, memory_path: Path, need) -> None:
    from engine.disk.layout import read_layout
    from engine.disk.used import plan_disk

    need("mkfs.btrfs", "mke2fs", "mkfs.fat")
    volume = empty(memory_path / "volume", 128 * MIB)
    FOREIGN[name](volume)
    with FileSource(str(volume)) as source:
        plan = plan_disk(source, read_layout(source), lambda partition: OFFLINE)
    assert list(plan.used) == [(0, 128 * MIB)]
    assert len(plan.warnings) == 1
    assert name in plan.warnings[0]
    assert "imaged whole" in plan.warnings[0]
