# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine and its system: names, versions, kinds."""

from __future__ import annotations

from typing import Optional

import pytest
from engine.device.document.windows.machine import read_firmware, read_hardware, read_system
from engine.device.document.windows.system import Facts
from support.windows.registries import Keys, reader

VERSION = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion"
CONTROL = r"SYSTEM\CurrentControlSet\Control"


@pytest.mark.parametrize(
    ("word", "kind"), [("WinNT", "workstation"), ("ServerNT", "server"), ("LanmanNT", "server"), ("x", None)]
)
def test_what_kind_of_system_it_is(word: str, kind: Optional[str]) -> None:
    found = read_system(reader({CONTROL + r"\ProductOptions": {"ProductType": word}}))
    assert found["system"]["product_type"] == kind


def test_windows_11_is_called_so() -> None:
    keys: Keys = {VERSION: {"ProductName": "Windows 10 IoT Enterprise LTSC", "UBR": 4351, "DisplayVersion": "24H2"}}
    found = read_system(reader(keys, facts=lambda: Facts(b"", 8 << 30, (10, 0, 26100))))
    assert found["system"]["name"] == "Windows 11 IoT Enterprise LTSC"
    assert found["system"]["version"] == "24H2"
    assert found["kernel"]["version"] == "10.0.26100.4351"


def test_the_version_of_a_system_that_does_not_run() -> None:
    keys: Keys = {VERSION: {"CurrentBuildNumber": "7601", "CurrentVersion": "6.1", "CSDVersion": "Service Pack 1"}}
    found = read_system(reader(keys))
    assert (found["kernel"]["version"], found["system"]["version"]) == ("6.1.7601", "Service Pack 1")


def test_the_firmware() -> None:
    keys: Keys = {CONTROL: {"PEFirmwareType": 2}, CONTROL + r"\SecureBoot\State": {"UEFISecureBootEnabled": 0}}
    keys[r"HARDWARE\DESCRIPTION\System\BIOS"] = {"BIOSVendor": "AMI", "BIOSVersion": "5.1"}
    found = read_firmware(reader(keys))["firmware"]
    assert (found["kind"], found["secure_boot"], found["vendor"], found["version"]) == ("uefi", False, "AMI", "5.1")
    assert read_firmware(reader({}))["firmware"]["kind"] is None, "Windows 7 does not tell"


def test_devices_of_the_pci_bus_by_their_place() -> None:
    base = r"SYSTEM\CurrentControlSet\Enum\PCI\VEN_8086&DEV_100E&SUBSYS_001E8086&REV_02\3&1"
    keys: Keys = {base: {"DeviceDesc": "@e.inf,%x%;PRO/1000", "LocationInformation": "@s,#1;PCI bus %1 (0,3,0)"}}
    found = read_hardware(reader(keys))
    assert found["pci 0:3.0"] == {
        "vendor": "8086",
        "device": "100e",
        "subsystem": "001e8086",
        "revision": "02",
        "name": "PRO/1000",
    }
