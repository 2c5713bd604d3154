# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The targets of a restore: two imaged disks never go onto one, by any of its names."""

from __future__ import annotations

import itertools
import posixpath
import re
from typing import Iterator, List, NamedTuple, Tuple

from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    RestoreTargetsSame,
    RestoreTargetsUnchecked,
    SettingRefused,
)

from .expressions import text_of
from .finding import Issue, issue
from .nodes import Node, Variables
from .storages import WINDOWS_PATH

_MAP = "imaging_restore_map"
_WINDOWS_DISK = re.compile(r"[\\/]{2}[.?][\\/]physicaldrive(\d{1,4})", re.IGNORECASE)
_WINDOWS_VOLUME = re.compile(r"([\\/]{2}[.?][\\/])?([a-z]:|volume\{[0-9a-f-]+\})[\\/]?", re.IGNORECASE)
# The bus in front of model and serial: udev makes several links for one disk.
_BUS = re.compile(r"(?:ata|scsi-(?:SATA|[01]ATA)|scsi|usb|nvme|virtio|mmc|ieee1394)[-_]")
_PART = re.compile(r"(?P<disk>.*)-part[0-9]+")
_NODE = re.compile(r"(?P<disk>/dev/(?:sd[a-z]+|vd[a-z]+|xvd[a-z]+|hd[a-z]+|nvme\d+n\d+(?=p)|mmcblk\d+(?=p)))p?[0-9]+")
_LINKS = ("/dev/disk/", "/dev/mapper/", "/dev/md/", "/dev/block/")


class _Target(NamedTuple):
    disk: str
    node: Node
    name: str  # one name for every spelling
    kind: str  # which names can be compared with each other


def issues(variables: Variables) -> Iterator[Issue]:
    """Yield each disk of the map whose target is that of another one, and a warning where the device alone knows."""
    node = variables.get(_MAP)
    found: List[_Target] = []
    for disk, one in (node.keys if node else {}).items():
        text = text_of(one, variables)
        reason = _why_refused(text) if text else ""
        if reason:
            yield issue(SettingRefused(key="%s.%s" % (_MAP, disk), reason=reason), "%s.%s" % (_MAP, disk), one)
        elif text:
            found.append(_Target(disk, one, *_one_name(text)))
    for first, second in itertools.combinations(found, 2):
        key = "%s.%s" % (_MAP, second.disk)
        if _meet(first, second):
            error = RestoreTargetsSame(disk=first.disk, other=second.disk, target=first.name)
            yield issue(error, key, second.node)
        elif first.kind != second.kind and "" not in (first.kind, second.kind):
            yield issue(RestoreTargetsUnchecked(disk=first.disk, other=second.disk), key, second.node)


def _why_refused(text: str) -> str:
    if _WINDOWS_DISK.fullmatch(text):
        return ""  # the device knows whether anything uses it
    if _WINDOWS_VOLUME.fullmatch(text):
        return r"on Windows an image is restored onto a file, or onto a whole disk such as \\.\PhysicalDrive1"
    if not text.startswith("/") and not WINDOWS_PATH.match(text):
        return "it is not an absolute path of a disk or file"
    if text.endswith("/"):
        return "it ends in a slash, as only the name of a directory does"
    return "it contains a character that is not valid in a path" if not text.isprintable() else ""


def _meet(first: _Target, second: _Target) -> bool:
    """Whether two names are of one disk, or of a disk and a partition of it."""
    names = {first.name, second.name}
    return len(names) == 1 or any(_disk_of(name) in names for name in names if _disk_of(name))


def _disk_of(name: str) -> str:
    for pattern in (_PART, _NODE):
        match = pattern.fullmatch(name)
        if match:
            return match.group("disk")
    return ""


def _one_name(text: str) -> Tuple[str, str]:
    """Return the one name of all spellings, and its kind: a node, a kind of link, or "" for a file."""
    disk = _WINDOWS_DISK.fullmatch(text)
    if disk:
        return r"\\.\PhysicalDrive%d" % int(disk.group(1)), ""
    if WINDOWS_PATH.match(text):
        return re.sub(r"[\\/]+", r"\\", text).lower().rstrip(". \\"), ""
    path = posixpath.normpath("/" + text.lstrip("/"))
    folder, name = posixpath.split(path)
    if folder == "/dev/disk/by-id":
        bare = _BUS.sub("", name, count=1)
        kind = "wwn" if name.startswith(("wwn-", "nvme-eui.", "scsi-3", "dm-uuid-", "lvm-pv-")) else "id"
        return "/dev/disk/by-id/" + bare, kind
    if path.startswith(_LINKS):
        return path, folder
    return path, "node" if path.startswith("/dev/") else ""
