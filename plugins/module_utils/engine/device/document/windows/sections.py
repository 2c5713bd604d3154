# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The readers of the sections of a document for Windows."""

from __future__ import annotations

from functools import partial
from typing import Callable, Dict

from ..items import Items
from ..tree import SystemTree, Unreadable
from .accounts import read_groups, read_users
from .certificates import read_certificates
from .machine import read_firmware, read_hardware, read_system
from .mounts import read_mounts
from .network import read_network
from .reading import Reader
from .services import read_drivers, read_services
from .software import read_software, read_updates
from .system import WindowsSystem
from .tasks import read_tasks

_READERS: Dict[str, Callable[[Reader], Items]] = {
    "hardware": read_hardware,
    "firmware": read_firmware,
    "operating_system": read_system,
    "mounts": read_mounts,
    "software": read_software,
    "updates": read_updates,
    "services": read_services,
    "drivers": read_drivers,
    "kernel_modules": lambda dummy_reader: {},  # they are drivers there
    "network": read_network,
    "users": read_users,
    "groups": read_groups,
    "scheduled_tasks": read_tasks,
    "certificates": read_certificates,
}


def readers_of(system: WindowsSystem) -> Dict[str, Callable[[SystemTree], Items]]:
    """Return the reader of each section that the document reads of a system."""
    found = {name: partial(_read, system, read) for name, read in _READERS.items()}
    return dict(found, listening_ports=_not_read)


def _read(system: WindowsSystem, read: Callable[[Reader], Items], tree: SystemTree) -> Items:
    return read(Reader(system, tree))


def _not_read(dummy_tree: SystemTree) -> Items:
    raise Unreadable("this version does not read listening ports on Windows")
