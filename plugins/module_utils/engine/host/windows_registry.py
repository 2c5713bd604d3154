# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the registry of the running Windows.

Source: "Registry Functions" of the Windows API: RegOpenKeyEx, RegEnumKeyEx, RegEnumValue, RegQueryInfoKey.
"""

from __future__ import annotations

import contextlib
import importlib
from typing import Any, Dict, Iterator, List, Optional

from .registry import Registry, Value

_READ_64 = 0x20019 | 0x100  # KEY_READ, KEY_WOW64_64KEY
_MOST_ENTRIES = 50_000
_NO_MORE_ITEMS = 259


class RunningRegistry(Registry):
    """The registry as winreg reads it, in the view of 64 bits."""

    def subkeys(self, path: str) -> List[str]:
        with self._opened(path) as (winreg, key):
            return list(_each(winreg.EnumKey, key)) if key is not None else []

    def values(self, path: str) -> Dict[str, Value]:
        found: Dict[str, Value] = {}
        with self._opened(path) as (winreg, key):
            for name, data, dummy_kind in _each(winreg.EnumValue, key) if key is not None else ():
                if isinstance(data, (str, int, bytes)):
                    found[name] = data
                elif isinstance(data, list):
                    found[name] = [str(one) for one in data]
        return found

    def written(self, path: str) -> int:
        with self._opened(path) as (winreg, key):
            return int(winreg.QueryInfoKey(key)[2]) if key is not None else 0

    @contextlib.contextmanager
    def _opened(self, path: str) -> Iterator[Any]:
        winreg = importlib.import_module("winreg")
        word, dummy, rest = path.partition("\\")
        root = winreg.HKEY_USERS if word == "USERS" else winreg.HKEY_LOCAL_MACHINE
        key: Optional[Any] = None
        with contextlib.suppress(FileNotFoundError):
            key = winreg.OpenKey(root, rest if word == "USERS" else path, 0, _READ_64)
        try:
            yield winreg, key
        finally:
            if key is not None:
                key.Close()


def _each(ask: Any, key: Any) -> Iterator[Any]:
    for number in range(_MOST_ENTRIES):
        try:
            yield ask(key, number)
        except OSError as error:
            if getattr(error, "winerror", None) != _NO_MORE_ITEMS:
                raise
            return
