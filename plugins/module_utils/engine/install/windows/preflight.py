# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides before anything is copied whether a device can have the agent; each refusal names the way out."""

from __future__ import annotations

from typing import Iterator

from ...errors import (
    InstallationError,
    WindowsRuntimeMissing,
    WindowsSpaceShort,
    WindowsUpdateMissing,
    WindowsVersionUnfit,
    WriteFilterActive,
)
from ...host import windows_preflight
from ...host.windows_preflight import PreflightFacts

_WINDOWS_7, _WINDOWS_8, _WINDOWS_10 = (6, 1), (6, 2), (10, 0)
_SPARE_BYTES = 64 << 20  # for the spool, and so that Windows keeps some
_MACHINES = {"amd64": ("AMD64",), "x86": ("x86", "AMD64"), "arm64": ("ARM64",)}
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


def refusals(facts: PreflightFacts, platform: str, base: str, needed_bytes: int) -> Iterator[InstallationError]:
    """Yield every reason against it, the one to remove first at the head."""
    found = "Windows %d.%d (build %d) on %s" % (*facts.version, facts.machine or "an unknown processor")
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
        free_mebibytes, needed_mebibytes = facts.free_bytes >> 20, -(-needed >> 20)
        yield WindowsSpaceShort(base=base, free_mebibytes=free_mebibytes, needed_mebibytes=needed_mebibytes)
