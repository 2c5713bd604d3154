# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""By what a disk of an image is recognised in a machine, and which disks of its device were never in the image.

The device document in the image lists every disk that the device had. One of them that is not in the image is not a disk of the image,
however much it is like one: a machine often has two disks of one model. The document comes from a storage: the manifest proves its
bytes, with a password also its author, and of what it says only ids and sizes count.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Dict, FrozenSet, List, NamedTuple, Sequence, Set, Tuple

from ..device.disks import normal_wwn
from ..errors import EngineError
from ..image.format import documents
from ..image.format.constants import DEVICE_INFORMATION_NAME
from ..image.format.manifest import DiskEntry
from ..image.reader import ImageReader
from .target import marker

_MOST_DISKS = 10_000
_MOST_CHARACTERS = 300
_REPEATED = re.compile(r" \([0-9]+\)$")  # behind an id that several disks told
_IDS = ("wwn:", "serial:", "gpt:", "mbr:")


class OtherDisks(NamedTuple):
    """The disks of a device that its image does not hold. ``kinds`` are the size and model of those that told no id."""

    ids: FrozenSet[str] = frozenset()  # ``wwn:...``, ``serial:...``, ``gpt:...``, ``mbr:...``
    kinds: FrozenSet[Tuple[int, str]] = frozenset()


class ImagedDisk(NamedTuple):
    """A disk of an image. ``mark`` is on a target while a restore of it is in progress."""

    entry: DiskEntry
    mark: bytes = b""
    others: OtherDisks = OtherDisks()

    @property
    def name(self) -> str:
        return self.entry.name


def imaged_disks(reader: ImageReader) -> List[ImagedDisk]:
    """The disks of an image, in their order."""
    about = reader.manifest
    others = other_disks(reader)
    return [
        ImagedDisk(one, marker(about.device, reader.image, about.sequence, one.name, about.key_id), others)
        for one in about.disks
    ]


def other_disks(reader: ImageReader) -> OtherDisks:
    """The other disks by the device document, none where the image has no readable one.

    Release 0.1.0 described the imaged disks alone.
    """
    try:
        described = documents.parse(reader.document(DEVICE_INFORMATION_NAME))["sections"]["disks"]
        return _others(reader.manifest.disks, described)
    except (EngineError, ValueError, TypeError, KeyError, AttributeError):
        return OtherDisks()


def _others(entries: Sequence[DiskEntry], described: Dict[str, Dict[str, object]]) -> OtherDisks:
    mine = {normal_id(one.stable_id) for one in entries}
    known = mine | {one.contents.table for one in entries}
    ids: Set[str] = set()
    kinds: Set[Tuple[int, str]] = set()
    for key, item in islice(described.items(), _MOST_DISKS):
        name = normal_id(_REPEATED.sub("", key))
        if name in mine or "path:" + name in mine:
            continue
        found = {one for one in (name, "%s:%s" % (item.get("scheme"), item.get("disk_id"))) if one.startswith(_IDS)}
        ids.update(one for one in found - known if len(one) <= _MOST_CHARACTERS)
        size_bytes, model = item.get("size_bytes"), item.get("model")
        if not found and isinstance(size_bytes, int) and isinstance(model, str) and model:
            kinds.add((size_bytes, model))
    return OtherDisks(frozenset(ids), frozenset(kinds))


def normal_id(stable_id: str) -> str:
    """One spelling of the id of a disk."""
    prefix, separator, value = stable_id.partition(":")
    return "wwn:" + normal_wwn(value) if separator and prefix == "wwn" else stable_id
