# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bounds how much of earlier indexes a run fetches that are only likely to match: other images, volumes that moved.

A volume that really moved is worth it: its index takes a two thousandth of the bytes that need not be sent again. For
one that only looks as if it had (of the same size and kind, a disk that was refilled), segment after segment would be
fetched at each of its places.
"""

from __future__ import annotations

from typing import List

from ...amounts import size

FREE_BYTES = 16 << 20  # before anything was found
YIELD = 256  # bytes that were found, for each byte that is fetched beyond that


class LookBudget:
    """Bounds what is fetched for one disk by what was found for it."""

    def __init__(self, disk: str) -> None:
        self._disk = disk
        self.fetched_bytes = self.found_bytes = self._refused = 0

    def affords(self, cost_bytes: int) -> bool:
        return self.fetched_bytes + cost_bytes <= FREE_BYTES + self.found_bytes // YIELD

    def refuse(self) -> None:
        """A segment was not looked for."""
        self._refused += 1

    def notes(self) -> List[str]:
        """The lines for the run's log."""
        if not self._refused:
            return []
        return [
            "%s: the search for what moved ended after %s of earlier indexes, in which %s were found. "
            "Chunks of %d segments that earlier images may hold elsewhere are sent again."
            % (self._disk, size(self.fetched_bytes), size(self.found_bytes), self._refused)
        ]
