# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Discovery on machines of other kinds, described as folders; and on machines that lie."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any, Dict, List

import pytest
from engine.device.discovery import discover
from engine.device.selection import Selection
from engine.errors import EngineError
from engine.host.linux_stack import BlockTree
from support.machines import NAMES, build, build_from, load


def by_name(found: Dict[str, Any], key: str) -> Dict[str, Any]:
    return {one["path"]: one for one in found[key]}


def test_sata_with_lvm_a_mirror_and_an_empty_card_reader(tmp_path: Path) -> None:
    found = discover(build(tmp_path, "sata_lvm_md"))
    assert found["version"] == 1
    assert found["hardware"] == {
        "vendor": "SIEMENS AG",
        "product": "SIMATIC IPC427E",
        "version": "",
        "serial": "SVPK2104567",
        "uuid": "4c4c4544-0042-3510-8051-c4c04f563333",
    }
    assert found["firmware"]["kind"] == "uefi"
    assert found["firmware"]["secure_boot"] is True
    assert found["operating_system"]["name"] == "Debian GNU/Linux 12 (bookworm)"
    assert found["operating_system"]["kernel"] == "6.1.0-18-amd64"
    assert found["processors"]["cores"] == 2
    assert found["memory_bytes"] == 16307292 * 1024
    disks = by_name(found, "disks")
    assert sorted(disks) == ["/dev/sda", "/dev/sdb", "/dev/sdc", "/dev/sdd"]
    sda = disks["/dev/sda"]
    assert (sda["transport"], sda["serial"], sda["wwn"]) == ("sata", "S45PNA0M123456", "5002538e40b2f0a1")
    assert (sda["rotational"], sda["removable"], sda["read_only"]) == (False, False, False)
    assert (sda["sector_bytes"], sda["physical_sector_bytes"], sda["size_bytes"]) == (512, 4096, 937703088 * 512)
    assert [(one["number"], one["start_bytes"]) for one in sda["partitions"]] == [
        (1, 2048 * 512),
        (2, 1050624 * 512),
        (3, 3147776 * 512),
    ]
    assert disks["/dev/sdb"]["rotational"]
    assert disks["/dev/sdb"]["serial"] == "WD-WX41A12D3456"
    assert disks["/dev/sdd"]["why_not_in_all"] == "it is removable"
    volumes = by_name(found, "volumes")
    assert volumes["/dev/mapper/vg-root"]["mount_points"] == ["/"]
    assert volumes["/dev/mapper/vg-swap"]["swap_in_use"]
    assert volumes["/dev/sda1"]["kind"] == "vfat"
    layers = by_name(found, "layers")
    assert layers["/dev/mapper/vg-root"]["on"] == ["/dev/sda3"]
    assert layers["/dev/mapper/vg-root"]["disks"] == ["/dev/sda"]
    assert layers["/dev/md0"]["disks"] == ["/dev/sdb", "/dev/sdc"]
    assert {one["what"] for one in found["unreadable"]} >= {"/dev/sda", "/dev/mapper/vg-root"}


def test_nvme_with_an_encrypted_root_and_usb_inside_and_outside(tmp_path: Path) -> None:
    found = discover(build(tmp_path, "nvme_luks_usb"))
    assert found["hardware"]["uuid"] == "", "a value that many boards share"
    assert found["firmware"]["secure_boot"] is None
    disks = by_name(found, "disks")
    nvme = disks["/dev/nvme0n1"]
    assert (nvme["transport"], nvme["serial"], nvme["model"]) == ("nvme", "S4GGNX0R123456", "SAMSUNG MZVLB256HBHQ")
    assert nvme["stable_id"] == "wwn:eui.0025388b91d0f1a2"
    assert (disks["/dev/sda"]["serial"], disks["/dev/sda"]["removable"]) == ("4C530001230101118392", True)
    assert (disks["/dev/sdb"]["serial"], disks["/dev/sdb"]["removable"]) == ("MODULE0042", False)
    assert by_name(found, "layers")["/dev/mapper/dm_crypt-0"]["kind"] == "crypt"
    assert by_name(found, "layers")["/dev/mapper/dm_crypt-0"]["disks"] == ["/dev/nvme0n1"]


def test_server_with_disks_on_the_network(tmp_path: Path) -> None:
    disks = by_name(discover(build(tmp_path, "server_multipath_network")), "disks")
    transports = {path: disk["transport"] for path, disk in disks.items()}
    assert transports == {
        "/dev/sda": "sas",
        "/dev/sdb": "fc",
        "/dev/sdc": "fc",
        "/dev/mapper/mpatha": "fc",
        "/dev/sdd": "iscsi",
        "/dev/nvme1n1": "nvme-tcp",
        "/dev/nbd0": "nbd",
    }
    assert {path for path, disk in disks.items() if disk["is_network"]} == set(disks) - {"/dev/sda"}
    assert disks["/dev/sdb"]["path_of"] == "/dev/mapper/mpatha"
    assert disks["/dev/mapper/mpatha"]["model"] == "LUN C-Mode"


def test_board_without_smbios(tmp_path: Path) -> None:
    found = discover(build(tmp_path, "emmc_device_tree"))
    assert found["hardware"]["product"] == "SIMATIC IOT2050 Advanced PG2"
    assert found["hardware"]["serial"] == "9e1c8b4a"
    assert found["firmware"]["kind"] == ""
    assert [(disk["path"], disk["transport"]) for disk in found["disks"]] == [("/dev/mmcblk0", "mmc")]
    assert by_name(found, "volumes")["/dev/mmcblk0p1"]["mounted_read_only"] is True


def test_machine_whose_disks_tell_little(tmp_path: Path) -> None:
    found = discover(build(tmp_path, "live_in_memory"))
    disks = by_name(found, "disks")
    assert disks["/dev/sda"]["stable_id"] == "serial:QM00001"
    assert disks["/dev/sda"]["wwn"] == "", "a t10 name is made up of model and serial number"
    assert disks["/dev/sdb"]["serial"] == "", "a serial number of zeros is none"
    assert disks["/dev/vda"]["transport"] == "virtio"
    assert found["hardware"]["uuid"] == ""


def test_nothing_at_all(tmp_path: Path) -> None:
    found = discover(str(tmp_path) + "/")
    assert found["disks"] == []
    assert {"disks", "hardware"} <= {one["what"] for one in found["unreadable"]}


REFUSALS = ("D100", "D104", "D105", "D106")


def paths_or_code(root: str, entry: str) -> List[str]:
    try:
        return [one.path for one in Selection(root).choose([entry])]
    except EngineError as error:
        return [error.code]


JUNK = ("", "-1", "9" * 5000, "\x00\xff" * 40, "../../etc", "1\n2\n3", "0x", "a" * 9000, "½", "1e9", "dm-0 dm-0")


@pytest.mark.parametrize("name", NAMES)
def test_values_that_lie_never_make_it_fail(name: str, tmp_path: Path) -> None:
    chance = random.Random(name)
    for round_number in range(12):
        document = load(name)
        for device in document["devices"].values():
            for key in device["files"]:
                if key != "dev" and chance.random() < 0.4:
                    device["files"][key] = chance.choice(JUNK)
        for path in document["files"]:
            if chance.random() < 0.4:
                document["files"][path] = chance.choice(JUNK)
        root = build_from(tmp_path / str(round_number), document)
        found = discover(root)
        json.dumps(found)
        for entry in ("all", "system", "/", "/boot", "serial:1", "½"):
            assert all(one.startswith("/dev/") or one in REFUSALS for one in paths_or_code(root, entry))


def test_devices_that_lie_on_each_other_end(tmp_path: Path) -> None:
    root = build(tmp_path, "sata_lvm_md")
    block = tmp_path / "sys/class/block"
    os.symlink("../../dm-1", str(block / "dm-0" / "slaves" / "dm-1"))
    os.symlink("../../dm-0", str(block / "dm-1" / "slaves" / "dm-0"))
    assert {place.name for place in BlockTree(root).beneath("dm-0")} == {"sda"}
    assert discover(root)["layers"]
