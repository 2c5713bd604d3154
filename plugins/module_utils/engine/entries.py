# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entries of a storage's directory, as every storage client returns them."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class EntryKind(Enum):
    FILE = "file"
    DIRECTORY = "directory"
    OTHER = "other"  # links and special files: never followed, never ours


class Entry(NamedTuple):
    """One name in a directory of the storage."""

    name: str
    kind: EntryKind
    size_bytes: int


class Space(NamedTuple):
    total_bytes: int
    free_bytes: int
