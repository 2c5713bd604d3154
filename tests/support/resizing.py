# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores onto disks of another size in tests: an imaged disk with what is in its files, and independent programs that judge the target."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple

from support.filled import MIB, check_volume, contents, empty, fat_contents, mounted, run
from support.imaging import image, restore
from support.whole_disks import Part, Placed, WholeDisk, build_disk, copy_range

RECOVERY_TYPE = "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC"


class Scene(NamedTuple):
    """A disk that was imaged."""

    folder: Path
    storage: Path
    disk: WholeDisk
    files: Dict[str, Dict[str, str]]  # by the name of the part
    table: List[Dict[str, Any]]

    @property
    def size(self) -> int:
        return self.disk.path.stat().st_size

    def target(self, more_mib: int) -> Path:
        """A blank target, larger by so many MiB (or smaller)."""
        path = self.folder / "target"
        path.unlink(missing_ok=True)
        return empty(path, self.size + more_mib * MIB)

    def restore(self, target: Path, **settings: Any) -> Dict[str, Any]:
        return restore(self.storage, target, **settings)


def make_scene(
    folder: Path,
    scheme: str,
    parts: Sequence[Part],
    *,
    files: int = 40,
    prepare: Callable[[WholeDisk, Path], None] = lambda disk, folder: None,
) -> Scene:
    """Build and image a disk whose NTFS volumes say where they begin, as those of Windows do."""
    folder.mkdir(exist_ok=True)
    disk = build_disk(folder, scheme, parts, files=files)
    for number, placed in enumerate(disk.parts, 1):
        if placed.part.kind == "ntfs":
            tell_start(disk.path, placed)
        if placed.part.name == "recovery" and scheme == "gpt":
            run("sgdisk", "-t", "%d:%s" % (number, RECOVERY_TYPE), disk.path)
    prepare(disk, folder)
    found = {
        one.part.name: files_in(disk.path, one.part.kind, one.start_bytes, one.size_bytes, folder) for one in disk.parts
    }
    image(folder / "storage", disk.path)
    return Scene(folder, folder / "storage", disk, found, table_of(disk.path))


def tell_start(path: Path, placed: Placed) -> None:
    """Write the start of the partition into both boot sectors of an NTFS volume."""
    with open(path, "r+b") as file:
        file.seek(placed.start_bytes + 40)
        (sectors,) = struct.unpack("<Q", file.read(8))
        for place in (0, sectors * 512):
            file.seek(placed.start_bytes + place + 0x1C)
            file.write(struct.pack("<I", placed.start_bytes // 512))


def hidden_sectors(path: Path, start: int, length: int) -> Tuple[int, int]:
    """The field of the boot sector and of its backup in the last sector or right behind the volume's last one."""
    with open(path, "rb") as file:
        file.seek(start)
        boot = file.read(512)
        (sectors,) = struct.unpack_from("<Q", boot, 40)
        places = [start + sectors * 512, start + length - 512]
        for place in places:
            file.seek(place)
            copy = file.read(512)
            if copy[3:11] == b"NTFS    ":
                return struct.unpack_from("<I", boot, 0x1C)[0], struct.unpack_from("<I", copy, 0x1C)[0]
    raise AssertionError("the volume has no backup boot sector")


def files_in(disk: Path, kind: str, start: int, length: int, folder: Path) -> Dict[str, str]:
    """The hash of each file of a volume."""
    if kind in ("swap", "raw"):
        return {}
    if kind == "fat":
        volume = empty(folder / "fat-volume", 0)
        copy_range(disk, start, volume, 0, length)
        found = fat_contents(volume, folder)
        volume.unlink()
        return found
    name = {"ext": "ext4", "ntfs": "ntfs", "xfs": "xfs"}[kind]
    options = ["noload"] if kind == "ext" else ["norecovery", "nouuid"] if kind == "xfs" else []
    with mounted(disk, folder / "mnt", name, offset=start, size=length, read_only=True, options=options) as mount:
        return {name: value for name, value in contents(mount).items() if not name.startswith("lost+found")}


def table_of(disk: Path) -> List[Dict[str, Any]]:
    """The partitions as sfdisk reads them."""
    found: List[Dict[str, Any]] = json.loads(run("sfdisk", "--json", disk))["partitiontable"]["partitions"]
    return found


def check_target(scene: Scene, target: Path) -> List[Dict[str, Any]]:
    """Judge a restored disk by other programs; return its partitions but extended ones.

    The table is valid and keeps its ids, every file system passes its checker, and every file is what it was.
    """
    if "uuid" in scene.table[0]:
        assert "No problems found" in run("sgdisk", "-v", target)
    run("sfdisk", "--verify", target)
    table = table_of(target)
    assert [_ids(one) for one in table] == [_ids(one) for one in scene.table]
    volumes = [one for one in table if one["type"] not in ("5", "f")]
    for placed, entry in zip(scene.disk.parts, volumes):
        start, length = entry["start"] * 512, entry["size"] * 512
        kind = placed.part.kind
        if kind in ("swap", "raw"):
            continue
        volume = empty(scene.folder / "volume", 0)
        copy_range(target, start, volume, 0, length)
        check_volume(kind, volume)
        if kind == "ntfs":
            run("ntfsresize", "-f", "-i", "-P", volume)
            assert hidden_sectors(target, start, length) == (entry["start"], entry["start"])
        volume.unlink()
        assert files_in(target, kind, start, length, scene.folder) == scene.files[placed.part.name], placed.part.name
    return volumes


def _ids(entry: Dict[str, Any]) -> Dict[str, Any]:
    return {name: value for name, value in entry.items() if name not in ("node", "start", "size")}


def volume_bytes(target: Path, entry: Dict[str, Any], kind: str, folder: Path) -> int:
    """The size of a file system by its own tool."""
    volume = empty(folder / "sized", 0)
    copy_range(target, entry["start"] * 512, volume, 0, entry["size"] * 512)
    try:
        if kind == "ntfs":
            with open(volume, "rb") as file:
                return int(struct.unpack("<Q", file.read(48)[40:48])[0]) * 512
        facts = dict(line.split(":", 1) for line in run("dumpe2fs", "-h", volume).splitlines() if ":" in line)
        return int(facts["Block count"]) * int(facts["Block size"])
    finally:
        volume.unlink()
