# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sections ``disks``, ``partitions`` and ``volumes``.

Disks that are imaged are known from their own tables. Of the others the kernel's and udev's records are read alone, so that
a disk that sleeps or fails is not touched; what only its table tells is unknown.
"""

from __future__ import annotations

import os
import re
from typing import Any, Dict, List, NamedTuple, Sequence

from ...host.linux_stack import SYSFS_SECTOR_BYTES, BlockTree
from ..disks import Disk, find_disks, kind_of
from .items import Item, Items
from .tree import SystemTree

_MOST_PARTITIONS = 1024
_OF_A_SNAPSHOT = re.compile(r"plantops_.*|.*-(real|cow)")
_TABLE_FIELDS = ("type_id", "unique_id", "name", "bootable")


class DiskSections(NamedTuple):
    disks: Items
    partitions: Items
    volumes: Items


def read_disks(tree: SystemTree, imaged: Sequence[Dict[str, Any]] = ()) -> DiskSections:
    """:param imaged: the disks of the run as it describes them: stable_id, layout, volumes, path."""
    blocks = BlockTree(tree.root)
    found = DiskSections({}, {}, {})
    shown = {disk.path: disk for disk in find_disks(blocks) if not disk.path_of and disk.size_bytes}
    names = {blocks.by_path(str(one.get("path"))): one for one in imaged if str(one.get("path")).startswith("/dev/")}
    for disk in shown.values():
        tree.check_time()
        item = shown_disk(disk)
        described = names.get(disk.name)
        if described is not None:
            add_described(found, described, item)
        else:
            _add_shown(found, blocks, disk, item)
    for one in imaged:
        if blocks.by_path(str(one.get("path"))) not in {disk.name for disk in shown.values()}:
            add_described(found, one, dict.fromkeys(("model", "vendor", "transport", "removable", "firmware")))
    for name in blocks.names():
        if kind_of(blocks, name) == "lvm" and not _OF_A_SNAPSHOT.fullmatch(_logical(blocks, name).rpartition("/")[2]):
            found.volumes.setdefault(_logical(blocks, name), _volume(blocks.size_bytes(name), {}))
    return found


def described_disks(disks: Sequence[Dict[str, Any]]) -> DiskSections:
    """Return the sections of disks that an image describes, without the machine that had them."""
    found = DiskSections({}, {}, {})
    for one in disks:
        add_described(found, one, {})
    return found


def add_described(found: DiskSections, one: Dict[str, Any], item: Item) -> None:
    """Add a disk that a run describes; ``item`` are the fields that its table does not tell."""
    layout = one["layout"] if isinstance(one.get("layout"), dict) else {}
    key = unused_key(str(one.get("stable_id")).replace("path:", "", 1), found.disks)
    table = {name: layout.get(name) for name in ("size_bytes", "sector_bytes", "scheme", "disk_id")}
    found.disks[key] = dict(item, **table)
    volumes = _dicts(one.get("volumes"))
    contents = {volume.get("number"): volume for volume in volumes if not volume.get("name")}
    for partition in _dicts(layout.get("partitions"))[:_MOST_PARTITIONS]:
        number = partition.get("number")
        inside = contents.get(number, {}) if isinstance(number, int) else {}
        fields: Item = {"start_bytes": partition.get("start_bytes"), "size_bytes": partition.get("length_bytes")}
        fields.update((name, partition.get(name)) for name in _TABLE_FIELDS)
        fields.update(_content(inside))
        found.partitions["%s partition %s" % (key, number) if number else "%s, no partitions" % key] = fields
    for volume in volumes:
        if volume.get("name"):
            found.volumes[str(volume["name"])] = _volume(volume.get("size_bytes"), volume)


def shown_disk(disk: Disk) -> Item:
    """The fields of a disk that its table does not tell."""
    return {
        "model": disk.model,
        "vendor": disk.vendor,
        "firmware": disk.revision,
        "transport": disk.transport,
        "removable": disk.removable,
    }


def _add_shown(found: DiskSections, blocks: BlockTree, disk: Disk, item: Item) -> None:
    key = unused_key(disk.stable_id or disk.path, found.disks)
    unknown = {"scheme": None, "disk_id": None}
    found.disks[key] = dict(item, size_bytes=disk.size_bytes, sector_bytes=disk.sector_bytes, **unknown)
    for name in blocks.partitions(disk.name)[:_MOST_PARTITIONS]:
        fields: Item = {
            "start_bytes": blocks.number(name, "start") * SYSFS_SECTOR_BYTES,
            "size_bytes": blocks.size_bytes(name),
        }
        fields.update(dict.fromkeys((*_TABLE_FIELDS, "file_system", "label", "uuid")))
        found.partitions["%s partition %d" % (key, blocks.number(name, "partition"))] = fields


def _content(volume: Dict[str, Any]) -> Item:
    return {"file_system": volume.get("kind"), "label": volume.get("label"), "uuid": volume.get("uuid")}


def _volume(size_bytes: Any, volume: Dict[str, Any]) -> Item:
    return dict(_content(volume), size_bytes=size_bytes)


def _logical(blocks: BlockTree, name: str) -> str:
    """The name of a logical volume as group/volume: the kernel doubles a hyphen in either."""
    mapped = os.path.basename(blocks.path(name))
    group, hyphen, volume = mapped.replace("--", "\0").partition("-")
    return (group + ("/" if hyphen else "") + volume).replace("\0", "-")


def unused_key(key: str, items: Items) -> str:
    """The key, with a number behind it where another disk has it."""
    number, unused = 1, key
    while unused in items:
        number += 1
        unused = "%s (%d)" % (key, number)
    return unused


def _dicts(value: Any) -> List[Dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
