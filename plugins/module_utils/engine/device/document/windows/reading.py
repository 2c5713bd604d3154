# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bounded reading of a registry: what it holds may come from a hostile program, and a section has its time."""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, TypeVar

from ....host.registry import Value
from ..tree import SystemTree, Unreadable
from .system import WindowsSystem

_MOST_NAMES = 20_000
_MOST_CHARACTERS = 4096
_MOST_BYTES = 1 << 20
_Answer = TypeVar("_Answer")


class Reader:
    """The registry of ``system``, read within the time of a section."""

    def __init__(self, system: WindowsSystem, tree: SystemTree) -> None:
        self.system = system
        self._tree = tree

    def names(self, path: str) -> List[str]:
        """The sorted names of the keys below a key. :raises Unreadable:"""
        found = self._asked(path, self.system.registry.subkeys)
        if len(found) > _MOST_NAMES:
            raise Unreadable("%s has more than %d keys" % (path, _MOST_NAMES))
        return sorted(found, key=str.casefold)

    def values(self, path: str) -> Values:
        """The values of a key. :raises Unreadable:"""
        found = self._asked(path, self.system.registry.values)
        if len(found) > _MOST_NAMES:
            raise Unreadable("%s has more than %d values" % (path, _MOST_NAMES))
        return Values(found)

    def _asked(self, path: str, ask: Callable[[str], _Answer]) -> _Answer:
        self._tree.check_time()
        try:
            return ask(path)
        except PermissionError:
            raise Unreadable("this user may not read the key %s" % path) from None
        except OSError as error:
            raise Unreadable("reading the key %s failed: %s" % (path, error.strerror or error)) from None


class Values:
    """The values of a key; names of values are compared without case, as Windows does."""

    def __init__(self, found: Dict[str, Value]) -> None:
        self.names = sorted(found, key=str.casefold)
        self._found = {name.casefold(): value for name, value in found.items()}

    def text(self, name: str) -> str:
        """A text, "" where there is none. Windows ends it at the first zero."""
        value = self._found.get(name.casefold())
        return value.split("\0")[0].strip()[:_MOST_CHARACTERS] if isinstance(value, str) else ""

    def number(self, name: str) -> Optional[int]:
        value = self._found.get(name.casefold())
        return value if isinstance(value, int) else None

    def data(self, name: str) -> bytes:
        """Bytes; none where there are none, or too many."""
        value = self._found.get(name.casefold())
        return value if isinstance(value, bytes) and len(value) <= _MOST_BYTES else b""

    def texts(self, name: str) -> List[str]:
        """The texts of a list, or the words of one text, as Windows versions differ in which they store."""
        value = self._found.get(name.casefold())
        if isinstance(value, str):
            value = value.replace(",", " ").split()
        found = value if isinstance(value, list) else []
        return [one.strip("\0").strip()[:_MOST_CHARACTERS] for one in found[:_MOST_NAMES] if one.strip("\0").strip()]
