# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shadow copies of other programs: known before ours are made, never deleted, and missed when Windows dropped them."""

from __future__ import annotations

from typing import Callable, Dict, List, Optional

from .codes import words_of
from .interface import CONTEXT_ALL, Components, Refused, Shadow


def listed(make: Optional[Callable[[], Components]] = None) -> List[Shadow]:
    """All shadow copies of this device. :raises Refused:"""
    components = (make or Components)()
    try:
        components.begin(CONTEXT_ALL)
        return components.shadows()
    finally:
        components.release()


class Foreign:
    """The shadow copies that there are before a set is made. ``notes`` tell them to the log of the run."""

    def __init__(self, make: Optional[Callable[[], Components]] = None) -> None:
        self._make = make
        self._before: Dict[str, Shadow] = {}
        self.notes: List[str] = []
        try:
            self._before = {str(one.shadow_id): one for one in listed(make)}
        except Refused as error:
            self.notes.append("Windows does not list its shadow copies: %s." % words_of(error.code))
            return
        for volume in dict.fromkeys(one.volume for one in self._before.values()):
            count = sum(one.volume == volume for one in self._before.values())
            self.notes.append("Before the run there were %d shadow copies of %s." % (count, volume))

    def gone(self) -> List[str]:
        """Warnings about those that Windows dropped since; it takes the oldest first when shadow storage is full."""
        if not self._before:
            return []
        try:
            after = {str(one.shadow_id) for one in listed(self._make)}
        except Refused as error:
            return ["Windows does not list its shadow copies after the run: %s." % words_of(error.code)]
        return [
            "The shadow copy %s of %s, which another program had made, disappeared during the run. Windows drops the oldest "
            "ones when shadow storage is full." % (name, one.volume)
            for name, one in self._before.items()
            if name not in after
        ]
