# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of the agent's packages: for each platform the wheels, by name and hash. ``make lock-agent`` writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple

from ..errors import BundlePlatformUnknown

LOCK = Path(__file__).with_name("wheels.lock.json")


class Wheel(NamedTuple):
    """A package in the form that needs no building. ``file_name`` says for which Python and machine."""

    file_name: str
    name: str
    version: str
    sha256: str


class LockedPlatform(NamedTuple):
    """The parts of a platform's bundle. ``libc`` and ``python`` are the oldest versions that the wheels run with."""

    name: str
    libc: str
    python: str
    tags: Tuple[str, ...]
    wheels: Tuple[Wheel, ...]

    @property
    def abi(self) -> str:
        """The interface of binary wheels: ``cp311``."""
        return "cp" + "".join(self.python.split(".")[:2])


def read_lock(path: Path = LOCK) -> Dict[str, Any]:
    """Return the content of a lock; that for Windows has the same form."""
    content: Dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def platforms() -> List[str]:
    """Return the platforms that there are bundles for."""
    return sorted(read_lock()["platforms"])


def locked_platform(name: str) -> LockedPlatform:
    """:raises BundlePlatformUnknown: when there are no wheels for it."""
    content = read_lock()
    if name not in content["platforms"]:
        raise BundlePlatformUnknown(platform=name, known=", ".join(sorted(content["platforms"])))
    return read_platform(name, content)


def read_platform(name: str, content: Dict[str, Any]) -> LockedPlatform:
    """Return what a lock holds of one of its platforms; ``libc`` is empty for Windows."""
    found = content["platforms"][name]
    wheels = tuple(read_wheel(file_name, content["wheels"][file_name]) for file_name in found["wheels"])
    return LockedPlatform(name, found.get("libc", ""), found["python"], tuple(found["tags"]), wheels)


def read_wheel(file_name: str, entry: Dict[str, str]) -> Wheel:
    """Return what a lock holds of a wheel."""
    return Wheel(file_name, entry["name"], entry["version"], entry["sha256"])
