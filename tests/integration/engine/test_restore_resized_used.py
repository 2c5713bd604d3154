# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Targets that held data and are of another size, without treating their free space: what is in use is the image's, zeros too,
and what is read back is what was written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from engine.disk.extents import ExtentSet
from engine.disk.filesystems.contract import VolumeState
from engine.disk.layout import read_layout
from engine.disk.source import FileSource
from engine.disk.used import plan_disk
from support.filled import MIB
from support.resizing import Scene, check_target, make_scene
from support.whole_disks import Part

OLD = b"what the disk held before the restore, 48 bytes!"
PARTS = (
    Part("efi", "fat", 36, ("-F", "32", "-s", "1")),
    Part("root", "ext", 60, ("-t", "ext4")),
    Part("windows", "ntfs", 40, ("-c", "4096")),
)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, need: Callable[..., None]) -> Scene:
    need("sgdisk", "sfdisk", "ntfs-3g", "e2fsck", "losetup")
    return make_scene(tmp_path_factory.mktemp("scene"), "gpt", PARTS, files=30)


def used_target(path: Path, size: int) -> Path:
    block = (OLD * (MIB // len(OLD) + 1))[:MIB]
    with open(path, "wb") as file:
        for dummy in range(-(-size // MIB)):
            file.write(block)
        file.truncate(size)
    return path


def old_in_use(path: Path) -> List[int]:
    """Where bytes that the restored file systems use are those of the disk's former life."""
    with FileSource(str(path)) as source:
        layout = read_layout(source)
        volumes = ExtentSet((one.start_bytes, one.length_bytes) for one in layout.partitions)
        used = list(plan_disk(source, layout, lambda partition: VolumeState.OFFLINE).used.intersection(volumes))
    data = path.read_bytes()
    assert 0 < sum(one.length_bytes for one in used) < len(data), "the maps of the volumes are trusted"
    return [
        one.start_bytes + place
        for one in used
        if (place := data[one.start_bytes : one.start_bytes + one.length_bytes].find(OLD[:16])) >= 0
    ]


@pytest.mark.parametrize(
    ("more_bytes", "settings"),
    [
        (16 * MIB, {}),
        (16 * MIB + 34 * 512, {"grow": "last"}),
        (16 * MIB, {"grow": "2"}),
        (-24 * MIB, {"shrink": True}),
        (0, {"identity": "new"}),
    ],
    ids=["larger", "grown-last", "grown-inside", "smaller", "clone"],
)
def test_no_byte_in_use_is_of_the_former_life(
    more_bytes: int, settings: Dict[str, Any], scene: Scene, tmp_path: Path
) -> None:
    target = used_target(tmp_path / "target", scene.size + more_bytes)
    done = scene.restore(target, overwrite=True, **settings)
    assert done["read_back"]
    os.sync()
    if "grow" not in settings:  # a tool that grows a file system leaves tables that it does not use yet as they were
        assert old_in_use(target) == []
    if "identity" not in settings:
        check_target(scene, target)
    assert OLD[:16] in target.read_bytes(), "free space keeps its content, so that the test proves something"
