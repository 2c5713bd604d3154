# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Identifies a process and the start of the system (Windows)."""

from __future__ import annotations

from typing import Optional

from . import windows_calls

_BOOT_KEY = r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters"
_STEP = 60 * 10_000_000  # the clock is corrected by parts of a second; a start takes longer than a minute


def boot_id() -> str:
    """Identifies this start of the system; "" if unknown.

    Windows counts its starts in the registry (``BootId``). Where it does not, the time of the start in minutes serves:
    after the clock was set it is another one, and a lease of this start then ages like one of another machine.
    """
    counter = windows_calls.registry(_BOOT_KEY, "BootId")
    if isinstance(counter, int):
        return "start %d" % counter
    started = windows_calls.boot_time()
    return "minute %d" % (started // _STEP) if started else ""


def process_start(pid: int) -> Optional[str]:
    """When the process was created, in units of 100 ns since 1601; "" if it has ended, or None if Windows does not tell."""
    created = windows_calls.process_created(pid)
    if created is None:
        return None
    return "%d" % created if created else ""


def pid_namespace() -> str:
    """Windows has one namespace of process numbers."""
    return ""
