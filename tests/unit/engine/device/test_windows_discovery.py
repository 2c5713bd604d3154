# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The description of a Windows and its disks: the keys and words are those of Linux, so that its readers need no other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Dict

import pytest
from engine.device.discovery import discover as discover_linux
from engine.device.document.windows import disks as document_disks
from engine.device.document.windows.system import Facts, WindowsSystem
from engine.device.windows_discovery import discover
from support.machines import build
from support.windows import disk_bytes
from support.windows.disk_answers import error_of
from support.windows.pc import NAA, Pc
from support.windows.registries import MadeRegistry
from support.windows.tables import DYNAMIC, EFI, MIB, Part, gpt, mbr, plain

VERSION = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion"
OPTIONS = r"SYSTEM\CurrentControlSet\Control\ProductOptions"
KEYS: Dict[str, Dict[str, Any]] = {
    VERSION: {"ProductName": "Windows 10 IoT Enterprise LTSC", "DisplayVersion": "21H2"},
    OPTIONS: {"ProductType": "WinNT"},
}
ROOT = "\\\\?\\Volume"


@pytest.fixture
def pc(monkeypatch: pytest.MonkeyPatch) -> Pc:
    return Pc(monkeypatch)


def found(**more: Any) -> Dict[str, Any]:
    system = WindowsSystem(MadeRegistry(KEYS, **more), "", lambda: Facts(b"", 8 << 30, (10, 0, 19044)))
    told = discover(system)
    assert json.loads(json.dumps(told)) == told
    return told


def by(told: Dict[str, Any], key: str, name: str = "name") -> Dict[str, Any]:
    return {one[name]: one for one in told[key]}


@pytest.mark.usefixtures("pc")
def test_keys_are_those_of_linux(tmp_path: Path) -> None:
    linux, windows = discover_linux(build(tmp_path, "sata_lvm_md")), found()
    assert set(windows) == set(linux)
    for key in ("disks", "volumes"):
        assert set(windows[key][0]) == set(linux[key][0])
    of_linux = next(one for one in linux["disks"] if one["partitions"])
    assert set(windows["disks"][0]["partitions"][0]) == set(of_linux["partitions"][0])
    for key in ("hardware", "firmware", "processors"):
        assert set(windows[key]) == set(linux[key])
    assert set(windows["operating_system"]) == set(linux["operating_system"]) | {"product_type"}


@pytest.mark.usefixtures("pc")
def test_a_machine() -> None:
    told = found()
    assert told["operating_system"]["family"] == "windows"
    assert told["operating_system"]["name"] == "Windows 10 IoT Enterprise LTSC"
    assert told["operating_system"]["product_type"] == "workstation"
    assert told["operating_system"]["kernel"] == "10.0.19044"
    assert told["memory_bytes"] == 8 << 30
    assert told["unreadable"] == []


def test_disks_with_their_partitions_and_volumes(pc: Pc) -> None:
    told = found()
    disks = by(told, "disks")
    first, second = disks["disk0"], disks["disk1"]
    assert (first["path"], first["transport"], first["stable_id"]) == (
        r"\\.\PhysicalDrive0",
        "nvme",
        "wwn:" + NAA.hex(),
    )
    assert (second["stable_id"], second["scheme"], second["disk_id"]) == ("serial:Z4Y1ABCD", "mbr", "1a2b3c4d")
    assert [(one["number"], one["role"], one["path"]) for one in first["partitions"]] == [
        (1, "efi", ROOT + "{efi}"),
        (2, "microsoft-reserved", ""),
        (3, "data", ROOT + "{win}"),
        (4, "recovery", ""),
    ]
    volumes = by(told, "volumes", "path")
    windows = volumes[ROOT + "{win}"]
    assert (windows["disk"], windows["partition"], windows["size_bytes"]) == ("disk0", 3, 8 * MIB)
    assert windows["mount_points"] == ["C:\\"]
    assert volumes[ROOT + "{data}"]["mount_points"] == ["D:\\", "C:\\data\\"]
    assert volumes[ROOT + "{more}"]["mounted_read_only"] is None
    assert [one["why_not_in_all"] for one in told["disks"]] == ["", ""]
    assert pc.open_handles == {}


def test_bitlocker_is_known_by_how_a_volume_begins(pc: Pc) -> None:
    pc.contents[0][4 * MIB : 4 * MIB + 11] = b"\xeb\x58\x90-FVE-FS-"
    pc._monkeypatch.setattr(shutil, "disk_usage", lambda dummy_point: shutil._ntuple_diskusage(9, 5, 4))
    volumes = by(found(), "volumes", "path")
    unlocked = volumes[ROOT + "{win}"]
    assert (unlocked["kind"], unlocked["used_bytes"], unlocked["problem"]) == ("BitLocker", 5, "")
    assert volumes[ROOT + "{data}"]["kind"] == ""


def test_a_volume_that_bitlocker_has_locked_says_so(pc: Pc) -> None:
    pc.contents[0][4 * MIB : 4 * MIB + 11] = b"\xeb\x58\x90-FVE-FS-"

    def refuse(point: str) -> None:
        raise PermissionError(13, "This drive is locked by BitLocker Drive Encryption", point)

    pc._monkeypatch.setattr(shutil, "disk_usage", refuse)
    volumes = by(found(), "volumes", "path")
    locked = volumes[ROOT + "{win}"]
    assert (locked["mount_points"], locked["used_bytes"]) == (["C:\\"], None)
    assert "BitLocker" in locked["problem"]
    assert volumes[ROOT + "{data}"]["problem"] == "", "one of another kind is not known to be locked"


def test_a_volume_of_several_disks_is_a_layer(pc: Pc) -> None:
    pc.add(2, mbr(8, [Part("42", 1, 6)], 7), disk_bytes.SATA)
    pc.add(3, gpt(8, [Part(EFI, 1, 1), Part(DYNAMIC, 2, 4)], "aaaaaaaa-2222-3333-4444-555555555555"), disk_bytes.SATA)
    pc.place("{span}", 2, 1, 6, "E:\\")
    pc.volume_names[ROOT + "{span}"].append((3, 2 * MIB, 4 * MIB))
    pc.devices.popitem()
    told = found()
    disks = [r"\\.\PhysicalDrive2", r"\\.\PhysicalDrive3"]
    assert [(one["kind"], one["path"], one["disks"]) for one in told["layers"]] == [("dynamic", ROOT + "{span}", disks)]
    assert [one["mount_points"] for one in told["volumes"] if one["path"] == ROOT + "{span}"] == [["E:\\"]]
    for name in ("disk2", "disk3"):
        assert [text for text in by(told, "disks")[name]["warnings"] if "dynamic disk" in text]


def test_a_disk_that_is_not_opened_has_the_volumes_that_windows_shows(pc: Pc) -> None:
    open_device = pc._open

    def refuse(path: str) -> int:
        if path.endswith("PhysicalDrive1"):
            raise error_of(5)
        return open_device(path)

    pc._monkeypatch.setattr("engine.host.windows_devices.open_device", refuse)
    told = found()
    assert (by(told, "disks")["disk1"]["size_bytes"], by(told, "disks")["disk1"]["scheme"]) == (8 * MIB, "")
    assert by(told, "volumes", "path")[ROOT + "{data}"]["disk"] == "disk1"
    assert [one["what"] for one in told["unreadable"]] == [r"\\.\PhysicalDrive1"]


def test_what_windows_does_not_tell_has_its_reason(pc: Pc) -> None:
    pc.empty["HarddiskVolume9"] = 5
    pc.starting = "\\\\?\\GLOBALROOT\\Device\\HarddiskVolume9"
    pc.add(2, plain(4), disk_bytes.SATA)
    pc.errors[2, 0x700A0] = 1117
    pc.flags[1] = 1
    told = found(closed=[VERSION])
    assert [one["what"] for one in told["unreadable"]] == [
        "\\\\.\\PhysicalDrive2",
        "\\\\?\\GLOBALROOT\\Device\\HarddiskVolume9",
        "operating_system",
        "the partition that Windows was started from",
    ]
    assert [text for text in by(told, "disks")["disk1"]["warnings"] if "offline" in text]
    assert told["operating_system"]["family"] == "windows"
    assert by(told, "disks")["disk2"]["size_bytes"] == 0


def test_spaces_are_told_of(pc: Pc) -> None:
    pc.add(2, plain(4), disk_bytes.SPACES)
    disk = by(found(), "disks")["disk2"]
    assert (disk["transport"], disk["why_not_in_all"]) == ("spaces", "")
    assert [text for text in disk["warnings"] if "Storage Spaces" in text]


def test_the_document_has_imaged_disks_and_the_others(pc: Pc) -> None:
    pc.add(2, plain(4), disk_bytes.SATA, "Card")
    pc.errors[2, 0x700A0] = 21
    layout = {"size_bytes": 16 * MIB, "sector_bytes": 512, "scheme": "gpt", "disk_id": "1", "partitions": []}
    imaged = [
        {"stable_id": "wwn:" + NAA.hex(), "path": r"\\.\PhysicalDrive0", "layout": layout, "volumes": []},
        {"stable_id": "path:C:\\disk.raw", "path": r"C:\disk.raw", "layout": dict(layout, scheme="mbr"), "volumes": []},
    ]
    disks = document_disks.read_disks(imaged).disks
    assert sorted(disks) == [r"C:\disk.raw", "serial:Z4Y1ABCD", "wwn:" + NAA.hex()]
    assert disks["wwn:" + NAA.hex()]["model"] == "SAMSUNG MZVLB256"
    assert disks["wwn:" + NAA.hex()]["scheme"] == "gpt"
    assert (disks["serial:Z4Y1ABCD"]["transport"], disks["serial:Z4Y1ABCD"]["scheme"]) == ("sata", None)
    assert disks[r"C:\disk.raw"]["model"] is None
