# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides before anything is copied whether a device can have the agent; each refusal names the way out.

A controller that has only the files of a device learns the version of Windows and its updates from ``kernel32.dll``. It
can't learn whether a write filter is active: that is what the device itself tells.
"""

from __future__ import annotations

from typing import Iterator

from ...amounts import size
from ...errors import (
    InstallationError,
    WindowsFileUnfit,
    WindowsRuntimeMissing,
    WindowsSpaceShort,
    WindowsUpdateMissing,
    WindowsVersionUnfit,
    WriteFilterActive,
)
from ...host import windows_preflight
from ...host.windows_preflight import PreflightFacts
from .pe import AMD64, ARM64, X86, PeFile, PeInvalid

_WINDOWS_7, _WINDOWS_8, _WINDOWS_10 = (6, 1), (6, 2), (10, 0)
_SPARE_BYTES = 64 << 20  # for the spool, and so that Windows keeps some
_MACHINES = {"amd64": ("AMD64",), "x86": ("x86", "AMD64"), "arm64": ("ARM64",)}
_PROCESSORS = {AMD64: "AMD64", X86: "x86", ARM64: "ARM64"}
# Functions of kernel32.dll that came with a version of Windows, by "Requirements" on their pages of the Windows API.
_OF_10, _OF_8 = "GetSystemCpuSetInformation", "CreateFile2"
_SEARCH_FLAGS = "AddDllDirectory"
_COMMANDS = {
    "UWF": ("uwfmgr filter disable", "uwfmgr filter enable"),
    "EWF": ("ewfmgr {volume} -commitanddisable", "ewfmgr {volume} -enable"),
    "FBWF": ("fbwfmgr /disable", "fbwfmgr /enable"),
}


def check_device(platform: str, base: str, needed_bytes: int) -> None:
    """Refuse a device that can't have the agent of ``platform`` in ``base``.

    :raises InstallationError: A360 to A365.
    """
    for wrong in refusals(windows_preflight.gather(base), platform, base, needed_bytes):
        raise wrong


def facts_from_files(kernel32: bytes, *, has_runtime: bool, volume: str, free_bytes: int) -> PreflightFacts:
    r"""Return what files tell of a device: ``System32\kernel32.dll``, and whether ``System32\ucrtbase.dll`` is there.

    :raises WindowsFileUnfit: when the library can't be read.
    """
    try:
        file = PeFile(kernel32)
        exports = set(file.exports())
    except PeInvalid as error:
        raise WindowsFileUnfit(file="kernel32.dll", reason=str(error)) from None
    version = _WINDOWS_10 if _OF_10 in exports else _WINDOWS_8 if _OF_8 in exports else _WINDOWS_7
    machine = _PROCESSORS.get(file.machine, "")
    return PreflightFacts((*version, 0), machine, has_runtime, _SEARCH_FLAGS in exports, volume, free_bytes, ())


def refusals(facts: PreflightFacts, platform: str, base: str, needed_bytes: int) -> Iterator[InstallationError]:
    """Yield every reason against it, the one to remove first at the head."""
    found = "Windows %d.%d (build %d) for %s" % (*facts.version, facts.machine or "an unknown processor")
    oldest = _WINDOWS_7 if platform.startswith("windows-7-") else _WINDOWS_10
    if facts.version[:2] < oldest or facts.machine not in _MACHINES[platform.rpartition("-")[2]]:
        yield WindowsVersionUnfit(wanted=platform, found=found)
    if not facts.has_runtime:
        yield WindowsRuntimeMissing()
    if facts.version[:2] < _WINDOWS_8 and not facts.has_search_flags:
        yield WindowsUpdateMissing()
    for one in facts.filters:
        if one.protects is not False:
            disable, enable = (command.format(volume=facts.volume.lower()) for command in _COMMANDS[one.kind])
            yield WriteFilterActive(filter=one.kind, volume=facts.volume, disable=disable, enable=enable)
    needed = needed_bytes + _SPARE_BYTES
    if facts.free_bytes < needed:
        yield WindowsSpaceShort(base=base, free=size(facts.free_bytes), needed=size(needed))
