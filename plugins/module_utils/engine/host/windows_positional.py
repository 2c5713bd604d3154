# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and writes at a place of an open file (Windows): seek, then read or write, one thread at a time."""

from __future__ import annotations

import os
import threading
from typing import List

_turn = threading.Lock()


def read_at(descriptor: int, length_bytes: int, offset_bytes: int) -> bytes:
    """Return up to ``length_bytes`` bytes. :raises OSError:"""
    with _turn:
        os.lseek(descriptor, offset_bytes, os.SEEK_SET)
        return os.read(descriptor, length_bytes)


def write_at(descriptor: int, pieces: List[memoryview], offset_bytes: int) -> int:
    """Write the first of the pieces, and return how many bytes were written. :raises OSError:"""
    with _turn:
        os.lseek(descriptor, offset_bytes, os.SEEK_SET)
        return os.write(descriptor, pieces[0])
