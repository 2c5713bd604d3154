# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the GRUB that a BIOS starts on a target and the one of the image are the same.

Its parts are outside of file systems: boot code in the first sector, and what that starts, in the gap before the first partition or in the
BIOS boot partition (GNU GRUB manual 2.06, "BIOS installation"). It loads modules from /boot/grub, which have to be of the same version. A
restore of the whole disk writes all of them from one image, so GRUB is never reinstalled; a restore of some partitions may mix two.
"""

from __future__ import annotations

from typing import Iterator, Tuple

from ..disk.layout import DiskLayout
from ..disk.open import open_source
from ..errors import EngineError
from ..image.source import ImageSource
from .plan import PlannedDisk

_BOOT_CODE_BYTES = 440  # up to the disk signature
_MOST_BYTES = 1 << 20  # of the gap or partition; the core of GRUB has tens of KiB
_STEP_BYTES = 64 << 10
_GRUB = b"GRUB"  # the first sector has it for its error message


def has_other_grub(disk: PlannedDisk) -> bool:
    """Whether some partitions only are restored, and the GRUB outside of them differs from that of the image."""
    if not disk.scope.is_partial or disk.is_done or not disk.target.exists:
        return False
    image = ImageSource(disk.image or disk.reader)
    try:
        if _GRUB not in image.read(0, _BOOT_CODE_BYTES):
            return False
        with open_source(disk.target.path) as target:
            places = list(_places(disk.scope.layout, min(image.size_bytes, target.size_bytes)))
            return any(image.read(*one) != target.read(*one) for one in places)
    except EngineError:
        return False  # the restore itself reports what is wrong with an image or a target


def _places(layout: DiskLayout, size_bytes: int) -> Iterator[Tuple[int, int]]:
    """The places of GRUB outside of file systems, start and length in bytes."""
    yield 0, _BOOT_CODE_BYTES
    ranges = [(one.start_bytes, one.length_bytes) for one in layout.partitions if one.role == "bios-boot"]
    if layout.scheme == "mbr":
        first = min((one.start_bytes for one in layout.partitions), default=0)
        ranges.append((layout.sector_bytes, max(0, first - layout.sector_bytes)))
    for start, length in ranges:
        end = min(start + min(length, _MOST_BYTES), size_bytes)
        for place in range(start, end, _STEP_BYTES):
            yield place, min(_STEP_BYTES, end - place)
