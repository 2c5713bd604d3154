# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A clone with an identity of its own: other programs find new ids, what named the old ones names the new ones, and what can't be changed is
refused by name before the first byte."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

import pytest
from engine.errors import EngineError, RestoreTargetBusy
from engine.restore.resize import volume_tools
from engine.restore.resize.tools import Ran
from support.filled import MIB, mounted, run
from support.hives import Key, boot_config, gpt_device, hive, mbr_device, read_values
from support.imaging import image, job, run_verb
from support.paths import ROOT
from support.resizing import Scene, files_in, make_scene, table_of
from support.restoring import MARK
from support.whole_disks import Part, Placed, WholeDisk, copy_range

pytestmark = pytest.mark.root
GPT = (
    Part("efi", "fat", 36, ("-F", "32", "-s", "1")),
    Part("windows", "ntfs", 24, ("-c", "4096")),
    Part("store", "ntfs", 20, ("-c", "4096")),
    Part("root", "ext", 24, ("-t", "ext4")),
    Part("data", "ext", 24, ("-t", "ext4")),
)
MBR = (
    Part("windows", "ntfs", 24, ("-c", "4096")),
    Part("data", "ntfs", 20, ("-c", "4096"), logical=True),
    Part("recovery", "ntfs", 20, ("-c", "4096"), logical=True),
)
BCD_ON_EFI, BCD, SYSTEM = "EFI/Microsoft/Boot/BCD", "Boot/BCD", "Windows/System32/config/SYSTEM"


def disk_id(disk: Path) -> str:
    return str(json.loads(run("sfdisk", "--json", disk))["partitiontable"]["id"]).lower()


def put_efi(disk: Path, efi: Placed, content: bytes, folder: Path) -> None:
    place = "%s@@%d" % (disk, efi.start_bytes)
    source = folder / "BCD"
    source.write_bytes(content)
    subprocess.run(["mmd", "-D", "s", "-i", place, "::EFI", "::EFI/Microsoft", "::EFI/Microsoft/Boot"], check=False)
    run("mcopy", "-o", "-i", place, source, "::" + BCD_ON_EFI)


def put(disk: Path, placed: Placed, folder: Path, files: Dict[str, bytes]) -> None:
    kind = {"ext": "ext4", "ntfs": "ntfs"}[placed.part.kind]
    with mounted(disk, folder / "mnt", kind, offset=placed.start_bytes, size=placed.size_bytes) as mount:
        for name, content in files.items():
            path = mount / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def hives_of_gpt(disk: Path, **settings: Any) -> List[bytes]:
    ids = [one["uuid"] for one in table_of(disk)]
    own = disk_id(disk)
    devices = [gpt_device(own, ids[0]), gpt_device(own, ids[1]), gpt_device(str(uuid.uuid4()), ids[2])]
    letters: Key = {
        "\\DosDevices\\%s:" % letter: b"DMIO:ID:" + uuid.UUID(one).bytes_le for letter, one in zip("CD", ids[1:3])
    }
    return [hive(boot_config(devices), **settings), hive({"MountedDevices": letters})]


def hives_of_mbr(disk: WholeDisk, strange: bytes = b"") -> List[bytes]:
    own = disk_id(disk.path)[2:]
    places = [one.start_bytes for one in disk.parts]
    devices = [mbr_device(own, one) for one in places] + ([strange] if strange else [])
    letters: Key = {
        "\\DosDevices\\%s:" % letter: struct.pack("<IQ", int(own, 16), one) for letter, one in zip("CDE", places)
    }
    return [hive(boot_config(devices)), hive({"MountedDevices": letters})]


def make_gpt(disk: WholeDisk, folder: Path) -> None:
    boot, system = hives_of_gpt(disk.path)
    put_efi(disk.path, disk.parts[0], boot, folder)
    put(disk.path, disk.parts[1], folder, {SYSTEM: system})
    root = uuid_of(disk.path, disk.parts[3], folder)
    fstab = ("UUID=%s / ext4 defaults 0 1\n" % root).encode("ascii")
    put(disk.path, disk.parts[3], folder, {"etc/fstab": fstab, "usr/x": b"x"})


def make_mbr(disk: WholeDisk, folder: Path) -> None:
    run("sfdisk", "-A", disk.path, "1")
    boot, system = hives_of_mbr(disk)
    put(disk.path, disk.parts[0], folder, {BCD: boot, SYSTEM: system})


def uuid_of(disk: Path, placed: Placed, folder: Path) -> str:
    volume = folder / "volume-of-uuid"
    volume.write_bytes(b"")
    copy_range(disk, placed.start_bytes, volume, 0, placed.size_bytes)
    found = run("blkid", "-p", "-o", "value", "-s", "UUID", volume).strip()
    volume.unlink()
    return found


@pytest.fixture(scope="module")
def gpt(tmp_path_factory: pytest.TempPathFactory, need: Callable[..., None]) -> Scene:
    need("sgdisk", "sfdisk", "ntfs-3g", "mcopy", "mmd", "blkid", "tune2fs", "ntfslabel", "e2fsck")
    return make_scene(tmp_path_factory.mktemp("gpt"), "gpt", GPT, files=15, prepare=make_gpt)


@pytest.fixture(scope="module")
def mbr(tmp_path_factory: pytest.TempPathFactory, need: Callable[..., None]) -> Scene:
    need("sfdisk", "ntfs-3g", "blkid", "ntfslabel")
    return make_scene(tmp_path_factory.mktemp("mbr"), "dos", MBR, files=15, prepare=make_mbr)


def content_of(scene: Scene, target: Path, part: int, name: str) -> bytes:
    placed = scene.disk.parts[part]
    if placed.part.kind == "fat":
        path = scene.folder / "read"
        run("mcopy", "-n", "-o", "-i", "%s@@%d" % (target, placed.start_bytes), "::" + name, path)
        return path.read_bytes()
    with mounted(
        target, scene.folder / "mnt", "ntfs", offset=placed.start_bytes, size=placed.size_bytes, read_only=True
    ) as mount:
        return (mount / name).read_bytes()


def assert_only(scene: Scene, target: Path, changed: Dict[str, List[str]]) -> None:
    """Every file but the named ones is what it was."""
    for placed in scene.disk.parts:
        part = placed.part
        found = files_in(target, part.kind, placed.start_bytes, placed.size_bytes, scene.folder)
        before = scene.files[part.name]
        assert set(found) == set(before)
        assert [name for name in before if found[name] != before[name]] == changed.get(part.name, []), part.name


def test_a_gpt_and_what_names_it_get_new_ids(gpt: Scene, tmp_path: Path) -> None:
    target = gpt.target(0)
    done = gpt.restore(target, identity="new")
    assert "No problems found" in run("sgdisk", "-v", target)
    old, new = table_of(gpt.disk.path), table_of(target)
    ids = [one["uuid"] for one in new]
    assert not {*ids, disk_id(target).upper()} & {*(one["uuid"] for one in old), disk_id(gpt.disk.path).upper()}
    assert len(set(ids)) == len(ids)
    places = [[(one["start"], one["size"], one["type"]) for one in table] for table in (old, new)]
    assert places[0] == places[1]
    identity = done["restore_plan"]["disks"][0]["identity"]
    assert identity["disk_id"] == {"before": disk_id(gpt.disk.path), "after": disk_id(target)}
    assert [one["after"].upper() for one in identity["partitions"]] == ids
    assert [one["partition"] for one in done["restore_plan"]["disks"][0]["files_changed"]] == [1, 2]
    assert_only(gpt, target, {"efi": [BCD_ON_EFI], "windows": [SYSTEM]})
    boot = read_values(content_of(gpt, target, 0, BCD_ON_EFI))
    assert [one for one in boot.values() if uuid.UUID(disk_id(target)).bytes_le in one]
    for number in (0, 1):
        device = gpt_device(disk_id(target), ids[number])
        assert list(boot.values()).count(device) == 2
    letters = read_values(content_of(gpt, target, 1, SYSTEM))
    assert list(letters.values()) == [b"DMIO:ID:" + uuid.UUID(one).bytes_le for one in ids[1:3]]
    uuids = [[uuid_of(disk, one, tmp_path) for one in gpt.disk.parts] for disk in (gpt.disk.path, target)]
    assert [before != after for before, after in zip(*uuids)] == [False, False, True, False, True]
    assert [one["is_new"] for one in identity["file_systems"]] == [False, False, True, False, True]
    assert any("/etc/fstab" in text for text in done["warnings"])
    for part in (3, 4):
        volume = tmp_path / "volume"
        volume.write_bytes(b"")
        copy_range(target, gpt.disk.parts[part].start_bytes, volume, 0, gpt.disk.parts[part].size_bytes)
        run("e2fsck", "-f", "-n", volume)


def test_two_clones_differ_and_check_mode_writes_nothing(gpt: Scene) -> None:
    target = gpt.target(0)
    planned = [gpt.restore(target, identity="new", check=True) for dummy in range(2)]
    assert not target.read_bytes().strip(b"\0")
    ids = [one["restore_plan"]["disks"][0]["identity"]["disk_id"]["after"] for one in planned]
    assert ids[0] != ids[1]
    target = gpt.target(0)
    gpt.restore(target, identity="keep")
    assert table_of(target) == [dict(one, node=new["node"]) for one, new in zip(gpt.table, table_of(target))]
    assert disk_id(target) == disk_id(gpt.disk.path)
    assert_only(gpt, target, {})


def test_an_mbr_gets_a_new_signature_with_moved_partitions(mbr: Scene) -> None:
    """The recovery partition moves: its drive letter and its devices of the boot configuration follow place and signature."""
    target = mbr.target(48)
    done = mbr.restore(target, identity="new", grow="5")
    signature = disk_id(target)[2:]
    assert signature != disk_id(mbr.disk.path)[2:]
    run("sfdisk", "--verify", target)
    table = [one for one in table_of(target) if one["type"] not in ("5", "f")]
    starts = [one["start"] * 512 for one in table]
    assert starts[:2] == [one.start_bytes for one in mbr.disk.parts[:2]]
    assert starts[2] > mbr.disk.parts[2].start_bytes
    boot = list(read_values(content_of(mbr, target, 0, BCD)).values())
    assert [boot.count(mbr_device(signature, start)) for start in starts] == [2, 2, 2]
    letters = read_values(content_of(mbr, target, 0, SYSTEM))
    assert list(letters.values()) == [struct.pack("<IQ", int(signature, 16), start) for start in starts]
    assert [one["action"] for one in done["restore_plan"]["disks"][0]["partitions"]] == ["kept", "grown", "moved"]


def refused(scene: Scene, storage: Path, code: str, **settings: Any) -> Dict[str, Any]:
    target = scene.target(settings.pop("more", 0))
    with pytest.raises(EngineError) as caught:
        scene._replace(storage=storage).restore(target, **settings)
    assert caught.value.code == code
    assert not target.read_bytes().strip(b"\0")
    return caught.value.fields


def changed_copy(scene: Scene, folder: Path, change: Callable[[Path], object]) -> Path:
    """The storage with an image of the disk after a change."""
    disk = Path(shutil.copy(str(scene.disk.path), str(folder / "changed.raw")))
    change(disk)
    image(folder / "storage", disk)
    return folder / "storage"


@pytest.mark.parametrize("name", ["etc/fstab", "boot/grub/grub.cfg", "boot/loader/entries/x.conf"])
def test_a_configuration_that_names_a_partition_is_refused_by_name(name: str, gpt: Scene, tmp_path: Path) -> None:
    line = ("root=PARTUUID=%s\n" % table_of(gpt.disk.path)[4]["uuid"].lower()).encode("ascii")
    storage = changed_copy(gpt, tmp_path, lambda disk: put(disk, gpt.disk.parts[3], tmp_path, {name: line}))
    fields = refused(gpt, storage, "R161", identity="new")
    assert (fields["partition"], fields["path"], fields["where"]) == (5, name, 4)


@pytest.mark.parametrize("how", ["in use", "garbage", "cells", "checksum"])
def test_a_boot_configuration_that_can_not_be_changed_is_refused(how: str, gpt: Scene, tmp_path: Path) -> None:
    content = bytearray(hives_of_gpt(gpt.disk.path)[0])
    if how == "in use":
        content = bytearray(hives_of_gpt(gpt.disk.path, is_clean=False)[0])
    elif how == "garbage":
        content[:] = b"no hive at all " * 1000
    elif how == "cells":
        struct.pack_into("<i", content, 4096 + 32, -12)
    else:
        content[508] ^= 1
    storage = changed_copy(gpt, tmp_path, lambda disk: put_efi(disk, gpt.disk.parts[0], bytes(content), tmp_path))
    fields = refused(gpt, storage, "R162", identity="new")
    assert (fields["partition"], fields["path"].split("\\")[-1]) == (1, "BCD")


def test_a_signature_in_an_unknown_form_is_refused(mbr: Scene, tmp_path: Path) -> None:
    strange = b"a disk by " + struct.pack("<I", int(disk_id(mbr.disk.path)[2:], 16)) + b" alone"
    content = hives_of_mbr(mbr.disk, strange)[0]
    storage = changed_copy(mbr, tmp_path, lambda disk: put(disk, mbr.disk.parts[0], tmp_path, {BCD: content}))
    assert refused(mbr, storage, "R162", identity="new")["partition"] == 1


@pytest.mark.parametrize("how", ["twice", "no table", "no signature", "bitlocker"])
def test_a_disk_that_can_have_no_new_identity_is_refused(how: str, gpt: Scene, mbr: Scene, tmp_path: Path) -> None:
    scene = mbr if how == "no signature" else gpt

    def change(disk: Path) -> None:
        if how == "twice":
            run("sgdisk", "-u", "3:" + table_of(disk)[1]["uuid"], disk)
        with open(disk, "r+b") as file:
            if how == "no table":
                file.write(bytes(2 * MIB))
                file.truncate(8 * MIB)
            if how == "no signature":
                file.seek(440)
                file.write(bytes(4))
            if how == "bitlocker":
                file.seek(scene.disk.parts[2].start_bytes)
                file.write(b"\xeb\x58\x90-FVE-FS-")

    assert refused(scene, changed_copy(scene, tmp_path, change), "R163", identity="new")["disk"] == "disk0"


def test_an_unknown_identity_is_refused(gpt: Scene) -> None:
    refused(gpt, gpt.storage, "J100", identity="other")


def kill_marked(scene: Scene, target: Path) -> None:
    """Kill a restore with a new identity behind its first write, and before its last."""
    request = job(scene.storage, "restore", map={"disk0": str(target)}, identity="new", overwrite=True)
    with subprocess.Popen(
        [sys.executable, "-m", "engine.agent.command"],
        env=dict(os.environ, PYTHONPATH=str(ROOT / "plugins" / "module_utils")),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(request).encode())
        process.stdin.close()
        with open(target, "rb") as file:
            while process.poll() is None and os.pread(file.fileno(), len(MARK), 0) != MARK:
                time.sleep(0.0005)
        process.kill()


def test_the_second_try_after_a_kill_has_one_identity(gpt: Scene) -> None:
    """What a killed clone left is replaced, in the table, its backup and the hives alike."""
    for dummy in range(10):
        target = gpt.target(0)
        kill_marked(gpt, target)
        with open(target, "rb") as file:
            if file.read(len(MARK)) == MARK:
                break
    else:
        raise AssertionError("no kill came before the end of the restore")
    done = restored_after_kill(gpt, target)
    assert done["restore_plan"]["disks"][0]["state"] == "interrupted"
    assert done["restore_plan"]["disks"][0]["identity"]["disk_id"]["after"] == disk_id(target)
    assert "No problems found" in run("sgdisk", "-v", target)
    ids = [one["uuid"] for one in table_of(target)]
    boot = list(read_values(content_of(gpt, target, 0, BCD_ON_EFI)).values())
    assert [boot.count(gpt_device(disk_id(target), one)) for one in ids[:2]] == [2, 2]
    assert uuid.UUID(disk_id(gpt.disk.path)).bytes_le not in target.read_bytes()


def restored_after_kill(scene: Scene, target: Path) -> Dict[str, Any]:
    """The second try; a tool that outlived its parent holds the target until it ends."""
    for dummy in range(40):
        try:
            return scene.restore(target, identity="new")
        except RestoreTargetBusy:
            time.sleep(0.5)
    raise AssertionError("a tool does not end")


def test_a_clone_of_a_clone_has_no_id_of_the_first(gpt: Scene) -> None:
    target = gpt.target(0)
    gpt.restore(target, identity="new")
    first = disk_id(target)
    done = gpt.restore(target, identity="new", overwrite=True)
    assert disk_id(target) != first
    assert done["restore_plan"]["disks"][0]["identity"]["disk_id"]["after"] == disk_id(target)
    assert uuid.UUID(first).bytes_le not in target.read_bytes()


def test_a_uuid_that_a_tool_refuses_does_not_fail_the_restore(
    gpt: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real tools run, but for one that refuses as e2fsck does where it can't repair without questions."""
    real = volume_tools.run_tool

    def run_tool(tool: str, *arguments: str, keep_open: Sequence[int] = ()) -> Ran:
        return Ran(4, "run fsck manually") if "-p" in arguments else real(tool, *arguments, keep_open=keep_open)

    monkeypatch.setattr(volume_tools, "run_tool", run_tool)
    target = gpt.target(0)
    done = gpt.restore(target, identity="new")
    uuids = [[uuid_of(disk, one, tmp_path) for one in gpt.disk.parts] for disk in (gpt.disk.path, target)]
    assert [before != after for before, after in zip(*uuids)] == [False, False, True, False, False]
    told = done["restore_plan"]["disks"][0]["identity"]["file_systems"]
    assert [one["is_new"] for one in told] == [False, False, True, False, False]
    assert "fsck" in told[4]["reason"]
    assert [text for text in done["warnings"] if "partition 5" in text and "fsck" in text]
    assert "No problems found" in run("sgdisk", "-v", target)


@pytest.mark.parametrize("word", ["UUID", "PARTUUID"])
def test_a_disk_that_another_disk_of_the_image_names(word: str, tmp_path: Path, need: Callable[..., None]) -> None:
    """The system is on disk0, whose fstab mounts the data on disk1; only disk1 is restored."""
    need("sfdisk", "mke2fs", "debugfs", "blkid", "tune2fs", "e2fsck")
    disks = [tmp_path / name for name in ("system.raw", "data.raw")]
    for disk in disks:
        disk.write_bytes(bytes(24 * MIB))
        run("sfdisk", "-q", disk, input=b"label: gpt\nstart=1MiB, size=20MiB\n")
        run("mke2fs", "-q", "-t", "ext4", "-E", "offset=%d" % MIB, disk, "%dk" % (20 << 10))
    part = "%s?offset=%d" % (disks[0], MIB)
    mine = {
        "UUID": run("blkid", "-p", "-o", "value", "-s", "UUID", "-O", str(MIB), disks[1]).strip(),
        "PARTUUID": table_of(disks[1])[0]["uuid"].lower(),
    }[word]
    fstab = tmp_path / "fstab"
    fstab.write_text("%s=%s /data ext4 defaults 0 2\n" % (word, mine))
    run("debugfs", "-w", "-R", "mkdir etc", part)
    run("debugfs", "-w", "-R", "write %s etc/fstab" % fstab, part)
    image(tmp_path / "storage", *disks)
    target = tmp_path / "target"
    target.write_bytes(bytes(24 * MIB))
    settings: Dict[str, Any] = {"map": {"disk1": str(target)}, "identity": "new"}
    if word == "PARTUUID":
        with pytest.raises(EngineError) as caught:
            run_verb(tmp_path / "storage", "restore", **settings)
        assert (caught.value.code, caught.value.fields["path"]) == ("R161", "etc/fstab")
        assert not target.read_bytes().strip(b"\0")
        return
    done = run_verb(tmp_path / "storage", "restore", **settings)
    (told,) = done["restore_plan"]["disks"][0]["identity"]["file_systems"]
    assert told["is_new"] is False
    assert "disk0" in told["reason"]
    assert run("blkid", "-p", "-o", "value", "-s", "UUID", "-O", str(MIB), target).strip() == mine
    assert table_of(target)[0]["uuid"] != table_of(disks[1])[0]["uuid"]
