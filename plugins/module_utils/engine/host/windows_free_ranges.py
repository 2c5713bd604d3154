# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives free ranges of a disk or file back to the system, or zeroes them (Windows): targets there are plain files, which are not discarded."""

from __future__ import annotations

import errno
import os

from .linux_free_ranges import Discarding
from .linux_stack import BlockTree

__all__ = ["Discarding", "discard", "discarding_of_device", "discarding_of_file", "zero"]
_WHY_NOT = "Windows is not asked to discard"


def discarding_of_device(path: str, tree: BlockTree) -> Discarding:  # noqa: ARG001
    return Discarding(0, _WHY_NOT)


def discarding_of_file(directory: str) -> Discarding:  # noqa: ARG001
    return Discarding(0, _WHY_NOT)


def discard(descriptor: int, is_device: bool, start_bytes: int, length_bytes: int) -> None:  # noqa: ARG001
    """:raises OSError: always; the plan refuses it before."""
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def zero(descriptor: int, start_bytes: int, length_bytes: int) -> bool:  # noqa: ARG001
    """Zeros are written as any other bytes."""
    return False
