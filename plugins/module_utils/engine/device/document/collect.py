# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collects the device document: every section in its own time, and a reason where a section can't be read.

``{"schema_version": 1, "sections": {section: {key: {field: value}}}, "unreadable": {section: reason}}``; docs/schemas/device.json
is its schema and docs/device-information.md says what each section holds. Its values change only when the device does.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from .accounts import read_groups, read_users
from .certificates import read_certificates
from .disks import described_disks, read_disks
from .items import Items, tidy
from .machine import read_firmware, read_hardware, read_system
from .modules import read_drivers, read_modules
from .mounts import read_mounts
from .network import read_network
from .ports import read_ports
from .services import read_services
from .software import read_software
from .tasks import read_tasks
from .tree import SystemTree, Unreadable

if TYPE_CHECKING:
    from .windows.system import WindowsSystem

SCHEMA_VERSION = 1
Document = Dict[str, Any]
_SECONDS = 1.5  # for a section; a usual one takes some milliseconds
_MOST_CHARACTERS = 3 << 20  # of the document, so that an image's other readers can afford it


class _Section(NamedTuple):
    name: str
    read: Callable[[SystemTree], Items]


_READERS: Tuple[_Section, ...] = (
    _Section("hardware", read_hardware),
    _Section("firmware", read_firmware),
    _Section("operating_system", read_system),
    _Section("mounts", read_mounts),
    _Section("software", read_software),
    _Section("updates", lambda dummy_tree: {}),  # of Windows; on Linux they are versions of software
    _Section("services", read_services),
    _Section("drivers", read_drivers),
    _Section("kernel_modules", read_modules),
    _Section("network", read_network),
    _Section("users", read_users),
    _Section("groups", read_groups),
    _Section("scheduled_tasks", read_tasks),
    _Section("certificates", read_certificates),
    _Section("listening_ports", read_ports),
)
_OF_DISKS = ("disks", "partitions", "volumes")


def collect(
    root: str = "/", imaged: Sequence[Dict[str, Any]] = (), windows: Optional[WindowsSystem] = None
) -> Document:
    """Return the document of the system below ``root``; no part of it ever makes it fail.

    :param imaged: the disks of the run: stable_id, layout, volumes, path.
    :param windows: a system of Windows to describe instead; on Windows the running one.
    """
    tree = SystemTree(root)
    sections: Dict[str, Items] = {}
    unreadable: Dict[str, str] = {}
    if windows is None and sys.platform == "win32":
        from .windows.system import running_system  # a run on Linux does not load what reads Windows

        windows = running_system()
    for section in _readers(windows):
        _read(tree, section.name, partial(_one, tree, section), sections, unreadable)
    if windows is not None:
        _read(tree, "disks", lambda: described_disks(imaged)._asdict(), sections, unreadable, _OF_DISKS)
    else:
        _read(tree, "disks", lambda: read_disks(tree, imaged)._asdict(), sections, unreadable, _OF_DISKS)
    return bounded({"schema_version": SCHEMA_VERSION, "sections": sections, "unreadable": unreadable})


def _readers(windows: Optional[WindowsSystem]) -> Sequence[_Section]:
    if windows is None:
        return _READERS
    from .windows.sections import readers_of

    found = readers_of(windows)
    return [_Section(one.name, found[one.name]) for one in _READERS]


def _one(tree: SystemTree, section: _Section) -> Dict[str, Items]:
    return {section.name: section.read(tree)}


def bounded(document: Document) -> Document:
    """Return the document without its largest sections where it is larger than one may be."""
    sizes: List[Tuple[int, str]] = sorted(
        (len(json.dumps(items)), name) for name, items in document["sections"].items()
    )
    total = sum(size for size, dummy in sizes)
    while total > _MOST_CHARACTERS:
        size, name = sizes.pop()
        total -= size
        document["sections"][name] = {}
        document["unreadable"][name] = "it is too large for the document"
    return document


def _read(
    tree: SystemTree,
    name: str,
    read: Callable[[], Dict[str, Items]],
    sections: Dict[str, Items],
    unreadable: Dict[str, str],
    names: Sequence[str] = (),
) -> None:
    tree.limit(_SECONDS)
    try:
        sections.update({one: tidy(items) for one, items in read().items()})
    except Unreadable as error:
        reason = str(error)
    except Exception as error:  # a defect of this file's neighbours must not cost an image
        reason = "reading it failed: %s" % type(error).__name__
    else:
        return
    for one in names or (name,):
        sections[one] = {}
        unreadable[one] = reason[:500]
