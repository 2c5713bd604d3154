# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What imaging_drives means on machines of many kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Optional, Type

import pytest
from engine.device.selection import Chosen, Selection, moved
from engine.errors import DiskNotFound, DriveAmbiguous, DriveUnknown, EngineError, NoDriveChosen
from engine.host.linux_stack import BlockTree, Range
from support.machines import build, build_from, load
from support.refusing import check_sentence, failing

SECTOR = 512


def paths(chosen: List[Chosen]) -> List[str]:
    return [one.path for one in chosen]


@pytest.mark.parametrize(
    ("machine", "everything", "system"),
    [
        ("sata_lvm_md", ["/dev/sda", "/dev/sdb", "/dev/sdc"], ["/dev/sda"]),
        ("nvme_luks_usb", ["/dev/nvme0n1", "/dev/sdb"], ["/dev/nvme0n1"]),
        ("server_multipath_network", ["/dev/sda"], ["/dev/sda"]),
        ("emmc_device_tree", ["/dev/mmcblk0"], ["/dev/mmcblk0"]),
        ("live_in_memory", ["/dev/sda", "/dev/sdb", "/dev/vda"], None),
    ],
)
def test_all_and_system(machine: str, everything: List[str], system: Optional[List[str]], tmp_path: Path) -> None:
    selection = Selection(build(tmp_path, machine))
    assert paths(selection.choose(["all"])) == everything
    if system is None:
        with failing(NoDriveChosen, drives="system"):
            selection.choose(["system"])
        return
    chosen = selection.choose(["system"])
    assert paths(chosen) == system
    assert all(one.spans is None for one in chosen)


def test_system_on_a_mirror_is_both_disks(tmp_path: Path) -> None:
    document = load("sata_lvm_md")
    document["files"]["proc/self/mountinfo"] = (
        "20 1 9:0 / / rw - ext4 /dev/md0 rw\n21 1 8:1 / /boot/efi rw - vfat /dev/sda1 rw"
    )
    selection = Selection(build_from(tmp_path, document))
    assert paths(selection.choose(["system"])) == ["/dev/sdb", "/dev/sdc", "/dev/sda"]


def test_the_disk_that_the_images_go_to_is_not_part_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = build(tmp_path, "sata_lvm_md")

    def under_file(dummy_self: BlockTree, path: str) -> List[Range]:
        return [Range("sdb", 0, 0), Range("sdc", 0, 0)] if path == str(tmp_path) else []

    monkeypatch.setattr(BlockTree, "under_file", under_file)
    assert paths(Selection(root, str(tmp_path / "not" / "made yet")).choose(["all"])) == ["/dev/sda"]
    monkeypatch.setattr(BlockTree, "under_file", lambda *dummy: [Range(name, 0, 0) for name in ("sda", "sdb", "sdc")])
    with failing(NoDriveChosen, drives="all") as caught:
        Selection(root, str(tmp_path)).choose(["all"])
    first, others = str(caught.value.fields["disks"]).split("/dev/sdb", 1)
    assert "/dev/sda (" in first
    assert "images" in first
    assert "removable" in others.split("/dev/sdd", 1)[1]


def test_mount_point_takes_its_partition_and_the_boot_volumes_of_that_disk(tmp_path: Path) -> None:
    selection = Selection(build(tmp_path, "sata_lvm_md"))
    efi = (2048 * SECTOR, (2048 + 1048576) * SECTOR)
    boot = (1050624 * SECTOR, (1050624 + 2097152) * SECTOR)
    lvm = (3147776 * SECTOR, (3147776 + 934553600) * SECTOR)
    (tmp_path / "data").mkdir()
    assert selection.choose(["/"]) == [Chosen("/dev/sda", frozenset([efi, boot, lvm]), ("/",))]
    data = selection.choose(["/data"])
    assert paths(data) == ["/dev/sdb", "/dev/sdc"]
    assert {one.spans for one in data} == {frozenset([(2048 * SECTOR, 1953525135 * SECTOR)])}
    both = selection.choose(["/", "/dev/sda"])
    assert both == [Chosen("/dev/sda", None, ("/", "/dev/sda"))]


def test_file_system_with_a_number_of_its_own_is_found_by_its_device(tmp_path: Path) -> None:
    root = build(tmp_path, "server_multipath_network")
    (tmp_path / "home").mkdir()
    (tmp_path / "dev").mkdir()
    (chosen,) = Selection(root).choose(["/home"])
    assert chosen.path == "/dev/sda"
    assert (601050624 * SECTOR, 1101050624 * SECTOR) in (chosen.spans or ())


def test_paths_of_disks_volumes_and_other_names(tmp_path: Path) -> None:
    root = build(tmp_path, "sata_lvm_md")
    (tmp_path / "dev/disk/by-id").mkdir(parents=True)
    (tmp_path / "dev/disk/by-id/ata-WDC").symlink_to("../../sdb")
    (tmp_path / "dev/disk/by-id/ata-SAMSUNG-part2").symlink_to("../../sda2")
    selection = Selection(root)
    assert selection.choose(["/dev/disk/by-id/ata-WDC"]) == [Chosen("/dev/sdb", None, ("/dev/disk/by-id/ata-WDC",))]
    (part,) = selection.choose(["/dev/disk/by-id/ata-SAMSUNG-part2"])
    assert part.path == "/dev/sda"
    assert (1050624 * SECTOR, (1050624 + 2097152) * SECTOR) in (part.spans or ())
    assert selection.choose(["/dev/mapper/vg-root"]) == [Chosen("/dev/mapper/vg-root", None, ("/dev/mapper/vg-root",))]
    assert selection.choose(["/dev/md0"]) == [Chosen("/dev/md0", None, ("/dev/md0",))]
    twice = selection.choose(["/dev/sdb", "/dev/disk/by-id/ata-WDC", "all"])
    assert paths(twice) == ["/dev/sdb", "/dev/sda", "/dev/sdc"]
    assert twice[0].entries == ("/dev/sdb", "/dev/disk/by-id/ata-WDC", "all")


@pytest.mark.parametrize(
    "entry",
    [
        "serial:S45PNA0M123456",
        "serial:s45pna0m123456",
        "S45PNA0M123456",
        "wwn:5002538e40b2f0a1",
        "wwn:0x5002538E40B2F0A1",
        "naa.5002538e40b2f0a1",
        "wwn-0x5002538e40b2f0a1",
    ],
)
def test_ids(entry: str, tmp_path: Path) -> None:
    assert Selection(build(tmp_path, "sata_lvm_md")).choose([entry]) == [Chosen("/dev/sda", None, (entry,))]


def test_wwn_of_a_disk_with_several_paths_is_one_disk(tmp_path: Path) -> None:
    selection = Selection(build(tmp_path, "server_multipath_network"))
    assert paths(selection.choose(["wwn:600a098038303053453f463045727654"])) == ["/dev/mapper/mpatha"]


def refused(selection: Selection, entry: str, kind: Type[EngineError]) -> str:
    with pytest.raises(kind) as caught:
        selection.choose([entry])
    check_sentence(caught.value)
    return str(caught.value)


def test_what_names_nothing_says_what_there_is(tmp_path: Path) -> None:
    selection = Selection(build(tmp_path, "sata_lvm_md"))
    (tmp_path / "data").mkdir()
    (tmp_path / "mnt/share").mkdir(parents=True)
    (tmp_path / "home/user").mkdir(parents=True)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/null").symlink_to("/dev/null")
    for entry in ("serial:NOPE", "wwn:0", "gpt:", "mbr:12345678", "C", "disk0"):
        text = refused(selection, entry, DriveUnknown)
        assert entry in text
        assert "/dev/sda (SAMSUNG MZ7LH480, wwn:5002538e40b2f0a1, 480 GB); /dev/sdb" in text
    assert "it is a folder in /" in refused(selection, "/home/user", DriveUnknown)
    assert "nfs4 is mounted there" in refused(selection, "/mnt/share", DriveUnknown)
    assert "neither a disk nor a file" in refused(selection, "/dev/null", DriveUnknown)
    for entry in ("/srv/absent.img", "/dev/sdz"):
        assert entry in refused(selection, entry, DiskNotFound)


def test_an_id_that_two_disks_have(tmp_path: Path) -> None:
    document = load("live_in_memory")
    devices: Dict[str, dict] = document["devices"]
    pages = [place for place in devices if place.endswith(("sda", "sdb"))]
    for place in pages:
        devices[place]["files"]["device/vpd_pg80"] = devices[pages[0]]["files"]["device/vpd_pg80"]
    text = refused(Selection(build_from(tmp_path, document)), "serial:QM00001", DriveAmbiguous)
    assert "/dev/sda" in text
    assert "/dev/sdb" in text


def test_moved_names() -> None:
    before = {"/dev/sda": ["serial:A"], "/dev/sdb": ["serial:B"], "all": ["serial:A"], "/x.img": ["path:/x.img"]}
    now = {
        "/dev/sda": ["serial:B"],
        "/dev/sdb": ["serial:B"],
        "all": ["serial:B"],
        "/x.img": ["gpt:1"],
        "/new": ["serial:C"],
    }
    (warning,) = moved(before, now)
    assert warning.startswith("/dev/sda was serial:A in the previous image and is serial:B now")
    for name in ("C:", "c:\\line", "disk0", r"\\.\PhysicalDrive0"):
        (warning,) = moved({name: ["serial:A"]}, {name: ["serial:B"]})
        assert warning.startswith("%s was serial:A in the previous image and is serial:B now" % name)
    for nothing in (None, [], {"/dev/sda": None}, {"/dev/sda": [1]}, {"/dev/sda": []}, {"/dev/sda": "serial:A"}):
        assert moved(nothing, now) == []


def test_an_image_file_with_several_names_is_imaged_once(tmp_path: Path) -> None:
    disk, linked, other = tmp_path / "disk.img", tmp_path / "linked.img", tmp_path / "other.img"
    disk.write_bytes(bytes(4096))
    linked.hardlink_to(disk)
    other.write_bytes(bytes(4096))
    chosen = Selection().choose([str(disk), str(linked), str(other)])
    assert paths(chosen) == [str(disk), str(other)]
    assert chosen[0].entries == (str(disk), str(linked))
