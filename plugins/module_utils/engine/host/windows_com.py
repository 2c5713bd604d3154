# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of the Component Object Model: the start of COM in this process, and methods of an interface by their slots.

Sources: CoInitializeEx, CoInitializeSecurity, SysFreeString of the Windows API. An interface is a pointer to a pointer to a table
of functions; the first three are those of IUnknown.
"""

from __future__ import annotations

import ctypes
import uuid
from typing import Any, Sequence

from .windows_calls import system_library

_MULTITHREADED = 0
_CHANGED_MODE = (
    0x80010106  # RPC_E_CHANGED_MODE: another library of this thread started COM in its own way, which serves as well
)
_TOO_LATE = 0x80010119  # RPC_E_TOO_LATE: the security of this process is set
_PACKET_PRIVACY = 6  # RPC_C_AUTHN_LEVEL_PKT_PRIVACY
_IMPERSONATE = 3  # RPC_C_IMP_LEVEL_IMPERSONATE
_RELEASE = 2
_FAILED = 0x80000000


class Guid(ctypes.Structure):
    """A GUID, which the calls of Windows also take by value."""

    _fields_ = (
        ("first", ctypes.c_uint32),
        ("second", ctypes.c_uint16),
        ("third", ctypes.c_uint16),
        ("rest", ctypes.c_ubyte * 8),
    )


def guid_of(value: uuid.UUID) -> Guid:
    return Guid.from_buffer_copy(value.bytes_le)


def uuid_of(value: Guid) -> uuid.UUID:
    return uuid.UUID(bytes_le=bytes(value))


def has_failed(code: int) -> bool:
    """Whether an HRESULT is an error."""
    return bool(code & _FAILED)


def start_com() -> int:
    """Start COM in this thread and set the security of this process; return the HRESULT of what failed, 0 for none.

    Writers call the requester back: without the second call Windows refuses some of them.
    """
    library = system_library("ole32")
    code = int(library.CoInitializeEx(None, _MULTITHREADED)) & 0xFFFFFFFF
    if has_failed(code) and code != _CHANGED_MODE:
        return code
    secure = library.CoInitializeSecurity
    secure.argtypes = [
        *(ctypes.c_void_p, ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p),
        *(ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p),
    ]
    code = int(secure(None, -1, None, None, _PACKET_PRIVACY, _IMPERSONATE, None, 0, None)) & 0xFFFFFFFF
    return code if has_failed(code) and code != _TOO_LATE else 0


def call_method(pointer: ctypes.c_void_p, slot: int, types: Sequence[Any], arguments: Sequence[Any]) -> int:
    """Call a method of an interface and return its HRESULT, as a number without a sign."""
    table = ctypes.cast(pointer, ctypes.POINTER(ctypes.POINTER(ctypes.c_void_p)))[0]
    prototype = ctypes.WINFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, *types)  # type: ignore[attr-defined,unused-ignore]
    return int(prototype(table[slot])(pointer, *arguments)) & 0xFFFFFFFF


def release(pointer: ctypes.c_void_p) -> None:
    """Give an interface back."""
    call_method(pointer, _RELEASE, (), ())


def take_text(pointer: ctypes.c_void_p) -> str:
    """The text of a BSTR that the caller has to free, which this does."""
    if not pointer.value:
        return ""
    text = ctypes.wstring_at(pointer.value)
    library = system_library("oleaut32")
    library.SysFreeString.argtypes = [ctypes.c_void_p]
    library.SysFreeString.restype = None
    library.SysFreeString(pointer)
    return text
