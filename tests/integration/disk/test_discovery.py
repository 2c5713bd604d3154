# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Discovery on the machine that runs the tests, next to lsblk and blkid; as root and as an ordinary user."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from engine.device.discovery import discover
from support.filled import MIB, empty, run
from support.machines import build
from support.paths import MODULE_UTILS
from support.whole_disks import Part, build_disk

pytestmark = pytest.mark.alone

NOBODY = 65534


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Path]:
    """A loop device over an ext4 volume with a label."""
    volume = empty(tmp_path / "volume.img", 64 * MIB)
    run("mke2fs", "-q", "-F", "-t", "ext4", "-L", "recipes 7", volume)
    device = Path(run("losetup", "-f", "--show", volume).strip())
    yield device
    run("losetup", "-d", device)


def lsblk() -> List[Dict[str, Any]]:
    columns = "NAME,PATH,TYPE,SIZE,LOG-SEC,PHY-SEC,RM,ROTA,RO,SERIAL,MODEL,WWN,MOUNTPOINTS,TRAN"
    found: List[Dict[str, Any]] = json.loads(run("lsblk", "-J", "-b", "-a", "-o", columns))["blockdevices"]
    return found


def test_disks_are_those_of_lsblk(need) -> None:
    need("lsblk")
    theirs = {
        one["path"]: one for one in lsblk() if one["type"] == "disk" and not one["name"].startswith(("zram", "ram"))
    }
    ours = {one["path"]: one for one in discover()["disks"] if one["transport"] != "multipath"}
    assert set(ours) == set(theirs)
    for path, disk in ours.items():
        other = theirs[path]
        for key, column in (
            ("size_bytes", "size"),
            ("sector_bytes", "log-sec"),
            ("physical_sector_bytes", "phy-sec"),
            ("rotational", "rota"),
            ("read_only", "ro"),
        ):
            assert disk[key] == other[column], (path, key)
        assert [one["path"] for one in disk["partitions"] if one["path"]] == [
            one["path"] for one in other.get("children", []) if one["type"] == "part"
        ]
        for key, column in (("serial", "serial"), ("model", "model")):
            assert other[column] is None or disk[key] in ("", other[column].strip()), (path, key)


@pytest.mark.root
def test_a_volume_on_a_loop_device_next_to_blkid_and_lsblk(loop: Path, tmp_path: Path, need) -> None:
    need("lsblk", "blkid", "losetup", "mke2fs")
    says = dict(line.split("=", 1) for line in run("blkid", "-p", "-o", "export", loop).splitlines())

    def look() -> Dict[str, Any]:
        return next(one for one in discover()["volumes"] if one["path"] == str(loop))

    found = look()
    assert (found["kind"], found["uuid"], found["size_bytes"]) == (says["TYPE"], says["UUID"], 64 * MIB)
    assert found["label"] == "recipes 7"
    assert found["mount_points"] == []
    assert 0 < found["used_bytes"] < 20 * MIB
    layer = next(one for one in discover()["layers"] if one["path"] == str(loop))
    assert (layer["kind"], layer["on"]) == ("loop", [str(tmp_path / "volume.img")])
    point = tmp_path / "mounted here"
    point.mkdir()
    run("mount", loop, point)
    try:
        mounted = look()
        theirs = next(one for one in lsblk() if one["path"] == str(loop))
        assert mounted["mount_points"] == [one for one in theirs["mountpoints"] if one] == [str(point)]
        assert mounted["mounted_read_only"] is False
        status = os.statvfs(str(point))
        assert mounted["used_bytes"] == (status.f_blocks - status.f_bfree) * status.f_frsize
    finally:
        run("umount", point)


@pytest.mark.root
def test_partitions_and_volumes_of_a_disk_that_can_be_read(tmp_path: Path, need) -> None:
    """The bytes of a real disk behind the description of another machine: what our parsers add to what /sys tells."""
    need("sfdisk", "mke2fs", "mkfs.fat", "mcopy", "mkswap", "losetup", "blkid")
    parts = (
        Part("efi", "fat", 48, ("-F", "32", "-s", "1", "-n", "SYSTEM")),
        Part("root", "ext", 48, ("-t", "ext4", "-L", "root")),
        Part("swap", "swap", 8),
        Part("raw", "raw", 3),
    )
    disk = build_disk(tmp_path, "gpt", parts, files=30)
    root = build(tmp_path / "machine", "live_in_memory")
    (tmp_path / "machine/dev").mkdir()
    shutil.move(str(disk.path), str(tmp_path / "machine/dev/sda"))
    path = tmp_path / "machine/dev/sda"
    found = discover(root)
    (ours,) = [one for one in found["disks"] if one["path"] == "/dev/sda"]
    table = json.loads(run("sfdisk", "--json", path))["partitiontable"]
    assert (ours["scheme"], ours["disk_id"]) == ("gpt", table["id"].lower())
    assert [
        (one["number"], one["start_bytes"], one["length_bytes"], one["type_id"], one["unique_id"])
        for one in ours["partitions"]
    ] == [
        (number, one["start"] * 512, one["size"] * 512, one["type"].lower(), one["uuid"].lower())
        for number, one in enumerate(table["partitions"], 1)
    ]
    volumes = [one for one in found["volumes"] if one["disk"] == "sda"]
    assert [one["kind"] for one in volumes] == ["fat32", "ext4", "swap", ""]
    for one, placed in zip(volumes, disk.parts):
        if one["kind"]:
            says = run("blkid", "-p", "-O", placed.start_bytes, "-S", placed.size_bytes, "-o", "export", path)
            pairs = dict(line.split("=", 1) for line in says.splitlines())
            assert one["uuid"].lower() == pairs["UUID"].lower()
            assert one["label"] == pairs.get("LABEL", "")
            assert 0 <= one["used_bytes"] <= one["size_bytes"]


@pytest.mark.root
def test_an_ordinary_user_sees_less_and_is_told_what(loop: Path) -> None:
    program = "import fcntl, json, os; from engine.device.discovery import discover; discover()\n"
    program += "os.setgroups([]); os.setgid(%d); os.setuid(%d); print(json.dumps(discover()))" % (NOBODY, NOBODY)
    environment = dict(os.environ, PYTHONPATH=str(MODULE_UTILS))
    done = subprocess.run([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, check=True)
    found, mine = json.loads(done.stdout), discover()
    assert [(one["path"], one["size_bytes"], one["serial"]) for one in found["disks"]] == [
        (one["path"], one["size_bytes"], one["serial"]) for one in mine["disks"]
    ]
    assert found["operating_system"] == mine["operating_system"]
    unreadable = {one["what"]: one["reason"] for one in found["unreadable"]}
    assert "ermission denied" in unreadable[str(loop)]


def test_what_the_system_says_of_itself() -> None:
    found = discover()
    assert found["operating_system"]["kernel"] == os.uname().release
    assert found["processors"]["logical"] == os.cpu_count()
    assert found["memory_bytes"] == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    json.dumps(found)
