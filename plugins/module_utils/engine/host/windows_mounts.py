# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a part of a disk is in use on this machine (Windows)."""

from __future__ import annotations

from typing import List

from .linux_mounts import Use
from .windows_names import is_raw

__all__ = ["Use", "is_held", "swap_files", "uses_of"]
_EVERYTHING_BYTES = 1 << 62


def uses_of(path: str) -> List[Use]:
    """A disk or volume counts as in use from its first byte to its last: Windows mounts what it recognises.

    A file is not in use as a disk.
    """
    return [Use(0, _EVERYTHING_BYTES, "Windows", False)] if is_raw(path) else []


def is_held(device: str) -> bool:
    """Whether a program uses the device for itself: Windows does not tell."""
    return is_raw(device)


def swap_files() -> List[str]:
    """The files that Windows pages to have fixed names, which the reader of NTFS knows."""
    return []
