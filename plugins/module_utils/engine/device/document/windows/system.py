# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The system that a document of Windows describes: its registry, its folder, and what only system calls tell."""

from __future__ import annotations

import os
from typing import Callable, NamedTuple, Optional, Tuple

from ....host import windows_calls as calls
from ....host.registry import Registry
from ....host.windows_registry import RunningRegistry


class Facts(NamedTuple):
    """The answers of system calls."""

    firmware_table: bytes
    memory_bytes: int
    version: Tuple[int, int, int]


class WindowsSystem(NamedTuple):
    """A system to describe. ``facts`` is None for one that does not run; ``folder`` is its System32, "" for hives alone."""

    registry: Registry
    folder: str
    facts: Optional[Callable[[], Facts]]


def running_system() -> WindowsSystem:
    return WindowsSystem(RunningRegistry(), calls.system_folder(), _facts)


def _facts() -> Facts:
    return Facts(calls.firmware_table(), calls.memory_bytes(), calls.version())


def file_data(system: WindowsSystem, name: str, most_bytes: int) -> bytes:
    """The first bytes of a file below System32; none where it can't be read."""
    if not system.folder:
        return b""
    try:
        with open(os.path.join(system.folder, *name.split("\\")), "rb") as file:
            return file.read(most_bytes)
    except OSError:
        return b""
