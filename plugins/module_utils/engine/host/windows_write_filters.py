# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The write filters of an embedded Windows: which there are by the registry, and whether they protect a volume by their own word.

A filter keeps writes to a volume away from its disk and drops them at the next start. Its driver has a key in the registry on
each Windows that has the filter, and its settings stand there in no documented form: so the registry says that a filter is
there, and the filter itself whether it protects a volume now. Sources: "uwfmgr.exe", "EWF API" and "FBWF API" of the Windows
documentation; the names of the drivers are in no page of it. Tests have met no such filter: Wine has none.
"""

from __future__ import annotations

import ctypes
import os
import re
import struct
import subprocess
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from . import windows_calls
from .registry import Registry
from .windows_registry import RunningRegistry

_SERVICES = r"SYSTEM\CurrentControlSet\Services"
_DISABLED = 4  # SERVICE_DISABLED
_DRIVERS = {"UWF": ("uwfvol", "uwfrtl"), "EWF": ("ewf",), "FBWF": ("fbwf",)}
_TOOLS = {"UWF": "uwfmgr.exe", "EWF": "ewfapi.dll", "FBWF": "fbwflib.dll"}
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


def kinds_seen(registry: Registry, folder: str) -> List[str]:
    """The filters that this Windows has: a driver that is not disabled in the registry, or the tool in ``folder``.

    Where the registry refuses to show the drivers, the tool decides.
    """
    found = []
    for kind, drivers in _DRIVERS.items():
        if os.path.isfile(os.path.join(folder, _TOOLS[kind])) or any(_is_driver(registry, one) for one in drivers):
            found.append(kind)
    return found


def has_tool(kind: str) -> bool:
    """Whether this Windows has the program or library that answers for a filter. A driver alone may be a remnant."""
    return os.path.isfile(os.path.join(windows_calls.system_folder(), _TOOLS[kind]))


def _is_driver(registry: Registry, name: str) -> bool:
    try:
        values = registry.values("%s\\%s" % (_SERVICES, name))
    except OSError:
        return False
    start = next((value for key, value in values.items() if key.lower() == "start"), None)
    return isinstance(start, int) and start != _DISABLED


def filters_of(volume: str, registry: Optional[Registry] = None) -> Tuple[WriteFilter, ...]:
    """The filters of this Windows, each with its state for a volume (``C:``). One that does not answer has None."""
    kinds = kinds_seen(registry or RunningRegistry(), windows_calls.system_folder())
    return tuple(WriteFilter(kind, _asked(_ASK[kind], volume)) for kind in kinds)


def _asked(ask: Callable[[str], Optional[bool]], volume: str) -> Optional[bool]:
    """A driver without its library, or a library without its functions, gives no answer."""
    try:
        return ask(volume)
    except (OSError, AttributeError):
        return None


def _uwf_protects(volume: str) -> Optional[bool]:
    """Ask the filter's own tool, since only WMI answers otherwise."""
    tool = os.path.join(windows_calls.system_folder(), _TOOLS["UWF"])
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


_ASK: Dict[str, Callable[[str], Optional[bool]]] = {"UWF": _uwf_protects, "EWF": _ewf_protects, "FBWF": _fbwf_protects}
