# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores onto a larger disk: a partition and its file system grow, those behind it move, and other programs find nothing wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import pytest
from engine.errors import EngineError
from support.filled import MIB, detach, run
from support.resizing import Scene, check_target, files_in, make_scene, volume_bytes
from support.whole_disks import Part

pytestmark = pytest.mark.root
GPT = (
    Part("efi", "fat", 36, ("-F", "32", "-s", "1")),
    Part("windows", "ntfs", 40, ("-c", "4096")),
    Part("root", "ext", 48, ("-t", "ext4")),
    Part("recovery", "ntfs", 24, ("-c", "4096")),
)
MBR = (
    Part("boot", "ext", 32, ("-t", "ext4")),
    Part("windows", "ntfs", 40, ("-c", "4096"), logical=True),
    Part("data", "ext", 36, ("-t", "ext3"), logical=True),
)


@pytest.fixture(scope="module")
def gpt(tmp_path_factory: pytest.TempPathFactory, need) -> Scene:
    need("sgdisk", "sfdisk", "ntfsresize", "resize2fs", "e2fsck", "ntfs-3g")
    return make_scene(tmp_path_factory.mktemp("gpt"), "gpt", GPT)


@pytest.fixture(scope="module")
def mbr(tmp_path_factory: pytest.TempPathFactory, need) -> Scene:
    need("sgdisk", "sfdisk", "ntfsresize", "resize2fs", "e2fsck", "ntfs-3g")
    return make_scene(tmp_path_factory.mktemp("mbr"), "dos", MBR)


@pytest.fixture
def refused_before(gpt: Scene) -> Iterator[Path]:
    """A larger target on which nothing may be written."""
    target = gpt.target(64)
    yield target
    assert not target.read_bytes().strip(b"\0")


def test_without_a_wish_only_the_backup_of_the_table_moves(gpt: Scene) -> None:
    target = gpt.target(64)
    done = gpt.restore(target)
    volumes = check_target(gpt, target)
    assert [(one["start"], one["size"]) for one in volumes] == [(one["start"], one["size"]) for one in gpt.table]
    (plan,) = done["restore_plan"]["disks"]
    assert (plan["unused_bytes"], plan["tools"]) == (64 * MIB, [])
    assert plan["backup_table"] == {"before_lba": gpt.size // 512 - 1, "after_lba": target.stat().st_size // 512 - 1}
    assert gpt.restore(target)["already_restored"] is True


@pytest.mark.parametrize("grow", ["last", "2", 3])
def test_gpt_partition_grows_and_those_behind_it_move(gpt: Scene, grow: object) -> None:
    target = gpt.target(64)
    number = 4 if grow == "last" else int(str(grow))
    foretold = gpt.restore(target, grow=grow, check=True)
    assert not target.read_bytes().strip(b"\0")
    done = gpt.restore(target, grow=grow)
    assert foretold["restore_plan"] == done["restore_plan"]
    volumes = check_target(gpt, target)
    (plan,) = done["restore_plan"]["disks"]
    told = [(one["after"]["start_lba"], one["after"]["length_bytes"] // 512) for one in plan["partitions"]]
    assert told == [(one["start"], one["size"]) for one in volumes]
    expected = ["kept"] * (number - 1) + ["grown"] + ["moved"] * (len(volumes) - number)
    assert [one["action"] for one in plan["partitions"]] == expected
    grown, before = volumes[number - 1], gpt.table[number - 1]
    assert grown["start"] == before["start"]
    assert grown["size"] - before["size"] >= 63 * MIB // 512
    kind = GPT[number - 1].kind
    assert 0 <= grown["size"] * 512 - volume_bytes(target, grown, kind, gpt.folder) <= 4096
    if number < 4:
        assert any("reagentc" in text for text in done["warnings"])


@pytest.mark.parametrize(("grow", "number"), [("last", 6), ("5", 5), ("1", 1)])
def test_mbr_partition_grows_with_the_extended_one_around_it(mbr: Scene, grow: str, number: int) -> None:
    target = mbr.target(64)
    mbr.restore(target, grow=grow)
    volumes = check_target(mbr, target)
    place = {1: 0, 5: 1, 6: 2}[number]
    before = [one for one in mbr.table if one["type"] not in ("5", "f")]
    assert volumes[place]["start"] == before[place]["start"]
    assert volumes[place]["size"] - before[place]["size"] >= 63 * MIB // 512
    assert 0 <= volumes[place]["size"] * 512 - volume_bytes(target, volumes[place], MBR[place].kind, mbr.folder) <= 4096
    with open(target, "rb") as file, open(mbr.disk.path, "rb") as original:
        assert file.read(446) == original.read(446)


def test_grows_on_a_block_device(gpt: Scene) -> None:
    target = gpt.target(32)
    loop = run("losetup", "-f", "--show", target).strip()
    try:
        gpt.restore(Path(loop), grow="3")
    finally:
        detach(loop)
    check_target(gpt, target)


@pytest.mark.parametrize(
    ("grow", "code"), [("1", "R141"), ("9", "R140"), ("system", "R140")], ids=["a FAT", "no such", "no system"]
)
def test_refused_before_the_first_byte(gpt: Scene, refused_before: Path, grow: str, code: str) -> None:
    with pytest.raises(EngineError) as caught:
        gpt.restore(refused_before, grow=grow)
    assert caught.value.code == code


def test_missing_tools_are_told_before_the_first_byte(
    gpt: Scene, refused_before: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.restore.resize.tools.shutil.which", lambda tool, path: None)
    for settings in ({"check": True}, {}):
        with pytest.raises(EngineError) as caught:
            gpt.restore(refused_before, grow="3", **settings)
        assert caught.value.code == "R144"
        assert "resize2fs" in str(caught.value)


def test_a_failed_tool_leaves_an_unbootable_target_that_a_second_try_completes(
    gpt: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = gpt.target(64)
    with monkeypatch.context() as broken:
        broken.setattr("engine.restore.resize.tools._FOLDERS", ("/usr/bin",))
        broken.setattr("engine.restore.resize.tools.path_of", lambda tool: "/bin/false")
        with pytest.raises(EngineError) as caught:
            gpt.restore(target, grow="3")
    assert caught.value.code == "R146"
    assert target.read_bytes().startswith(b"plantops.imaging restore in progress\n")
    gpt.restore(target, grow="3")
    check_target(gpt, target)


def test_equal_size_has_nothing_to_grow(gpt: Scene) -> None:
    target = gpt.target(0)
    done = gpt.restore(target, grow="last")
    check_target(gpt, target)
    assert done["restore_plan"]["disks"][0]["tools"] == []
    assert any("no partition is grown" in text for text in done["warnings"])


def test_gpt_of_ext_and_swap_comes_onto_sectors_of_4096_bytes(tmp_path: Path, need) -> None:
    need("sgdisk", "losetup", "mkswap", "resize2fs")
    parts = (
        Part("one", "ext", 36, ("-t", "ext4", "-b", "4096")),
        Part("swap", "swap", 8),
        Part("two", "ext", 36, ("-t", "ext4", "-b", "4096")),
    )
    scene = make_scene(tmp_path / "scene", "gpt", parts, files=10)
    target = scene.target(40)
    loop = run("losetup", "-f", "--show", "-b", "4096", target).strip()
    try:
        done = scene.restore(Path(loop), grow="last")
        assert "No problems found" in run("sgdisk", "-v", loop)
    finally:
        detach(loop)
    places = [one["after"] for one in done["restore_plan"]["disks"][0]["partitions"]]
    assert [one["start_bytes"] for one in places] == [one["start"] * 512 for one in scene.table]
    for part, place in ((parts[0], places[0]), (parts[2], places[2])):
        assert files_in(target, "ext", place["start_bytes"], place["length_bytes"], tmp_path) == scene.files[part.name]


def test_sectors_of_4096_bytes_are_refused_for_what_counts_in_sectors(gpt: Scene) -> None:
    target = gpt.target(64)
    loop = run("losetup", "-f", "--show", "-b", "4096", target).strip()
    try:
        with pytest.raises(EngineError) as caught:
            gpt.restore(Path(loop))
    finally:
        detach(loop)
    assert caught.value.code == "R104"
    assert not target.read_bytes().strip(b"\0")
