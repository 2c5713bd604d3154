# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rule 10: plan and verify before the first byte, refuse the wrong disk, tables last, go on after a kill."""

from __future__ import annotations

import os
import stat
import struct
from functools import partial
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Tuple

import pytest
from engine.errors import EngineError, ImageDamaged, RestoreTargetChanged
from engine.image.format import constants as fmt
from engine.image.reader import DiskReader, ImageReader
from engine.restore.restore import plan, restore, sentences
from engine.restore.target import MARKER_BYTES, Target
from engine.storage.local.storage import DirectoryStorage
from support.filled import MIB, empty, run
from support.refusing import check_sentence
from support.restoring import MARK, damageable, flip_byte, image_two, partitioned, refused, same_in_use
from support.small_runs import CHUNK, DEVICE, SmallDisk, make_small, run_image


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


@pytest.fixture
def storage(memory_path: Path) -> DirectoryStorage:
    return DirectoryStorage(str(memory_path / "storage"))


# -- the plan ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("position", [0, 511, 512, MIB + 100_000, 5 * MIB, 10 * MIB - 1], ids=str)
def test_target_that_holds_data_takes_a_yes(position: int, storage: DirectoryStorage, memory_path: Path) -> None:
    disk = partitioned()
    image = run_image(storage, disk).image
    target = empty(memory_path / "target", len(disk.data))
    with open(target, "r+b") as file:
        file.seek(position)
        file.write(b"x")
    error = refused("R102", partial(restore, storage, DEVICE, image, {"disk0": str(target)}), target)
    assert str(target) in str(error)
    restore(storage, DEVICE, image, {"disk0": str(target)}, overwrite=True)
    same_in_use(disk, target.read_bytes())


def test_target_too_small_is_refused_even_with_a_yes(storage: DirectoryStorage, memory_path: Path) -> None:
    disk = partitioned()
    image = run_image(storage, disk).image
    target = empty(memory_path / "target", len(disk.data) - 512)
    for overwrite in (False, True):
        error = refused(
            "R101", partial(restore, storage, DEVICE, image, {"disk0": str(target)}, overwrite=overwrite), target
        )
        assert str(len(disk.data)) in str(error)


def test_larger_target_keeps_its_size_and_its_end(storage: DirectoryStorage, memory_path: Path) -> None:
    disk = partitioned()
    image = run_image(storage, disk).image
    target = empty(memory_path / "target", len(disk.data) + 3 * MIB)
    restore(storage, DEVICE, image, {"disk0": str(target)})
    assert target.read_bytes() == disk.expected() + bytes(3 * MIB)


@pytest.mark.parametrize("was_there", [True, False])
def test_what_comes_onto_the_target_after_the_plan_is_not_overwritten(
    was_there: bool, storage: DirectoryStorage, memory_path: Path
) -> None:
    """Between both lies the proof of everything that is stored: hours, over a slow line."""
    disk = partitioned()
    image = run_image(storage, disk).image
    target = memory_path / "target"
    if was_there:
        empty(target, len(disk.data))

    def comes(phase: str, dummy_done: int, dummy_total: int) -> None:
        if phase == "verifying":
            with open(empty(target, len(disk.data)), "r+b") as file:
                file.write(b"somebody's")

    with pytest.raises(RestoreTargetChanged) as caught:
        restore(storage, DEVICE, image, {"disk0": str(target)}, progress=comes)
    check_sentence(caught.value)
    assert target.read_bytes() == b"somebody's".ljust(len(disk.data), b"\0")


def test_maps_that_cannot_be_meant(storage: DirectoryStorage, memory_path: Path) -> None:
    made = image_two(storage)
    target, other = empty(memory_path / "target", 10 * MIB), memory_path / "other"
    link, hard = memory_path / "link", memory_path / "hard"
    link.symlink_to(target)
    os.link(target, hard)
    absent = memory_path / "absent"
    to_absent = memory_path / "to-absent"
    to_absent.symlink_to(absent)
    maps: List[Tuple[str, Dict[str, Path]]] = [
        ("it is empty", {}),
        ("the image has no disk2, only disk0, disk1", {"disk0": target, "disk2": other}),
        ("the image has no Disk0", {"Disk0": target}),
        ("the image has no ../disk0", {"../disk0": target}),
        ("same target", {"disk0": target, "disk1": target}),
        ("same target", {"disk0": target, "disk1": memory_path / "storage" / ".." / "target"}),
        ("same target", {"disk0": target, "disk1": link}),
        ("same target", {"disk0": target, "disk1": hard}),
        ("same target", {"disk0": absent, "disk1": to_absent}),
    ]
    for reason, targets in maps:
        named = {name: str(path) for name, path in targets.items()}
        for overwrite in (False, True):
            error = refused(
                "R103",
                partial(restore, storage, DEVICE, made.image, named, overwrite=overwrite),
                target,
                other,
                absent,
            )
            assert reason in str(error)
    for path in (memory_path, memory_path / "nowhere" / "target", Path("/dev/null")):
        refused("D100", partial(restore, storage, DEVICE, made.image, {"disk0": str(path)}, overwrite=True))


def test_one_wrong_target_leaves_all_of_them_alone(storage: DirectoryStorage, memory_path: Path) -> None:
    made = image_two(storage)
    good, wrong = empty(memory_path / "good", 10 * MIB), empty(memory_path / "wrong", 512)
    targets = {"disk0": str(good), "disk1": str(wrong)}
    refused("R101", partial(restore, storage, DEVICE, made.image, targets), good, wrong)
    wrong.write_bytes(b"data" * MIB)
    refused("R102", partial(restore, storage, DEVICE, made.image, targets), good, wrong)
    holder = Target(str(wrong))
    holder.open_for_writing()
    holder.grow(MIB)
    refused("R100", partial(restore, storage, DEVICE, made.image, targets, overwrite=True), good, wrong)
    holder.close()
    restore(storage, DEVICE, made.image, targets, overwrite=True)
    assert good.read_bytes() == made.disks[0].expected()
    same_in_use(made.disks[1], wrong.read_bytes())


def test_progress_rises_over_all_disks_and_ends_with_all_of_it(storage: DirectoryStorage, memory_path: Path) -> None:
    made = image_two(storage)
    targets = {"disk%d" % number: str(memory_path / ("target%d" % number)) for number in range(2)}
    seen: List[Tuple[str, int, int]] = []
    restore(storage, DEVICE, made.image, targets, progress=lambda *status: seen.append(status))
    phases = [phase for phase, dummy_done, dummy_total in seen]
    assert list(dict.fromkeys(phases)) == ["verifying", "writing", "reading back"]
    assert phases == sorted(phases, key=["verifying", "writing", "reading back"].index)
    verifying = [(done, total) for phase, done, total in seen if phase == "verifying"]
    stored = sum(path.stat().st_size for path in (memory_path / "storage" / DEVICE / "packs").glob("*/*"))
    assert verifying[0][0] > 0
    assert verifying[-1] == (stored, stored), "bytes, not packs"
    reading = [(done, total) for phase, done, total in seen if phase == "reading back"]
    assert [done for done, dummy in reading] == sorted(done for done, dummy in reading)
    writing = [(done, total) for phase, done, total in seen if phase == "writing"]
    assert reading[-1] == writing[-1]
    whole = sum(len(disk.data) for disk in made.disks)
    assert {total for dummy, total in writing} == {whole}
    assert [done for done, dummy in writing] == sorted(done for done, dummy in writing)
    assert len(made.disks[0].data) in [done for done, dummy in writing], "the second disk begins where the first ended"
    assert writing[-1] == (whole, whole)


def test_check_says_what_would_happen_and_does_nothing(storage: DirectoryStorage, memory_path: Path) -> None:
    made = image_two(storage)
    target = memory_path / "target"
    planned = plan(ImageReader(storage, DEVICE, "latest", None), {"disk1": str(target)}, False)
    assert sentences(planned, made.image) == [
        "disk1 of %s (2.6 MB) goes to %s" % (made.image, target),
    ]
    assert not target.exists()


@pytest.mark.parametrize("kind", [fmt.KIND_CHUNK, fmt.KIND_SEGMENT, "image.json", "disk1.index", "SHA256SUMS", "gone"])
def test_damage_is_found_before_the_first_byte(kind: object, storage: DirectoryStorage, memory_path: Path) -> None:
    """The damage is in the last disk of two, and both targets hold what nobody may lose."""
    made = image_two(storage)
    root = Path(storage.description) / DEVICE
    targets = [memory_path / "one", memory_path / "two"]
    for target in targets:
        target.write_bytes(b"what was there " * MIB)
    named = {"disk%d" % number: str(path) for number, path in enumerate(targets)}
    for path, position in damageable(storage, made, kind):
        whole = flip_byte(path, position)
        if kind == "gone":
            path.unlink()
        with pytest.raises(EngineError) as caught:
            restore(storage, DEVICE, made.image, named, overwrite=True)
        assert caught.value.code.startswith("I"), path.relative_to(root)
        assert [target.read_bytes() for target in targets] == [b"what was there " * MIB] * 2
        path.write_bytes(whole)
    restore(storage, DEVICE, made.image, named, overwrite=True)
    for disk, target in zip(made.disks, targets):
        same_in_use(disk, target.read_bytes())


def test_index_that_does_not_open_is_found_before_the_first_byte(
    storage: DirectoryStorage, memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What hashes well and is wrong all the same, as a defect of a writer would leave it: in the very last segment."""
    image = run_image(storage, partitioned()).image
    whole = DiskReader.segment

    def broken(reader: DiskReader, number: int) -> object:
        if number == reader.root.segment_count - 1:
            raise ImageDamaged(image=image, reason="its last segment is another one")
        return whole(reader, number)

    monkeypatch.setattr(DiskReader, "segment", broken)
    target = memory_path / "target"
    refused("I101", partial(restore, storage, DEVICE, image, {"disk0": str(target)}), target)
    assert not target.exists()


# -- devices ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def attach(need: Callable[..., None]) -> Iterator[Callable[..., str]]:
    """Return a function that attaches a file (or a device) as a loop device."""
    need("losetup", "mount", "umount", "mke2fs")
    loops: List[str] = []

    def attached(path: object, *options: object) -> str:
        loops.append(run("losetup", "-f", "--show", *options, path).strip())
        return loops[-1]

    yield attached
    for loop in reversed(loops):
        run("losetup", "-d", loop)


@pytest.mark.root
def test_device_in_use_is_refused(storage: DirectoryStorage, tmp_path: Path, attach: Callable[..., str]) -> None:
    disk = partitioned()
    image = run_image(storage, disk).image
    file = empty(tmp_path / "file", len(disk.data))
    run("mke2fs", "-q", "-F", file)
    loop = attach(file)

    def restoring(target: object) -> Callable[[], object]:
        return partial(restore, storage, DEVICE, image, {"disk0": str(target)}, overwrite=True)

    assert "attached as %s" % loop in str(refused("R100", restoring(file), file))
    folder = tmp_path / "mnt"
    folder.mkdir()
    run("mount", "-o", "ro", loop, folder)
    try:
        for target in (file, loop):
            assert "%s is mounted at %s" % (loop, folder) in str(refused("R100", restoring(target), file))
        (tmp_path / "link").symlink_to(loop)
        refused("R100", restoring(tmp_path / "link"), file)
    finally:
        run("umount", folder)
    holder = os.open(loop, os.O_RDONLY | os.O_EXCL)
    try:
        refused("R100", restoring(loop), file)
    finally:
        os.close(holder)
    restoring(loop)()
    same_in_use(disk, file.read_bytes())
    assert "attached as %s" % attach(loop) in str(refused("R100", restoring(loop), file))


@pytest.mark.root
def test_device_that_does_not_fit_is_refused(
    storage: DirectoryStorage, tmp_path: Path, attach: Callable[..., str]
) -> None:
    made = image_two(storage)
    file, short = empty(tmp_path / "file", 10 * MIB), empty(tmp_path / "short", 10 * MIB - 512)
    wide = empty(tmp_path / "wide", 10 * MIB)
    loop, link = attach(file, "-b", "4096"), tmp_path / "by-id"
    link.symlink_to(loop)
    node = tmp_path / "node"
    os.mknod(node, 0o600 | stat.S_IFBLK, os.stat(loop).st_rdev)
    cases: List[Tuple[str, Dict[str, object]]] = [
        ("R104", {"disk0": loop}),
        ("R101", {"disk0": attach(short)}),
        ("R103", {"disk0": loop, "disk1": link}),
        ("R103", {"disk0": loop, "disk1": node}),
        ("D103", {"disk0": attach(wide, "-r")}),  # write-protected
    ]
    for code, targets in cases:
        named = {name: str(path) for name, path in targets.items()}
        refused(code, partial(restore, storage, DEVICE, made.image, named, overwrite=True), file, short)


# -- the order of writing ---------------------------------------------------------------------------------------------


def test_tables_and_boot_sectors_come_last(
    storage: DirectoryStorage, memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = image_two(storage)
    events: List[Tuple[str, int, int]] = []
    write, sync = Target.write_pieces, Target.sync

    def watched_write(target: Target, offset_bytes: int, pieces: List[bytes]) -> None:
        write(target, offset_bytes, pieces)
        for number, piece in enumerate(pieces):
            start = offset_bytes + sum(len(before) for before in pieces[:number])
            events.append((Path(target.path).name, start, len(piece)))
        if offset_bytes:
            assert target.read(0, len(MARK)) == MARK  # up to the very last write the disk says what it is

    def watched_sync(target: Target) -> None:
        events.append((Path(target.path).name, -1, 0))
        sync(target)

    monkeypatch.setattr(Target, "write_pieces", watched_write)
    monkeypatch.setattr(Target, "sync", watched_sync)
    targets = {"disk%d" % number: str(memory_path / ("disk%d" % number)) for number in (0, 1)}
    done = restore(storage, DEVICE, made.image, targets)
    assert [Path(disk.target).read_bytes() for disk in done] == [disk.expected() for disk in made.disks]
    chunks = [(offset // CHUNK, length) for name, offset, length in events if name == "disk0" and length]
    body = [number for number in sorted(made.disks[0].used) if number not in (0, 1, 32, 64, 159)]
    assert [number for number, dummy in chunks] == [0, *body, 159, 64, 32, 1, 0, 0]
    assert [length for dummy, length in chunks[-2:]] == [CHUNK - MARKER_BYTES, MARKER_BYTES]
    firsts = [number for number, event in enumerate(events) if event[1:] == (0, MARKER_BYTES)]
    # Both disks get their marker, then all else and a sync of each, and at the very end both first sectors.
    assert [events[number][0] for number in firsts] == ["disk0", "disk1", "disk0", "disk1"]
    assert firsts[2:] == [len(events) - 4, len(events) - 3]
    assert events[firsts[2] - 1] == ("disk1", -1, 0)
    assert ("disk0", -1, 0) in events[firsts[1] : firsts[2]]
    assert events[-2:] == [("disk0", -1, 0), ("disk1", -1, 0)]


def test_new_file_keeps_its_holes(storage: DirectoryStorage, memory_path: Path) -> None:
    disk = SmallDisk(chunks=32)
    disk.data.extend(bytes(64 * MIB))
    disk.used |= set(range(100, 600))  # in use and all zero
    disk.write(700)
    image = run_image(storage, disk).image
    for size in (None, 0):
        target = memory_path / "target"
        if size is not None:
            target.write_bytes(b"")
        restore(storage, DEVICE, image, {"disk0": str(target)})
        assert target.read_bytes() == disk.expected()
        assert 28 * CHUNK <= target.stat().st_blocks * 512 <= 36 * CHUNK
        target.unlink()


# -- what an earlier life of the target left at its end ---------------------------------------------------------------


def mbr_disk(partition_chunks: int, chunks: int = 160) -> SmallDisk:
    """A disk with one partition from 1 MiB; of everything else nothing is in use."""
    disk = SmallDisk(chunks=chunks)
    disk.data[0:MIB] = bytes(MIB)
    disk.data[446:462] = struct.pack("<B3xB3xII", 0, 0x83, 2048, partition_chunks * CHUNK // 512)
    disk.data[510:512] = b"\x55\xaa"
    disk.used = {*range(16), 16, 17, 15 + partition_chunks}
    return disk


@pytest.mark.parametrize("larger_bytes", [0, 3 * MIB])
@pytest.mark.parametrize("partition_chunks", [100, 144], ids=["room behind it", "to the very end"])
def test_old_marks_at_the_end_go_and_a_partition_keeps_what_it_has(
    partition_chunks: int, larger_bytes: int, storage: DirectoryStorage, memory_path: Path
) -> None:
    """A RAID's superblock or an old GPT there would claim the restored disk; what is in a partition is none of our business."""
    disk = mbr_disk(partition_chunks)
    image = run_image(storage, disk).image
    size = len(disk.data) + larger_bytes
    target = memory_path / "target"
    target.write_bytes(b"m" * size)
    restore(storage, DEVICE, image, {"disk0": str(target)}, overwrite=True)
    data = target.read_bytes()
    same_in_use(disk, data)
    assert len(data) == size
    partition_end = (16 + partition_chunks) * CHUNK
    start = max(size - MIB, partition_end)
    assert data[start:] == bytes(size - start)
    assert data[start - 1 : start] == (b"m" if start > partition_end else disk.data[start - 1 : start])
    assert data[60 * CHUNK : 61 * CHUNK] == b"m" * CHUNK, "in the middle of a volume what nobody uses is not written"
    ends = {*range(16, 32), *range(partition_chunks, 16 + partition_chunks)} - disk.used
    assert not any(any(data[number * CHUNK : (number + 1) * CHUNK]) for number in ends), "marks in the volume itself"


@pytest.mark.root
def test_a_gpt_on_a_larger_disk_has_its_backup_at_the_end_and_the_plan_says_what_is_left(
    storage: DirectoryStorage, tmp_path: Path, attach: Callable[..., str], need: Callable[..., None]
) -> None:
    need("sgdisk")
    original = empty(tmp_path / "original", 10 * MIB)
    run("sgdisk", "-n", "1:2048:8191", original)
    disk = SmallDisk(chunks=160)
    disk.data[:] = original.read_bytes()
    image = run_image(storage, disk).image
    file = tmp_path / "file"
    file.write_bytes(b"m" * (24 * MIB))
    run("sgdisk", "-Z", file)
    run("sgdisk", "-n", "1:4096:20000", file)  # its backup is what the restored disk must not keep at its end
    loop = attach(file)
    planned = plan(ImageReader(storage, DEVICE, image, None), {"disk0": loop}, True)
    (sentence,) = sentences(planned, image)
    assert "its last %d bytes are not used" % (14 * MIB) in sentence
    assert planned[0].resizing is not None
    assert planned[0].resizing.backup_lba == (10 * 2048 - 1, 24 * 2048 - 1)
    restore(storage, DEVICE, image, {"disk0": loop}, overwrite=True)
    assert "2048" in run("sgdisk", "-p", loop)
    assert file.read_bytes()[-MIB : -33 * 512] == bytes(MIB - 33 * 512)
    assert "No problems found" in run("sgdisk", "-v", loop)
    assert (
        plan(ImageReader(storage, DEVICE, image, None), {"disk0": str(tmp_path / "new")}, True)[0].end.unused_bytes == 0
    )


@pytest.mark.root
def test_swap_space_is_in_use(storage: DirectoryStorage, tmp_path: Path, attach: Callable[..., str], need) -> None:
    need("mkswap", "swapon", "swapoff")
    image = run_image(storage, partitioned()).image
    file = empty(tmp_path / "file", 10 * MIB)
    file.write_bytes(bytes(10 * MIB))
    run("mkswap", file)
    loop = attach(file)
    run("swapon", loop)
    try:
        for target in (loop, str(file)):
            work = partial(restore, storage, DEVICE, image, {"disk0": target}, overwrite=True)
            assert "%s is swap space" % loop in str(refused("R100", work, file))
    finally:
        run("swapoff", loop)
