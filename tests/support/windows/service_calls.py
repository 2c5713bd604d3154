# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands calls to the service manager of Windows: a JSON array a line in, one a line out. Runs in the double.

It also keeps the prefix up, whose services end with the last program that is not one.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any, Dict, List, Tuple

_LIBRARY = ctypes.WinDLL("advapi32", use_last_error=True)  # type: ignore[attr-defined]
_TEXT, _NUMBER, _HANDLE = ctypes.c_wchar_p, ctypes.c_uint32, ctypes.c_void_p
_LIBRARY.OpenSCManagerW.restype = _HANDLE
_LIBRARY.OpenSCManagerW.argtypes = [_TEXT, _TEXT, _NUMBER]
_LIBRARY.CreateServiceW.restype = _HANDLE
_LIBRARY.CreateServiceW.argtypes = [
    *(_HANDLE, _TEXT, _TEXT, _NUMBER, _NUMBER, _NUMBER, _NUMBER, _TEXT),
    *(_TEXT, _HANDLE, _TEXT, _TEXT, _TEXT),
]
_LIBRARY.OpenServiceW.restype = _HANDLE
_LIBRARY.OpenServiceW.argtypes = [_HANDLE, _TEXT, _NUMBER]
_LIBRARY.StartServiceW.argtypes = [_HANDLE, _NUMBER, _HANDLE]
_LIBRARY.QueryServiceStatusEx.argtypes = [_HANDLE, _NUMBER, _HANDLE, _NUMBER, _HANDLE]
_LIBRARY.ControlService.argtypes = [_HANDLE, _NUMBER, _HANDLE]
_LIBRARY.ChangeServiceConfigW.argtypes = [_HANDLE, _NUMBER, _NUMBER, _NUMBER, *[_TEXT] * 2, _HANDLE, *[_TEXT] * 4]
_LIBRARY.QueryServiceConfigW.argtypes = [_HANDLE, _HANDLE, _NUMBER, _HANDLE]
_LIBRARY.DeleteService.argtypes = _LIBRARY.CloseServiceHandle.argtypes = [_HANDLE]
_ALL_OF_MANAGER, _ALL_OF_SERVICE = 0xF003F, 0xF01FF
_AUTOMATIC, _DISABLED, _NO_CHANGE = 2, 4, 0xFFFFFFFF
_Answer = Tuple[int, List[int], Dict[str, Any]]


class _Config(ctypes.Structure):
    _fields_ = [
        *(("kind", _NUMBER), ("start", _NUMBER), ("control", _NUMBER), ("path", _TEXT), ("group", _TEXT)),
        *(("tag", _NUMBER), ("dependencies", _TEXT), ("account", _TEXT), ("display", _TEXT)),
    ]


def _last() -> int:
    return int(ctypes.get_last_error())  # type: ignore[attr-defined]


def _create(manager: int, name: str, more: Dict[str, Any]) -> int:
    dummy_access, kind, start, control = more["numbers"]
    made: int = _LIBRARY.CreateServiceW(
        *(manager, name, more["display"], _ALL_OF_SERVICE, kind, start, control, more["path"]),
        *(None, None, None, None, None),
    )
    return made


def _work(service: int, do: str, more: Dict[str, Any]) -> _Answer:
    status, needed = (_NUMBER * 9)(), _NUMBER()
    found: Dict[str, Any] = {}
    done = 1
    if do == "start":
        done = _LIBRARY.StartServiceW(service, 0, None)
    elif do == "stop":
        done = _LIBRARY.ControlService(service, 1, status)
    elif do == "delete":
        done = _LIBRARY.DeleteService(service)
    elif do == "query":
        done = _LIBRARY.QueryServiceStatusEx(service, 0, status, ctypes.sizeof(status), ctypes.byref(needed))
    elif do == "change":
        done = _LIBRARY.ChangeServiceConfigW(
            *(service, _NO_CHANGE, _AUTOMATIC, _NO_CHANGE, more["path"], None, None),
            *(None, None, None, None),
        )
    elif do == "disable":
        done = _LIBRARY.ChangeServiceConfigW(
            *(service, _NO_CHANGE, _DISABLED, _NO_CHANGE, None, None, None),
            *(None, None, None, None),
        )
    elif do == "config":
        buffer = ctypes.create_string_buffer(8192)
        done = _LIBRARY.QueryServiceConfigW(service, buffer, len(buffer), ctypes.byref(needed))
        config = ctypes.cast(buffer, ctypes.POINTER(_Config)).contents
        found = {"path": config.path, "display": config.display, "start": config.start} if done else {}
    return (0 if done else _last()), list(status), found


def call(do: str, name: str, more: Dict[str, Any]) -> _Answer:
    """Carry out one call of a client."""
    manager = _LIBRARY.OpenSCManagerW(None, None, _ALL_OF_MANAGER)
    try:
        service = (
            _create(manager, name, more) if do == "create" else _LIBRARY.OpenServiceW(manager, name, _ALL_OF_SERVICE)
        )
        if not service:
            return _last(), [], {}
        try:
            return _work(service, do, more)
        finally:
            _LIBRARY.CloseServiceHandle(service)
    finally:
        _LIBRARY.CloseServiceHandle(manager)


for line in sys.stdin:
    asked = json.loads(line)
    sys.stdout.write(json.dumps(call(*asked)) + "\n")
    sys.stdout.flush()
