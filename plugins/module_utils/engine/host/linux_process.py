# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Identifies a process and the start of the system (Linux)."""

from __future__ import annotations

import os
from typing import Optional


def boot_id() -> str:
    """Identifies this start of the system [random(4)]; "" if unknown."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read(64).strip()
    except OSError:
        return ""


def process_start(pid: int) -> Optional[str]:
    """Start time of a process in clock ticks [proc(5) stat field 22]; "" if it has ended, reaped or not.

    The contract allows None where the system does not tell; Linux always tells.
    """
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as file:
            fields = file.read(4096).rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    except (OSError, IndexError):
        return ""


def pid_namespace() -> str:
    """Identifies the namespace that process numbers belong to [pid_namespaces(7)]; "" without namespaces."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
