# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All checks of the field test in their order, and what it does not ask a Windows, with the reason."""

from __future__ import annotations

from typing import Dict, List, Set, Tuple

from . import of_disks, of_file_system, of_files, of_network, of_services, of_shadow_copies, of_system, of_volumes
from .check import Check

CHECKS: Tuple[Check, ...] = (
    *of_system.CHECKS,
    *of_files.CHECKS,
    *of_services.CHECKS,
    *of_network.CHECKS,
    *of_disks.CHECKS,
    *of_volumes.CHECKS,
    *of_shadow_copies.CHECKS,
    *of_file_system.CHECKS,
)
BY_NAME: Dict[str, Check] = {check.name: check for check in CHECKS}
# By the interface: why a person who lends a machine for ten minutes is not asked for it.
NOT_ASKED: Dict[str, str] = {
    "FSCTL_LOCK_VOLUME": "it locks a volume; a restore to a second disk tries it",
    "FSCTL_DISMOUNT_VOLUME": "it dismounts a volume; a restore to a second disk tries it",
    "IOCTL_DISK_UPDATE_PROPERTIES": "it lets Windows read a partition table again; a restore to a second disk tries it",
    "WriteFile": "the test writes to no disk; a restore to a second disk tries it",
    "FILE_FLAG_WRITE_THROUGH": "the test writes to no disk; a restore to a second disk tries it",
    "FlushFileBuffers": "the test writes to no disk; it counts only in a loss of power",
    "StartServiceCtrlDispatcher": "the test starts no service; install.cmd does, and installed_service looks at it",
    "RegisterServiceCtrlHandlerEx": "as StartServiceCtrlDispatcher",
    "SetServiceStatus": "as StartServiceCtrlDispatcher",
    "StartService": "as StartServiceCtrlDispatcher",
    "ControlService": "as StartServiceCtrlDispatcher",
    "TerminateProcess": "it ends the process of a service that takes no orders",
    "SetErrorMode": "it shows only in a crash",
    "cmd.exe": "it deletes the agent's folder after a removal; install.cmd remove does",
    "for /l": "as cmd.exe",
    "rmdir": "as cmd.exe",
    "ping": "as cmd.exe",
    "findstr": "install.cmd calls it on Windows 7 without an update",
    "install.cmd": "the person runs it afterwards, by this page",
    "os.fsync": "as FlushFileBuffers",
    "taskkill": "the way of Windows 7 where a process is in a job already",
    "IsUserAnAdmin": "the report begins with its answer",
    "shutdown": "orders of a shutdown come only in a shutdown",
}


def calls() -> Set[str]:
    """The words of all interfaces that a check tries."""
    words: List[str] = []
    for check in CHECKS:
        words.extend(check.calls)
    return set(words)


def known_of_wine() -> Set[Tuple[str, str]]:
    """Check and field of each answer that Wine is known to give otherwise: the list that a test under Wine has to find."""
    return {(check.name, field) for check in CHECKS for field in check.wine}
