# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes under a write filter (UWF, EWF, FBWF): whether a shadow copy shows the changes that the filter drops is asked, not guessed.

Where a filter protects a volume, a small file is created in its root before the shadow copy is made. The filter keeps that file away
from the disk; the shadow copy has it or not, which answers for all other changes since Windows started. The file is deleted
afterwards, and the filter drops it in any case.
"""

from __future__ import annotations

import os
import re
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ...errors import EngineError, WriteFilterProtects, WriteFilterSilent
from ...host.windows_write_filters import WriteFilter, filters_of

Ask = Callable[[str], Sequence[WriteFilter]]
_LETTER = re.compile(r"[A-Za-z]:\\")
_CONTENT = b"A write filter keeps this file away from the disk. It can be deleted.\r\n"
_WITH = "the image has the changes since Windows started, which the filter drops at the next start"
_WITHOUT = "the image is as the volume will be after the next start, without the changes since Windows started"
_UNKNOWN = "Windows does not tell whether the image has the changes since Windows started"
_NOT_YET = "only a run can tell whether an image has the changes since Windows started, which the filter drops"


def letter_of(points: Sequence[str]) -> str:
    """The drive letter of a volume (``C:``), by which filters know it; "" for one without."""
    return next((point[:2].upper() for point in points if _LETTER.fullmatch(point)), "")


def active(volume: str, ask: Ask = filters_of) -> List[WriteFilter]:
    """The filters that protect a volume, or do not tell."""
    return [one for one in ask(volume) if one.protects is not False] if volume else []


def words(one: WriteFilter, volume: str, consequence: str = _NOT_YET) -> str:
    """The warning about a filter on a volume."""
    told: EngineError = WriteFilterSilent(filter=one.kind, volume=volume, consequence=consequence)
    if one.protects:
        told = WriteFilterProtects(filter=one.kind, volume=volume, consequence=consequence)
    return "%s (%s)" % (told, told.code)


class FilteredVolumes:
    """The volumes of a run that a filter protects, each with a file in its root until :meth:`close`."""

    def __init__(self, volumes: Mapping[str, Sequence[str]], *, ask: Ask = filters_of, creates: bool = True) -> None:
        """:param volumes: letters and folders by the name of a volume. :param creates: no file is created without."""
        self._found: Dict[str, Tuple[str, List[WriteFilter]]] = {}
        self._files: Dict[str, str] = {}
        for name, points in volumes.items():
            letter = letter_of(points)
            filters = active(letter, ask)
            if not filters:
                continue
            self._found[name] = (letter, filters)
            if creates:
                self._create(name, letter + "\\")

    def _create(self, name: str, root: str) -> None:
        path = root + "plantops-imaging-%d.tmp" % os.getpid()
        try:
            with open(path, "xb") as file:
                self._files[name] = path
                file.write(_CONTENT)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            return  # then it is not known what the shadow copy shows, and the warning says so

    def warnings(self, name: str, shadow: Optional[str]) -> List[str]:
        """The warnings about a volume. ``shadow``: its shadow copy, "" for a volume without one, None before there is one."""
        letter, filters = self._found.get(name, ("", []))
        if shadow is None:
            return [words(one, letter) for one in filters]
        return [words(one, letter, self._shown(name, shadow)) for one in filters]

    def _shown(self, name: str, shadow: str) -> str:
        """Without a shadow copy the disk is read, which may be below the filter or above it."""
        path = self._files.get(name)
        if path is None or not shadow:
            return _UNKNOWN
        try:
            os.stat(shadow + path[2:])
        except FileNotFoundError:
            return _WITHOUT
        except OSError:
            return _UNKNOWN
        return _WITH

    def close(self) -> None:
        """Delete the files."""
        while self._files:
            dummy_name, path = self._files.popitem()
            try:
                os.remove(path)
            except OSError:
                continue  # the filter drops it at the next start
