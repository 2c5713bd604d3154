# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts about a device on the pages of a copy: from the manifest, and from device.json if it can be opened.

Everything here was read from a disk, a device or a storage: it is bounded and tamed before it is kept.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional

from ..image.format.manifest import DiskEntry, Manifest
from ..tame import one_line

MOST_DISKS = 8
MOST_PARTITIONS = 24
_MAX_TEXT = 60
_MAX_BYTES = 1 << 60


class PartitionFact(NamedTuple):
    """A partition or, with number 0, a disk without a table. ``start_bytes`` is None where only its size is known."""

    number: int
    start_bytes: Optional[int]
    length_bytes: int
    kind: str
    label: str
    role: str
    is_held: bool


class DiskFact(NamedTuple):
    """An imaged disk. ``scheme`` is gpt, mbr, none, or "" where it is not known."""

    name: str
    size_bytes: int
    in_use_bytes: int
    sector_bytes: int
    stable_id: str
    model: str
    scheme: str
    partitions: List[PartitionFact]

    @property
    def boots_uefi(self) -> bool:
        return any(one.role == "efi" for one in self.partitions)

    @property
    def boots_bios(self) -> bool:
        return any(one.role in ("bios-boot", "active") for one in self.partitions)


class Facts(NamedTuple):
    """The facts on the pages. ``firmware`` is uefi, bios, both, or "" if the table does not tell."""

    device: str
    image: str
    job: str
    is_encrypted: bool
    is_whole_story: bool  # device.json could be read
    machine: str
    serial: str
    operating_system: str
    firmware: str
    stored_bytes: int
    disks: List[DiskFact]
    more_disks: int  # that the page does not show
    others: List[str]  # images that are in the directory, too


def facts_of(manifest: Manifest, information: Optional[Dict[str, Any]], others: List[str]) -> Facts:
    """:param information: device.json, None where no password opens it."""
    known = information or {}
    described = known.get("disks") if isinstance(known.get("disks"), dict) else {}
    disks = [_disk(entry, (described or {}).get(entry.name)) for entry in manifest.disks[:MOST_DISKS]]
    return Facts(
        device=one_line(manifest.device),
        image=manifest.image,
        job=_text(manifest.job),
        is_encrypted=bool(manifest.key_id),
        is_whole_story=bool(known),
        machine=" ".join(filter(None, (_text(known.get("vendor")), _text(known.get("product"))))),
        serial=_text(known.get("serial")),
        operating_system=_text(known.get("operating_system")),
        firmware=_firmware(disks, known.get("firmware")),
        stored_bytes=manifest.pack_bytes,
        disks=disks,
        more_disks=len(manifest.disks) - len(disks),
        others=[name for name in others if name != manifest.image],
    )


def _firmware(disks: List[DiskFact], noted: object) -> str:
    """How the machine starts: by the tables; where both are possible, by what the run saw."""
    uefi, bios = any(disk.boots_uefi for disk in disks), any(disk.boots_bios for disk in disks)
    if uefi and bios:
        return str(noted) if noted in ("uefi", "bios") else "both"
    if uefi or bios:
        return "uefi" if uefi else "bios"
    if any(disk.scheme == "mbr" for disk in disks):
        return "bios"
    return str(noted) if noted in ("uefi", "bios") else ""


def _disk(entry: DiskEntry, described: object) -> DiskFact:
    noted = described if isinstance(described, dict) else {}
    layout = noted.get("layout") if isinstance(noted.get("layout"), dict) else {}
    scheme = str((layout or {}).get("scheme") or entry.contents.table.partition(":")[0])
    partitions = _partitions(layout or {}, noted, entry) or [
        PartitionFact(one.number, None, one.size_bytes, "", "", "", True) for one in entry.contents.volumes
    ]
    return DiskFact(
        entry.name,
        entry.size_bytes,
        entry.in_use_bytes,
        entry.sector_bytes,
        _text(entry.stable_id),
        _text(entry.contents.model),
        scheme if scheme in ("gpt", "mbr", "none") else "",
        partitions[:MOST_PARTITIONS],
    )


def _partitions(layout: Dict[str, Any], noted: Dict[str, Any], entry: DiskEntry) -> List[PartitionFact]:
    volumes = {_number(one.get("number")): one for one in _dicts(noted.get("volumes")) if not one.get("name")}
    found = []
    for one in _dicts(layout.get("partitions")):
        number, start, length = (
            _number(one.get("number")),
            _number(one.get("start_bytes")),
            _number(one.get("length_bytes")),
        )
        if start + length > entry.size_bytes or not length or one.get("role") == "extended":
            continue
        volume = volumes.get(number, {})
        is_active = one.get("bootable") is True and layout.get("scheme") == "mbr"
        role = _text(one.get("role")) or ("active" if is_active else "")
        label = _text(volume.get("label")) or _text(one.get("name"))
        is_held = volume.get("selected") is not False
        found.append(PartitionFact(number, start, length, _text(volume.get("kind")), label, role, is_held))
    return sorted(found, key=lambda one: (one.start_bytes or 0, one.number))


def _dicts(value: object) -> List[Dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX_BYTES else 0


def _text(value: object) -> str:
    text = one_line(value).strip() if isinstance(value, str) else ""
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 3] + "..."
