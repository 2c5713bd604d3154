# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry in memory, for what no hive at hand holds."""

from __future__ import annotations

from typing import Callable, Dict, List, Optional

from engine.device.document.tree import SystemTree
from engine.device.document.windows.reading import Reader
from engine.device.document.windows.system import Facts, WindowsSystem
from engine.host.registry import Registry, Value

Keys = Dict[str, Dict[str, Value]]


class MadeRegistry(Registry):
    """Keys by their whole path; those above them exist, too. ``closed`` are the keys that the user may not read."""

    def __init__(self, keys: Keys, closed: Optional[List[str]] = None) -> None:
        self._keys = {path.upper(): values for path, values in keys.items()}
        self._names = {path.upper(): path for path in keys}
        self._closed = [path.upper() for path in closed or []]

    def subkeys(self, path: str) -> List[str]:
        self._check(path)
        start = path.upper() + "\\"
        found = [self._names[one][len(start) :].split("\\")[0] for one in self._keys if one.startswith(start)]
        return list(dict.fromkeys(found))

    def values(self, path: str) -> Dict[str, Value]:
        self._check(path)
        return self._keys.get(path.upper(), {})

    def written(self, path: str) -> int:
        self._check(path)
        return 0

    def _check(self, path: str) -> None:
        if any(path.upper().startswith(one) for one in self._closed):
            raise PermissionError(13, "Access is denied")


def reader(
    keys: Keys, *, closed: Optional[List[str]] = None, folder: str = "", facts: Optional[Callable[[], Facts]] = None
) -> Reader:
    """A reader of a system with these keys."""
    return Reader(WindowsSystem(MadeRegistry(keys, closed), folder, facts), SystemTree())
