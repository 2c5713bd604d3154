# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts that decide whether the agent can be installed on this Windows: asked here only, so that a test gives other answers.

Sources: "Universal CRT deployment" (ucrtbase.dll), "LoadLibraryExW" (KB2533623 brings AddDllDirectory), "uwfmgr.exe",
"EWF API" and "FBWF API" of the Windows documentation. Tests have met no such filter: Wine has none.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import struct
import subprocess
from typing import List, NamedTuple, Optional, Tuple

from . import windows_calls

_INVALID_HANDLE = ctypes.c_void_p(-1).value
_EWF_ENABLED = 0  # EWF_STATE of ewfapi.h, the second number of EWF_VOLUME_CONFIG
_TOOL_SECONDS = 30
_CURRENT = re.compile(r"current session", re.IGNORECASE)
_NEXT = re.compile(r"next session", re.IGNORECASE)
_STATE = re.compile(r"(filter|volume) state:\s*(\S.*)", re.IGNORECASE)


class WriteFilter(NamedTuple):
    """A filter that keeps writes to a volume in memory. ``protects`` is None where its state can't be read."""

    kind: str  # UWF, EWF or FBWF
    protects: Optional[bool]


class PreflightFacts(NamedTuple):
    """The answers. ``volume`` is the drive of the agent's directory: ``C:``."""

    version: Tuple[int, int, int]
    machine: str  # as Windows calls it: AMD64, x86, ARM64
    has_runtime: bool
    has_search_flags: bool
    volume: str
    free_bytes: int
    filters: Tuple[WriteFilter, ...]


def gather(base: str) -> PreflightFacts:
    """Return what is known about this device for an agent in ``base``, which need not exist."""
    system = windows_calls.system_folder()
    volume = os.path.splitdrive(base)[0].upper()
    return PreflightFacts(
        windows_calls.version(),
        _machine(),
        os.path.isfile(os.path.join(system, "ucrtbase.dll")),
        hasattr(windows_calls.kernel32(), "AddDllDirectory"),
        volume,
        shutil.disk_usage(volume + "\\").free,
        tuple(_filters(system, volume)),
    )


def _machine() -> str:
    """The processor, also for a program of 32 bits."""
    return os.environ.get("PROCESSOR_ARCHITEW6432", "") or os.environ.get("PROCESSOR_ARCHITECTURE", "")


def _filters(system: str, volume: str) -> List[WriteFilter]:
    found = []
    if os.path.isfile(os.path.join(system, "uwfmgr.exe")):
        found.append(WriteFilter("UWF", _uwf_protects(os.path.join(system, "uwfmgr.exe"), volume)))
    if os.path.isfile(os.path.join(system, "ewfapi.dll")):
        found.append(WriteFilter("EWF", _ewf_protects(volume)))
    if os.path.isfile(os.path.join(system, "fbwflib.dll")):
        found.append(WriteFilter("FBWF", _fbwf_protects(volume)))
    return found


def _uwf_protects(tool: str, volume: str) -> Optional[bool]:
    """Ask the filter's own tool, since only WMI answers otherwise."""
    texts = []
    for arguments in (["get-config"], ["volume", "get-config", volume]):
        try:
            done = subprocess.run(  # pylint: disable=ansible-bad-function
                [tool, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=_TOOL_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        texts.append(done.stdout.replace(b"\0", b"").decode("ascii", "replace"))  # it writes UTF-16
    return uwf_state(*texts)


def uwf_state(filter_text: str, volume_text: str) -> Optional[bool]:
    """Whether the volume is protected now, by the texts of the tool; no answer (None) when they are in another language."""
    enabled, protected = _current(filter_text, "filter"), _current(volume_text, "volume")
    if enabled is None:
        return None
    return enabled.upper() == "ON" and (protected or "").lower() != "un-protected"


def _current(text: str, what: str) -> Optional[str]:
    """The state in the part on the current session."""
    is_current = True
    for line in text.splitlines():
        if _NEXT.search(line):
            is_current = False
        elif _CURRENT.search(line):
            is_current = True
        found = _STATE.search(line)
        if found and is_current and found.group(1).lower() == what:
            return found.group(2).strip()
    return None


def _ewf_protects(volume: str) -> Optional[bool]:
    """[EwfMgrOpenProtected, EwfMgrGetProtectedVolumeConfig]"""
    library = windows_calls.system_library("ewfapi")
    library.EwfMgrOpenProtected.restype = ctypes.c_void_p
    library.EwfMgrGetProtectedVolumeConfig.restype = ctypes.c_void_p
    handle = library.EwfMgrOpenProtected(ctypes.c_wchar_p("\\\\.\\" + volume))
    if handle in (None, _INVALID_HANDLE):
        return False  # the filter does not know this volume
    try:
        config = library.EwfMgrGetProtectedVolumeConfig(ctypes.c_void_p(handle))
        if not config:
            return None
        try:
            return bool(struct.unpack("<II", ctypes.string_at(config, 8))[1] == _EWF_ENABLED)
        finally:
            windows_calls.kernel32().LocalFree(ctypes.c_void_p(config))
    finally:
        library.EwfMgrClose(ctypes.c_void_p(handle))


def _fbwf_protects(volume: str) -> Optional[bool]:
    """[FbwfIsFilterEnabled, FbwfIsVolumeProtected]"""
    library = windows_calls.system_library("fbwflib")
    now, later = ctypes.c_ulong(), ctypes.c_ulong()
    if library.FbwfIsFilterEnabled(ctypes.byref(now), ctypes.byref(later)):
        return None
    if not now.value:
        return False
    failed = library.FbwfIsVolumeProtected(ctypes.c_wchar_p(volume), ctypes.byref(now), ctypes.byref(later))
    return None if failed else bool(now.value)
