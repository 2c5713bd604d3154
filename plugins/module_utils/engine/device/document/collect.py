# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collects the device document: all sections within one time, and a reason where a section can't be read.

``{"schema_version": 1, "sections": {section: {key: {field: value}}}, "unreadable": {section: reason}}``; docs/schemas/device.json
is its schema and docs/device-information.md says what each section holds. Its values change only when the device does.
"""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from .accounts import read_groups, read_users
from .certificates import read_certificates
from .disks import DiskSections, described_disks, read_disks
from .items import Items, tidy
from .machine import read_firmware, read_hardware, read_system
from .modules import read_drivers, read_modules
from .mounts import read_mounts
from .network import read_network
from .ports import read_ports
from .services import read_services
from .software import read_software
from .tasks import read_tasks
from .tree import SystemTree, TookTooLong, Unreadable

if TYPE_CHECKING:
    from .windows.system import WindowsSystem

SCHEMA_VERSION = 1
Document = Dict[str, Any]
_SECONDS = 5.0  # for the whole document; a usual section takes some milliseconds
_FIRST_SECONDS = 1.0  # the most for a section while others wait, so that a reading in vain does not take much
_MOST_CHARACTERS = 3 << 20  # of the document, so that an image's other readers can afford it


class _Section(NamedTuple):
    name: str
    read: Callable[[SystemTree], Items]


class _Part(NamedTuple):
    """Sections that are read together."""

    names: Sequence[str]
    read: Callable[[], Mapping[str, Items]]


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
    read_described: Callable[[Sequence[Dict[str, Any]]], DiskSections] = described_disks
    if windows is None and sys.platform == "win32":
        from .windows import disks  # a run on Linux does not load what reads Windows
        from .windows.system import running_system

        windows, read_described = running_system(), disks.read_disks
    parts = [_Part((one.name,), partial(_one, tree, one)) for one in _readers(windows)]
    if windows is not None:
        parts.append(_Part(_OF_DISKS, lambda: read_described(imaged)._asdict()))
    else:
        parts.append(_Part(_OF_DISKS, lambda: read_disks(tree, imaged)._asdict()))
    collecting = _Collecting(tree, _SECONDS)
    collecting.read(parts)
    found = {"schema_version": SCHEMA_VERSION, "sections": collecting.sections, "unreadable": collecting.unreadable}
    return bounded(found)


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


class _Collecting:
    """The sections that were read. One slow section must not take the time of all others, nor lose what they leave."""

    def __init__(self, tree: SystemTree, seconds: float) -> None:
        self.sections: Dict[str, Items] = {}
        self.unreadable: Dict[str, str] = {}
        self._tree = tree
        self._ends = time.monotonic() + seconds

    def read(self, parts: Sequence[_Part]) -> None:
        """Read all parts in their share of the time, and those that took longer again in what is left."""
        late = [
            part for number, part in enumerate(parts) if not self._is_done(part, len(parts) - number, _FIRST_SECONDS)
        ]
        for number, part in enumerate(late):
            self._is_done(part, len(late) - number, _SECONDS)

    def _is_done(self, part: _Part, waiting: int, most_seconds: float) -> bool:
        """Read a part. Return whether it is done; a second reading may read one that took too long."""
        self._tree.limit(min(most_seconds, max(0.0, self._ends - time.monotonic()) / waiting))
        try:
            read = {name: tidy(items) for name, items in part.read().items()}
        except Unreadable as error:
            self._without(part, str(error))
            return not isinstance(error, TookTooLong)
        except Exception as error:  # a defect of this file's neighbours must not cost an image
            self._without(part, "reading it failed: %s" % type(error).__name__)
            return True
        self.sections.update(read)
        for name in part.names:
            self.unreadable.pop(name, None)
        return True

    def _without(self, part: _Part, reason: str) -> None:
        self.sections.update((name, {}) for name in part.names)
        self.unreadable.update((name, reason[:500]) for name in part.names)
