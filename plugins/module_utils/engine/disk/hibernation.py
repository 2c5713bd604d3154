# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Detects a hibernated Windows on a volume, and names the system files that an image excludes.

A machine with HORM ("hibernate once, resume many") starts from the same ``hiberfil.sys`` each time; an empty file
``resmany.dat`` beside it says so. There the file holds the state that the machine starts from, and stays in the image.
"""

from __future__ import annotations

from typing import List

from ..errors import FileSystemInvalid
from .filesystems.contract import FileSystem, FileTree
from .patterns import Pattern

_HIBERNATION, _RESUMES_MANY_TIMES = "\\hiberfil.sys", "RESMANY.DAT"


def always_left_out(file_system: FileSystem, tree: FileTree) -> List[Pattern]:
    """The files whose content no image of this volume holds."""
    texts = [text for text in file_system.always_left_out if text != _HIBERNATION or not _resumes_many_times(tree)]
    return [Pattern.parse(text) for text in texts]


def _resumes_many_times(tree: FileTree) -> bool:
    """In doubt yes: then the file is kept."""
    try:
        return any(name.upper() == _RESUMES_MANY_TIMES for name in tree.names(tree.root()))
    except FileSystemInvalid:
        return True
