# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A manifest's description of a disk, so that a missing disk can be named: model, id of its table, the volumes in the
image.

All of it is optional: manifests of release 0.1.0 have none of these fields, and its readers ignore them.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple

from . import constants as fmt
from . import documents

MAX_VOLUMES = 256  # a manifest is read by every listing; a GPT has 128 partitions as a rule
_MAX_MODEL = 128
_MAX_ID = 256
_MAX_NUMBER = 4096


class VolumeEntry(NamedTuple):
    """A partition whose content is in the image. ``id`` is its GUID, or its start in bytes where it has none (MBR)."""

    number: int  # of its partition
    id: str
    size_bytes: int


class DiskContents(NamedTuple):
    """``table`` is the id of the partition table, such as ``gpt:<guid>``; "" and [] where nothing is known."""

    model: str = ""
    table: str = ""
    volumes: List[VolumeEntry] = []

    def as_dict(self) -> Dict[str, Any]:
        """The fields for the manifest, without those that are unknown."""
        found: Dict[str, Any] = {name: text for name, text in (("model", self.model), ("table", self.table)) if text}
        if self.volumes:
            found["volumes"] = [volume._asdict() for volume in self.volumes]
        return found


def bounded(model: str, table: str, volumes: List[VolumeEntry]) -> DiskContents:
    """Return what fits into a manifest; a name of a disk is what its firmware says."""
    plain = "".join(character for character in model if character.isprintable())[:_MAX_MODEL].strip()
    fitting = [one for one in volumes if one.id.isprintable() and len(one.id) <= _MAX_ID and one.number <= _MAX_NUMBER]
    return DiskContents(plain, table[:_MAX_ID], fitting[:MAX_VOLUMES])


def parse(disk: Dict[str, Any]) -> DiskContents:
    """:raises ValueError: when a field that is there is not what it should be."""
    listed = disk.get("volumes", [])
    if not isinstance(listed, list) or len(listed) > MAX_VOLUMES:
        raise ValueError("a disk has too many volumes")
    return DiskContents(
        _printable(disk, "model", _MAX_MODEL), _printable(disk, "table", _MAX_ID), [_volume(one) for one in listed]
    )


def _volume(volume: Dict[str, Any]) -> VolumeEntry:
    return VolumeEntry(
        documents.number(volume, "number", _MAX_NUMBER),
        _printable(volume, "id", _MAX_ID),
        documents.number(volume, "size_bytes", fmt.MAX_DISK_BYTES),
    )


def _printable(document: Dict[str, Any], key: str, limit: int) -> str:
    text = documents.text(document, key, limit) if key in document else ""
    if not text.isprintable():
        raise ValueError("%s contains a character that can't be printed" % key)
    return text
