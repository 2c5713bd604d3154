# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of Windows, told apart by rules of the engine's own, on every system alike.

``os.path`` of Python 3.8 and of 3.13 disagree on ``\\\\.\\PhysicalDrive0`` and on ``/x``, and the parent of ``C:\\`` is itself.
Source: "Naming Files, Paths, and Namespaces" of the Windows documentation.
"""

from __future__ import annotations

import enum
import re

from ..names import is_device_of_windows

_LETTER = re.compile(r"[A-Za-z]:[\\/]?")
_DISK = re.compile(r"[\\/]{2}[.?][\\/]PhysicalDrive\d{1,4}", re.IGNORECASE)
_VOLUME = re.compile(
    r"[\\/]{2}[.?][\\/](?:[A-Za-z]:|HarddiskVolume\d{1,4}|Volume\{[0-9A-Fa-f-]{36}\}|"
    r"GLOBALROOT[\\/]Device[\\/]HarddiskVolume(?:ShadowCopy)?\d{1,6})[\\/]?",
    re.IGNORECASE,
)
# A second colon would name a stream inside of a file, which no listing shows.
_FILE = re.compile(r'[A-Za-z]:[\\/][^<>:"|?*\x00-\x1f]+')
_SHARE = re.compile(r"[\\/]{2}[^.?\\/][^\\/]*[\\/][^\\/]+(?:[\\/].*)?")


class NameKind(enum.Enum):
    """The kinds of names that name something whole."""

    DISK = "disk"  # \\.\PhysicalDrive0
    VOLUME = "volume"  # \\.\C:, \\?\Volume{...}, a shadow copy
    LETTER = "letter"  # C: or C:\
    FILE = "file"  # C:\folder\name
    SHARE = "share"  # \\server\share\name
    OTHER = "other"  # relative, or of another system


def kind_of_name(name: str) -> NameKind:
    """The kind of a name, which is not opened."""
    if "\0" in name or "\n" in name:
        return NameKind.OTHER
    for kind, pattern in (
        (NameKind.DISK, _DISK),
        (NameKind.VOLUME, _VOLUME),
        (NameKind.LETTER, _LETTER),
        (NameKind.FILE, _FILE),
        (NameKind.SHARE, _SHARE),
    ):
        if pattern.fullmatch(name):
            return NameKind.OTHER if kind is NameKind.FILE and _has_device(name) else kind
    return NameKind.OTHER


def _has_device(name: str) -> bool:
    """Whether a part of a file's name is that of a device: a restore into it would go nowhere, or out of a serial port."""
    return any(is_device_of_windows(part) for part in re.split(r"[\\/]", name[3:]))


def is_raw(name: str) -> bool:
    """Whether the name is of a disk or volume itself, not of a file."""
    return kind_of_name(name) in (NameKind.DISK, NameKind.VOLUME)
