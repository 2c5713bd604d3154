# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores onto a smaller disk: gaps go first, then what file systems leave; every refusal comes before the first write, with numbers."""

from __future__ import annotations

import os
from typing import Any, Dict, List

import pytest
from engine.errors import EngineError
from support.filled import MIB
from support.resizing import Scene, check_target, make_scene, volume_bytes
from support.whole_disks import Part

pytestmark = pytest.mark.root
GPT = (
    Part("efi", "fat", 36, ("-F", "32", "-s", "1")),
    Part("windows", "ntfs", 96, ("-c", "4096")),
    Part("root", "ext", 72, ("-t", "ext4")),
    Part("recovery", "ntfs", 24, ("-c", "4096")),
)
MBR = (
    Part("boot", "ext", 32, ("-t", "ext4")),
    Part("windows", "ntfs", 80, ("-c", "4096"), logical=True),
    Part("data", "ext", 24, ("-t", "ext3"), logical=True),
)


@pytest.fixture(scope="module")
def gpt(tmp_path_factory: pytest.TempPathFactory, need) -> Scene:
    need("sgdisk", "sfdisk", "ntfsresize", "resize2fs", "e2fsck", "ntfs-3g")
    return make_scene(tmp_path_factory.mktemp("gpt"), "gpt", GPT)


@pytest.fixture(scope="module")
def mbr(tmp_path_factory: pytest.TempPathFactory, need) -> Scene:
    need("sgdisk", "sfdisk", "ntfsresize", "resize2fs", "e2fsck", "ntfs-3g")
    return make_scene(tmp_path_factory.mktemp("mbr"), "dos", MBR)


def actions(done: Dict[str, Any]) -> List[str]:
    return [one["action"] for one in done["restore_plan"]["disks"][0]["partitions"]]


def test_the_free_end_goes_without_a_tool(gpt: Scene) -> None:
    target = gpt.target(-6)
    done = gpt.restore(target, shrink=True)
    assert not any("nothing is grown" in text for text in done["warnings"])
    assert actions(done) == ["kept"] * 4
    assert done["restore_plan"]["disks"][0]["tools"] == []
    check_target(gpt, target)


def test_growing_on_a_smaller_target_is_told_as_left_out(gpt: Scene) -> None:
    done = gpt.restore(gpt.target(-10), shrink=True, grow="2", check=True)
    assert "grown" not in " ".join(actions(done))
    assert any("nothing is grown" in text for text in done["warnings"])


def test_gaps_between_partitions_go_next(gpt: Scene) -> None:
    """The bytes that belong to no partition keep their place before what follows."""
    target = gpt.target(-10)
    done = gpt.restore(target, shrink=True)
    assert actions(done)[0] == "kept"
    assert actions(done)[3] == "moved"
    assert set(actions(done)) == {"kept", "moved"}
    assert done["restore_plan"]["disks"][0]["tools"] == []
    check_target(gpt, target)


@pytest.mark.parametrize("less", [48, 80])
def test_the_emptiest_volume_is_shrunk_then_the_next(gpt: Scene, less: int) -> None:
    target = gpt.target(-less)
    foretold = gpt.restore(target, shrink=True, check=True)
    assert not target.read_bytes().strip(b"\0")
    done = gpt.restore(target, shrink=True)
    assert target.stat().st_size == gpt.size - less * MIB
    assert foretold["restore_plan"]["disks"][0]["partitions"] == done["restore_plan"]["disks"][0]["partitions"]
    volumes = check_target(gpt, target)
    assert "shrunk" in actions(done)[1]
    for place, kind in ((1, "ntfs"), (2, "ext")):
        if "shrunk" in actions(done)[place]:
            assert volumes[place]["size"] < gpt.table[place]["size"]
        assert volume_bytes(target, volumes[place], kind, gpt.folder) <= volumes[place]["size"] * 512
    scratch = done["restore_plan"]["disks"][0]["scratch"]
    assert scratch["directory"] == str(gpt.folder)
    assert scratch["needed_bytes"] < scratch["free_bytes"]
    assert not [name for name in os.listdir(gpt.folder) if "scratch" in name]


def test_logical_partitions_shrink_with_the_extended_one(mbr: Scene) -> None:
    target = mbr.target(-40)
    done = mbr.restore(target, shrink=True)
    assert actions(done) == ["kept", "moved and shrunk", "moved"]
    check_target(mbr, target)


def test_too_small_is_refused_with_the_numbers(gpt: Scene) -> None:
    target = gpt.target(-160)
    for settings in ({"check": True}, {}):
        with pytest.raises(EngineError) as caught:
            gpt.restore(target, shrink=True, **settings)
        assert caught.value.code == "R143"
        assert caught.value.fields["missing_bytes"] > 0
        assert str(96 * MIB) in str(caught.value)
        assert not target.read_bytes().strip(b"\0")


def test_without_the_yes_a_smaller_target_is_refused_as_ever(gpt: Scene) -> None:
    target = gpt.target(-6)
    with pytest.raises(EngineError) as caught:
        gpt.restore(target)
    assert caught.value.code == "R101"
    assert not target.read_bytes().strip(b"\0")


def test_a_scratch_directory_without_room_is_refused(gpt: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    target = gpt.target(-48)
    real = os.statvfs
    monkeypatch.setattr(
        "engine.restore.resize.space.os.statvfs",
        lambda path: os.statvfs_result([*list(real(path))[:4], 1, *list(real(path))[5:]]),
    )
    for settings in ({}, {"scratch": str(gpt.folder)}, {"scratch": str(gpt.folder / "missing")}):
        with pytest.raises(EngineError) as caught:
            gpt.restore(target, shrink=True, **settings)
        assert caught.value.code == "R147"
        assert not target.read_bytes().strip(b"\0")


def test_a_tool_that_refuses_costs_the_target_nothing(gpt: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    target = gpt.target(-48)
    target.write_bytes(b"what was here before" * 1000 + target.read_bytes()[20000:])
    before = target.read_bytes()
    monkeypatch.setattr("engine.restore.resize.tools.path_of", lambda tool: "/bin/false")
    with pytest.raises(EngineError) as caught:
        gpt.restore(target, shrink=True, overwrite=True)
    assert caught.value.code == "R146"
    assert target.read_bytes() == before
