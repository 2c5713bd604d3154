# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""XFS grows on a larger target, judged by xfs_repair and xfs_db; it never shrinks, and larger sectors are refused, before the first byte."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import pytest
from engine.errors import EngineError
from support.filled import MIB, detach, empty, run
from support.resizing import Scene, check_target, make_scene
from support.whole_disks import Part, copy_range

pytestmark = pytest.mark.root
PARTS = (Part("root", "ext", 24, ("-t", "ext4", "-b", "4096")), Part("data", "xfs", 48), Part("swap", "swap", 8))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, need: Callable[..., None]) -> Scene:
    need("sgdisk", "sfdisk", "mkfs.xfs", "xfs_growfs", "xfs_repair", "xfs_db", "mkswap", "e2fsck")
    return make_scene(tmp_path_factory.mktemp("xfs"), "gpt", PARTS, files=15)


def test_xfs_grows_to_the_end_of_its_partition(scene: Scene) -> None:
    target = scene.target(64)
    done = scene.restore(target, grow="2")
    assert [one["action"] for one in done["restore_plan"]["disks"][0]["partitions"]] == ["kept", "grown", "moved"]
    assert "xfs_growfs" in done["restore_plan"]["disks"][0]["tools"]
    grown = check_target(scene, target)[1]
    assert grown["size"] - scene.table[1]["size"] >= 63 * MIB // 512
    volume = empty(scene.folder / "grown", 0)
    copy_range(target, grown["start"] * 512, volume, 0, grown["size"] * 512)
    blocks = int(run("xfs_db", "-r", "-f", "-c", "sb 0", "-c", "p dblocks", volume).split("=")[1])
    size = int(run("xfs_db", "-r", "-f", "-c", "sb 0", "-c", "p blocksize", volume).split("=")[1])
    assert 0 <= grown["size"] * 512 - blocks * size < MIB
    volume.unlink()


def test_xfs_does_not_shrink_and_the_refusal_has_the_numbers(scene: Scene) -> None:
    target = scene.target(-40)
    for check in (True, False):
        with pytest.raises(EngineError) as caught:
            scene.restore(target, shrink=True, check=check)
        assert caught.value.code == "R143"
        assert caught.value.fields["missing_bytes"] > 0
        assert "partition 2 (xfs) of %d bytes can't be shrunk" % (48 * MIB) in str(caught.value.fields["reason"])
        assert not target.read_bytes().strip(b"\0")


def test_xfs_of_small_sectors_does_not_come_onto_large_ones(scene: Scene) -> None:
    target = scene.target(40)
    loop = run("losetup", "-f", "--show", "-b", "4096", target).strip()
    try:
        with pytest.raises(EngineError) as caught:
            scene.restore(Path(loop))
    finally:
        detach(loop)
    assert caught.value.code == "R104"
    assert "partition 2 (xfs)" in str(caught.value.fields["reason"])
    assert not target.read_bytes().strip(b"\0")
