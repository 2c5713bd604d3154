# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names the content of a volume or disk that no parser reads, and that is imaged whole. The marks are in ``marks.py``."""

from __future__ import annotations

from typing import Iterable

from .filesystems.ext import is_journal
from .mark_table import FIRMWARE_RAID_KIND, LVM_KIND, RAID_KIND
from .marks import Mark, View, array_marks, find_marks
from .partition_types import BY_TYPE
from .source import BlockSource

__all__ = ["BY_TYPE", "FIRMWARE_RAID_KIND", "LVM_KIND", "RAID_KIND", "array_member", "container", "recognise"]


def container(source: BlockSource) -> str:
    """Name the container that wraps other volumes or hides them, "" without one.

    Checked before any file system: the members of some arrays begin like the file system on the array.
    """
    return _first(mark for mark in find_marks(View(source)) if mark.is_container)


def recognise(source: BlockSource) -> str:
    """Name the content of a volume that no parser understands, "" when it is unknown."""
    view = View(source)
    journal = view.at(1024, 1024)
    if len(journal) == 1024 and is_journal(journal):
        return "the journal of an ext file system"
    return _first(find_marks(view))


def array_member(source: BlockSource) -> str:
    """Name the RAID that a volume or a whole disk is a member of, "" when it is none."""
    return _first(array_marks(View(source, only_ends=True)))


def _first(marks: Iterable[Mark]) -> str:
    return next((mark.name for mark in marks), "")
