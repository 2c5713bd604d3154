# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The description of a machine apart from its disks, from the registry and system calls (Windows)."""

from __future__ import annotations

import platform
from typing import Any, Callable, Dict, List, Mapping

from .document.items import Items
from .document.tree import SystemTree, Unreadable
from .document.windows.machine import read_firmware, read_hardware, read_system
from .document.windows.network import read_network
from .document.windows.reading import Reader
from .document.windows.system import WindowsSystem
from .machine import Unreadable as Note

_SECONDS = 5.0
_MIB = 1 << 20


def describe_machine(system: WindowsSystem, note: Note) -> Dict[str, Any]:
    """The keys of ``discover`` that are not about disks. A section that can't be read is unknown, and ``note`` gets the reason."""
    read = _Reading(system, note)
    hardware = read.section("hardware", read_hardware)
    installed = read.section("operating_system", read_system)
    processor, windows, kernel = (
        hardware.get("processor", {}),
        installed.get("system", {}),
        installed.get("kernel", {}),
    )
    firmware = read.section("firmware", read_firmware).get("firmware", {})
    machine = hardware.get("machine", {})
    return {
        "hardware": {key: machine.get(key) or "" for key in ("vendor", "product", "version", "serial", "uuid")},
        "firmware": {
            "kind": firmware.get("kind") or "",
            "secure_boot": firmware.get("secure_boot"),
            **{key: firmware.get(key) or "" for key in ("vendor", "version", "date")},
        },
        "operating_system": {
            "family": "windows",
            "id": "windows",
            "name": windows.get("name") or "",
            "version": windows.get("version") or "",
            "product_type": windows.get("product_type"),
            "kernel": kernel.get("version") or "",
            "architecture": kernel.get("architecture") or platform.machine().lower(),
            "host_name": windows.get("host_name") or "",
            "machine_id": windows.get("machine_id") or "",
        },
        "processors": {"model": processor.get("model") or "", "logical": processor.get("logical") or 0, "cores": 0},
        "memory_bytes": hardware.get("memory", {}).get("size_mib", 0) * _MIB,
        "interfaces": _interfaces(read.section("interfaces", read_network)),
    }


class _Reading:
    def __init__(self, system: WindowsSystem, note: Note) -> None:
        self._system = system
        self._note = note

    def section(self, name: str, read: Callable[[Reader], Items]) -> Mapping[str, Dict[str, Any]]:
        """The items of a section, none where it can't be read."""
        try:
            return dict(read(Reader(self._system, SystemTree("/", _SECONDS))))
        except (Unreadable, OSError) as error:
            self._note(name, str(error))
            return {}


def _interfaces(items: Mapping[str, Dict[str, Any]]) -> List[Dict[str, Any]]:
    """The interfaces with an adapter; the registry has its address only where an administrator set one."""
    return [
        {"name": name, "mac_address": item.get("mac_address") or "", "speed_mbit_per_second": None}
        for name, item in items.items()
        if item.get("adapter")
    ]
