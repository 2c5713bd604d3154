# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of packs as numbers, as the columns of chunks hold them."""

from __future__ import annotations

from typing import Dict, List


class PackNumbers(Dict[str, int]):
    """The number of each name; a new name gets the next one. ``names`` has the names by number."""

    def __init__(self) -> None:
        super().__init__()
        self.names: List[str] = []

    def __missing__(self, name: str) -> int:
        return self.append(name)

    def append(self, name: str) -> int:
        """Give ``name`` the next number, even if it has one: a list from a storage may hold it twice."""
        number = self[name] = len(self.names)
        self.names.append(name)
        return number

    def rename(self, old: str, new: str) -> None:
        """Let the number of ``old``, where it has one, be that of ``new``."""
        number = self.pop(old, None)
        if number is not None:
            self.names[number] = new
            self[new] = number
