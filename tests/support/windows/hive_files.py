# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry of a Windows that does not run: its hives as files, read by python-registry, which knows nothing of the engine."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any, Dict, List, Optional

import Registry.Registry as Parser
from engine.device.document.windows.system import WindowsSystem
from engine.host.registry import Registry, Value
from Registry.RegistryParse import RegistryStructureDoesNotExist

_CONTROL_SET = "CURRENTCONTROLSET"
_EPOCH = datetime.datetime(1601, 1, 1)


class HiveFiles(Registry):
    """Hives by the path that Windows loads them at: ``SOFTWARE``, ``SYSTEM``, ``SAM``, ``USERS\\<SID>``."""

    def __init__(self, hives: Dict[str, Path]) -> None:
        self._hives = {name.upper(): Parser.Registry(str(path)) for name, path in hives.items()}
        self._inside: Dict[str, Dict[str, Any]] = {}  # of a key, by the name of each key below it

    def subkeys(self, path: str) -> List[str]:
        key = self._key(path)
        return [one.name() for one in key.subkeys()] if key is not None else []

    def values(self, path: str) -> Dict[str, Value]:
        key = self._key(path)
        found: Dict[str, Value] = {}
        for one in key.values() if key is not None else []:
            value = _plain(one)
            if value is not None:
                found["" if one.name() == "(default)" else one.name()] = value
        return found

    def written(self, path: str) -> int:
        key = self._key(path)
        if key is None:
            return 0
        return int((key.timestamp() - _EPOCH) / datetime.timedelta(microseconds=1)) * 10

    def _key(self, path: str) -> Optional[Any]:
        place = path.upper()
        if place in self._hives:
            return self._hives[place].root()
        above, dummy, name = place.rpartition("\\")
        if name == _CONTROL_SET and above == "SYSTEM":
            current = self._hives[above].open("Select").value("Current").value()
            return self._key("%s\\CONTROLSET%03d" % (above, current))
        if above not in self._inside:
            key = self._key(above) if above else None
            self._inside[above] = {one.name().upper(): one for one in key.subkeys()} if key is not None else {}
        return self._inside[above].get(name)


def _plain(value: Any) -> Optional[Value]:
    try:
        data = value.value()
    except (UnicodeDecodeError, RegistryStructureDoesNotExist):
        return None
    if isinstance(data, list):
        return [one for one in data if one]
    return data if isinstance(data, (str, int, bytes)) else None


def system_of(hives: Dict[str, Path]) -> WindowsSystem:
    """A system of hives alone: no file and no system call."""
    return WindowsSystem(HiveFiles(hives), "", None)
