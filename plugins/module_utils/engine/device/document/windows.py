# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sections ``hardware`` and ``operating_system`` of Windows; the other sections say that they are not read there.

Sources: SMBIOS, and the values of the registry that Windows itself shows in its system information.
"""

from __future__ import annotations

import os
from typing import Callable

from ...host import windows_calls as calls
from ...host.smbios import system_information
from .items import Item, Items
from .tree import SystemTree, Unreadable

_CURRENT_VERSION = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion"
_COMPUTER_NAME = r"SYSTEM\CurrentControlSet\Control\ComputerName\ComputerName"
_PROCESSOR = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
_ENVIRONMENT = r"SYSTEM\CurrentControlSet\Control\Session Manager\Environment"
_MIB = 1 << 20


def read_hardware(dummy_tree: SystemTree) -> Items:
    """Return the machine as SMBIOS describes it, its processor and memory."""
    return {
        "machine": dict(system_information(calls.firmware_table())._asdict()),
        "processor": {"model": _text(_PROCESSOR, "ProcessorNameString").strip(), "logical": os.cpu_count() or 0},
        "memory": {"size_mib": calls.memory_bytes() // _MIB},
    }


def read_system(dummy_tree: SystemTree) -> Items:
    """Return the product, its edition and build, and the name of the computer."""
    major, minor, build = calls.version()
    system: Item = {
        "family": "windows",
        "name": _text(_CURRENT_VERSION, "ProductName"),
        "edition": _text(_CURRENT_VERSION, "EditionID"),
        "version": _text(_CURRENT_VERSION, "DisplayVersion") or _text(_CURRENT_VERSION, "CSDVersion"),
        "installation_type": _text(_CURRENT_VERSION, "InstallationType"),
        "host_name": _text(_COMPUTER_NAME, "ComputerName"),
        "machine_id": _text(r"SOFTWARE\Microsoft\Cryptography", "MachineGuid").lower(),
    }
    revision = calls.registry(_CURRENT_VERSION, "UBR")
    number = "%d.%d.%d" % (major, minor, build) + (".%d" % revision if isinstance(revision, int) else "")
    return {
        "system": system,
        "kernel": {"version": number, "architecture": _text(_ENVIRONMENT, "PROCESSOR_ARCHITECTURE").lower()},
    }


def not_read(section: str) -> Callable[[SystemTree], Items]:
    """A reader that says why its section is empty."""

    def read(dummy_tree: SystemTree) -> Items:
        raise Unreadable("this version does not read %s on Windows" % section.replace("_", " "))

    return read


def _text(path: str, name: str) -> str:
    value = calls.registry(path, name)
    return value if isinstance(value, str) else ""
