# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and writes at a place of an open file in one call each (POSIX) [pread(2), pwritev(2)]."""

from __future__ import annotations

import os
from typing import List


def read_at(descriptor: int, length_bytes: int, offset_bytes: int) -> bytes:
    """Return up to ``length_bytes`` bytes. :raises OSError:"""
    return os.pread(descriptor, length_bytes, offset_bytes)


def write_at(descriptor: int, pieces: List[memoryview], offset_bytes: int) -> int:
    """Write pieces that follow one another, and return how many bytes were written. :raises OSError:"""
    return os.pwritev(descriptor, pieces, offset_bytes)
