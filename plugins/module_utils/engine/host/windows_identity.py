# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names that firmware and system give this machine (Windows)."""

from __future__ import annotations

from . import windows_calls
from .smbios import system_information

_CRYPTOGRAPHY = r"SOFTWARE\Microsoft\Cryptography"
_MOST_CHARACTERS = 128


def smbios_uuid(root: str = "/") -> str:
    """The UUID of SMBIOS as the firmware says it; "" where it says none. ``root`` is for Linux."""
    del root
    return system_information(windows_calls.firmware_table()).uuid


def machine_id(root: str = "/") -> str:
    """The id of the installed system: MachineGuid, which Setup makes; "" where there is none."""
    del root
    found = windows_calls.registry(_CRYPTOGRAPHY, "MachineGuid")
    return found.strip().lower()[:_MOST_CHARACTERS] if isinstance(found, str) else ""
