# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the volumes of a disk lie and what they are called, read out of device information; and which of them moved.

Chunks are 64 KiB at multiples of 64 KiB. A volume that moved by a multiple of that has the same chunks at other places;
one that moved by anything else (from sector 63 to sector 2048) has other chunks, and is sent again.
"""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, Iterator, List, NamedTuple, Optional, Tuple

from ..format import constants as fmt

_MOST_VOLUMES = 256
_MOST_TEXT = 128


class VolumePlace(NamedTuple):
    """A volume: ``names`` are what it carries along (its file system's serial, its partition's GUID), ``kind`` its type."""

    start_bytes: int
    length_bytes: int
    names: FrozenSet[str]
    kind: str


class Move(NamedTuple):
    """Chunks from ``first`` up to ``end`` lay ``by`` chunks further to the front. ``is_named`` when a name says so."""

    first: int
    end: int
    by: int
    is_named: bool


def places_of(information: Dict[str, Any], number: int) -> List[VolumePlace]:
    """The volumes of disk ``number`` as device information tells; what is malformed is passed by."""
    disk = _inside(_inside(information, "disks"), "disk%d" % number)
    volumes: Dict[int, Dict[str, Any]] = {}
    for volume in _list(disk.get("volumes")):
        if isinstance(volume.get("number"), int) and not volume.get("name"):
            volumes[volume["number"]] = volume
    places = []
    for partition in _list(_inside(disk, "layout").get("partitions")):
        start, length = _size(partition.get("start_bytes")), _size(partition.get("length_bytes"))
        if start is None or length is None:
            continue
        at = partition.get("number")
        volume = volumes.get(at, {}) if isinstance(at, int) else {}
        uuid, unique_id = _text(volume.get("uuid")), _text(partition.get("unique_id"))
        names = {prefix + name for prefix, name in (("volume ", uuid), ("partition ", unique_id)) if name}
        places.append(VolumePlace(start, length, frozenset(names), _text(volume.get("kind"))))
    return places


def moves(before: List[VolumePlace], now: List[VolumePlace]) -> Iterator[Move]:
    """How volumes of ``before`` may have come to lie where those of ``now`` do: first those that a name ties together,
    then those that are as large, or at least of one kind."""
    for is_named in (True, False):
        for new in now:
            for old in before:
                by_bytes = new.start_bytes - old.start_bytes
                if by_bytes % fmt.CHUNK_BYTES or not by_bytes:
                    continue
                tied = bool(new.names & old.names)
                alike = new.length_bytes == old.length_bytes or (new.kind and new.kind == old.kind)
                if tied if is_named else alike and not tied:
                    first, end = _chunks(new)
                    yield Move(first, end, by_bytes // fmt.CHUNK_BYTES, is_named)


def _chunks(volume: VolumePlace) -> Tuple[int, int]:
    return volume.start_bytes // fmt.CHUNK_BYTES, -(-(volume.start_bytes + volume.length_bytes) // fmt.CHUNK_BYTES)


def _inside(document: Dict[str, Any], name: str) -> Dict[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> List[Dict[str, Any]]:
    return [one for one in value[:_MOST_VOLUMES] if isinstance(one, dict)] if isinstance(value, list) else []


def _size(value: Any) -> Optional[int]:
    return value if isinstance(value, int) and 0 <= value <= fmt.MAX_DISK_BYTES else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= _MOST_TEXT else ""
