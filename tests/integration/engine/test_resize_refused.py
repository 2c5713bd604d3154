# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk of Windows on an MBR: what its boot configuration names stays where it is, unclean volumes are not resized, and no byte is
written before that is known."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path
from typing import Callable, Sequence

import pytest
from engine.errors import EngineError
from support.filled import MIB, empty, mounted, run
from support.hives import boot_config, hive, mbr_device
from support.imaging import image, run_verb
from support.resizing import Scene, check_target, make_scene
from support.whole_disks import Part, WholeDisk, build_disk

pytestmark = pytest.mark.root
PARTS = (
    Part("data", "ext", 24, ("-t", "ext4")),
    Part("windows", "ntfs", 28, ("-c", "4096")),
    Part("tools", "ntfs", 24, ("-c", "4096")),
    Part("recovery", "ntfs", 20, ("-c", "4096")),
)


def make_windows(disk: WholeDisk, folder: Path) -> None:
    """Windows on partition 2, whose boot configuration names partitions 2, 3 and 4; partition 4 is its recovery."""
    run("sfdisk", "--part-type", disk.path, "4", "27")
    run("sfdisk", "-A", disk.path, "2")
    with open(disk.path, "rb") as file:
        signature = file.read(444)[440:]
    store = b"regf" + bytes(6000)
    for placed in disk.parts[1:]:
        store += struct.pack("<Q8xI4x", placed.start_bytes, 1) + signature + bytes(100)
    windows = disk.parts[1]
    with mounted(disk.path, folder / "mnt", "ntfs", offset=windows.start_bytes, size=windows.size_bytes) as mount:
        (mount / "Windows" / "System32").mkdir(parents=True)
        (mount / "Boot").mkdir()
        (mount / "Boot" / "BCD").write_bytes(store)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, need) -> Scene:
    need("sfdisk", "ntfsresize", "resize2fs", "e2fsck", "ntfs-3g")
    return make_scene(tmp_path_factory.mktemp("windows"), "dos", PARTS, files=20, prepare=make_windows)


def refused(scene: Scene, code: str, storage: Path, **settings: object) -> EngineError:
    target = scene.target(48)
    with pytest.raises(EngineError) as caught:
        scene._replace(storage=storage).restore(target, **settings)
    assert caught.value.code == code
    assert not target.read_bytes().strip(b"\0")
    return caught.value


@pytest.mark.parametrize(("grow", "partition"), [("1", 2), ("2", 3), ("system", 3)])
def test_partition_that_is_named_by_its_place_does_not_move(scene: Scene, grow: str, partition: int) -> None:
    assert refused(scene, "R142", scene.storage, grow=grow).fields["partition"] == partition


def test_recovery_of_windows_moves_with_a_word_about_it(scene: Scene) -> None:
    target = scene.target(48)
    done = scene.restore(target, grow="3")
    assert [one["action"] for one in done["restore_plan"]["disks"][0]["partitions"]] == [
        "kept",
        "kept",
        "grown",
        "moved",
    ]
    assert any("reagentc" in text for text in done["warnings"])
    check_target(scene, target)


def test_unclean_volumes_are_not_resized(scene: Scene, tmp_path: Path) -> None:
    dirty = Path(shutil.copy(str(scene.disk.path), str(tmp_path / "dirty.raw")))
    for placed, name in zip(scene.disk.parts[2:], ("hiberfil.sys", "")):
        if name:
            with mounted(dirty, tmp_path / "mnt", "ntfs", offset=placed.start_bytes, size=placed.size_bytes) as mount:
                (mount / name).write_bytes(b"HIBR" + bytes(40960))
        else:
            mark_dirty(dirty, placed.start_bytes)
    image(tmp_path / "storage", dirty, device="pc")
    for grow in ("3", "4"):
        assert refused(scene, "R145", tmp_path / "storage", grow=grow).fields["partition"] == int(grow)


def mark_dirty(disk: Path, start: int) -> None:
    with open(disk, "r+b") as file:
        file.seek(start)
        boot = file.read(512)
        cluster = struct.unpack_from("<H", boot, 11)[0] * boot[13]
        place = start + struct.unpack_from("<Q", boot, 48)[0] * cluster + 3 * 1024
        file.seek(place)
        record = file.read(1024)
        attribute = struct.unpack_from("<H", record, 20)[0]
        while struct.unpack_from("<I", record, attribute)[0] != 0x70:
            attribute += struct.unpack_from("<I", record, attribute + 4)[0]
        file.seek(place + attribute + struct.unpack_from("<H", record, attribute + 20)[0] + 10)
        file.write(b"\x01\x00")


def test_a_disk_of_which_only_some_partitions_were_imaged_is_not_resized(scene: Scene, tmp_path: Path) -> None:
    table = tmp_path / "no-table.raw"
    table.write_bytes(b"neither a table nor a file system " * 1000 + bytes(8 * MIB))
    image(tmp_path / "storage", table)
    target = scene.target(48)
    with pytest.raises(EngineError) as caught:
        scene._replace(storage=tmp_path / "storage").restore(target, grow="last")
    assert caught.value.code == "R148"
    assert not target.read_bytes().strip(b"\0")


@pytest.mark.parametrize("restored", [("disk1",), ("disk0", "disk1")])
def test_partition_that_another_disk_names_by_its_place_does_not_move(
    restored: Sequence[str], tmp_path: Path, need: Callable[..., None]
) -> None:
    """The boot configuration is on disk0; the partition behind the one that grows is on disk1."""
    need("sfdisk", "ntfsresize", "ntfs-3g")
    parts = (Part("first", "ntfs", 20, ("-c", "4096")), Part("second", "ntfs", 20, ("-c", "4096")))
    for name in ("system", "data"):
        (tmp_path / name).mkdir()
    system, data = (build_disk(tmp_path / name, "dos", parts, files=3) for name in ("system", "data"))
    with open(data.path, "rb") as file:
        signature = file.read(444)[440:][::-1].hex()
    place = system.parts[0]
    with mounted(system.path, tmp_path / "mnt", "ntfs", offset=place.start_bytes, size=place.size_bytes) as mount:
        (mount / "Boot").mkdir()
        (mount / "Boot" / "BCD").write_bytes(hive(boot_config([mbr_device(signature, data.parts[1].start_bytes)])))
    image(tmp_path / "storage", system.path, data.path)
    targets = {name: empty(tmp_path / ("target-" + name), data.path.stat().st_size + 24 * MIB) for name in restored}
    with pytest.raises(EngineError) as caught:
        run_verb(tmp_path / "storage", "restore", map={name: str(path) for name, path in targets.items()}, grow="1")
    fields = caught.value.fields
    assert (caught.value.code, fields["partition"], fields["disk"]) == ("R142", 2, "disk1")
    assert "Boot\\BCD on partition 1 of disk0" in str(fields["reason"])
    assert not any(path.read_bytes().strip(b"\0") for path in targets.values())
    # Where the last partition grows, nothing moves.
    run_verb(tmp_path / "storage", "restore", map={"disk1": str(targets["disk1"])}, grow="last")
