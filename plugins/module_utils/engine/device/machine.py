# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The description of a machine apart from its disks: hardware, firmware, operating system, processors, memory (Linux)."""

from __future__ import annotations

import os
import platform
import re
import sys
from typing import Any, Callable, Dict, List

from ..host.smbios import system_information
from ..host.stack import file_text, first_line, listing, to_number
from ..host.windows_calls import firmware_table
from .identity import read_identity

_MAX_BYTES = 1 << 20
_SECURE_BOOT = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"  # UEFI: its global variables
Unreadable = Callable[[str, str], None]


def hardware(root: str, unreadable: Unreadable) -> Dict[str, Any]:
    """Vendor, product, version, serial and UUID of SMBIOS; of the device tree where there is no SMBIOS; "" for the rest."""
    if sys.platform == "win32":
        return dict(system_information(firmware_table())._asdict())
    dmi = os.path.join(root, "sys/class/dmi/id")
    found: Dict[str, Any] = {"vendor": "", "product": "", "version": "", "serial": "", "uuid": ""}
    if not os.path.isdir(dmi):
        tree = os.path.join(root, "proc/device-tree")
        found.update(product=_plain(tree, "model"), serial=_plain(tree, "serial-number"))
        if not found["product"]:
            unreadable("hardware", "the machine has no SMBIOS")
        return found
    places = {
        "vendor": "sys_vendor",
        "product": "product_name",
        "version": "product_version",
        "serial": "product_serial",
    }
    for key, place in places.items():
        found[key] = first_line(os.path.join(dmi, place))
    found["uuid"] = read_identity(os.path.join(root, "")).smbios_uuid
    for key, place in (("serial", "product_serial"), ("uuid", "product_uuid")):
        path = os.path.join(dmi, place)
        if os.path.exists(path) and not os.access(path, os.R_OK):
            unreadable("hardware." + key, "only root can read it")
    return found


def firmware(root: str) -> Dict[str, Any]:
    """``kind`` uefi, bios or "" (neither: no SMBIOS, no EFI); ``secure_boot`` None where the firmware does not tell."""
    efi = os.path.join(root, "sys/firmware/efi")
    dmi = os.path.join(root, "sys/class/dmi/id")
    kind = "uefi" if os.path.isdir(efi) else "bios" if os.path.isdir(dmi) else ""
    data = _bytes(os.path.join(efi, "efivars", _SECURE_BOOT), 5)
    return {
        "kind": kind,
        "secure_boot": bool(data[4]) if len(data) == 5 else None,
        "vendor": first_line(os.path.join(dmi, "bios_vendor")),
        "version": first_line(os.path.join(dmi, "bios_version")),
        "date": first_line(os.path.join(dmi, "bios_date")),
    }


def operating_system(root: str, unreadable: Unreadable) -> Dict[str, Any]:
    """Name and version as os-release(5) says, kernel, architecture, host name, machine-id(5)."""
    release = _release(root)
    machine_id = read_identity(os.path.join(root, "")).machine_id
    if not machine_id:
        unreadable("operating_system.machine_id", "it does not exist or is not readable")
    return {
        "family": "linux",
        "id": release.get("ID", ""),
        "name": release.get("PRETTY_NAME", "") or release.get("NAME", ""),
        "version": release.get("VERSION_ID", ""),
        "kernel": first_line(os.path.join(root, "proc/sys/kernel/osrelease")),
        "architecture": first_line(os.path.join(root, "proc/sys/kernel/arch")) or platform.machine(),
        "host_name": first_line(os.path.join(root, "proc/sys/kernel/hostname")),
        "machine_id": machine_id,
    }


def processors(root: str) -> Dict[str, Any]:
    """How many there are, logical and as cores (0 where the kernel does not tell), and the model of the first."""
    base = os.path.join(root, "sys/devices/system/cpu")
    names = [name for name in listing(base) if re.fullmatch(r"cpu\d+", name)]
    places = [os.path.join(base, name, "topology") for name in names]
    cores = {(first_line(place + "/physical_package_id"), first_line(place + "/core_id")) for place in places}
    model = re.search(r"^(?:model name|Model|Hardware)\s*:\s*(.{1,200})$", _text(root, "proc/cpuinfo"), re.MULTILINE)
    return {
        "model": model.group(1).strip() if model else "",
        "logical": len(names),
        "cores": len(cores - {("", "")}),
    }


def memory_bytes(root: str) -> int:
    found = re.search(r"^MemTotal:\s*(\d{1,18}) kB$", _text(root, "proc/meminfo"), re.MULTILINE)
    return int(found.group(1)) * 1024 if found else 0


def interfaces(root: str) -> List[Dict[str, Any]]:
    """Network interfaces that are hardware."""
    net = os.path.join(root, "sys/class/net")
    names = [name for name in listing(net) if os.path.exists(os.path.join(net, name, "device"))]
    return [
        {
            "name": name,
            "mac_address": first_line(os.path.join(net, name, "address")),
            "speed_mbit_per_second": to_number(first_line(os.path.join(net, name, "speed"))) or None,
        }
        for name in names
    ]


def _release(root: str) -> Dict[str, str]:
    text = _text(root, "etc/os-release") or _text(root, "usr/lib/os-release")
    pairs = [line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#")]
    return {key.strip(): value.strip().strip("\"'") for key, value in pairs}


def _plain(folder: str, name: str) -> str:
    return first_line(os.path.join(folder, name)).strip("\0")


def _text(root: str, place: str) -> str:
    return file_text(os.path.join(root, place), _MAX_BYTES)


def _bytes(path: str, size: int) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(size)
    except OSError:
        return b""
