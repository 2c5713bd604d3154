# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The system calls of Windows that the engine makes: the only place that loads a Windows library.

Each function answers with plain values, so that a test replaces the answer of a system that is not there. The sources are
the pages of the Windows API that the docstrings name; structures are those of winnt.h, winioctl.h and ntifs.h.
A library is loaded at the first call, so that every system can import the file.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import os
import struct
from typing import Any, Optional, Tuple, Union

_SYNCHRONIZE = 0x100000
_QUERY_LIMITED = 0x1000  # PROCESS_QUERY_LIMITED_INFORMATION: Vista and newer
_WAIT_TIMEOUT = 0x102
_ERROR_INVALID_PARAMETER = 87  # OpenProcess: no process has this number
_TIME_OF_DAY = 3  # SystemTimeOfDayInformation
_PROCESS_IO_PRIORITY = 33  # ProcessIoPriority
_PROCESS_PAGE_PRIORITY = 39  # ProcessPagePriority
_IDLE_PRIORITY_CLASS = 0x40
_NO_FAULT_BOXES = 0x8003  # SEM_FAILCRITICALERRORS, SEM_NOGPFAULTERRORBOX, SEM_NOOPENFILEERRORBOX
_RSMB = 0x52534D42
_LOCK_EXCLUSIVE_NOW = 3  # LOCKFILE_FAIL_IMMEDIATELY, LOCKFILE_EXCLUSIVE_LOCK
_LOCK_SHARED_NOW = 1  # LOCKFILE_FAIL_IMMEDIATELY
_ERROR_LOCK_VIOLATION = 33
_MOST_FIRMWARE_BYTES = 1 << 20
_KEY_READ_64 = 0x20019 | 0x100  # KEY_READ, KEY_WOW64_64KEY
RegistryValue = Union[str, int, bytes, None]


@functools.lru_cache(maxsize=None)
def _library(name: str) -> Any:
    """A library of Windows, never one beside the program. Its calls leave their error in :func:`last_error`."""
    load = ctypes.WinDLL  # type: ignore[attr-defined,unused-ignore]
    return load(name, use_last_error=True, winmode=0x800)  # LOAD_LIBRARY_SEARCH_SYSTEM32


def kernel32() -> Any:
    """The library of the system's own calls."""
    return _library("kernel32")


def system_library(name: str) -> Any:
    """A library that only some editions of Windows have. :raises OSError:"""
    return _library(name)


def last_error() -> int:
    """The error of this thread's last call."""
    return int(ctypes.get_last_error())  # type: ignore[attr-defined,unused-ignore]


def failure(code: int) -> OSError:
    """The error of Windows with this number, with the errno that Python gives it."""
    return ctypes.WinError(code)  # type: ignore[attr-defined,unused-ignore,no-any-return]


def system_folder() -> str:
    """Where the programs and libraries of Windows itself are: they are named in full, so that no other one is taken."""
    return os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32")


def process_created(pid: int) -> Optional[int]:
    """When the running process ``pid`` was created, in units of 100 ns since 1601 [GetProcessTimes].

    The answer is 0 when no process of this number runs, and None when Windows does not let this user ask.
    """
    library = kernel32()
    library.OpenProcess.restype = ctypes.c_void_p
    handle = library.OpenProcess(_SYNCHRONIZE | _QUERY_LIMITED, False, pid)
    if not handle:
        return 0 if last_error() == _ERROR_INVALID_PARAMETER else None
    try:
        if library.WaitForSingleObject(ctypes.c_void_p(handle), 0) != _WAIT_TIMEOUT:
            return 0  # it has ended, and another process holds a handle of it
        times = [ctypes.c_ulonglong() for dummy in range(4)]
        done = library.GetProcessTimes(ctypes.c_void_p(handle), *[ctypes.byref(one) for one in times])
        return times[0].value if done else None
    finally:
        library.CloseHandle(ctypes.c_void_p(handle))


def boot_time() -> int:
    """When the system started, in units of 100 ns since 1601 [NtQuerySystemInformation]; 0 if Windows does not tell.

    Setting the clock moves it.
    """
    answer = ctypes.create_string_buffer(48)
    failed = _library("ntdll").NtQuerySystemInformation(_TIME_OF_DAY, answer, len(answer), None)
    return 0 if failed else int(struct.unpack_from("<q", answer.raw)[0])


def registry(path: str, name: str) -> RegistryValue:
    """A value below HKEY_LOCAL_MACHINE, in the view of 64 bits [RegQueryValueEx], or None when it can't be read."""
    winreg = importlib.import_module("winreg")
    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path, 0, _KEY_READ_64) as key:
            value = winreg.QueryValueEx(key, name)[0]
    except OSError:
        return None
    return value if isinstance(value, (str, int, bytes)) else None


def firmware_table() -> bytes:
    """The tables of SMBIOS, with their head of 8 bytes [GetSystemFirmwareTable, RSMB]; empty when there are none."""
    library = kernel32()
    size = library.GetSystemFirmwareTable(_RSMB, 0, None, 0)
    if not 0 < size <= _MOST_FIRMWARE_BYTES:
        return b""
    table = ctypes.create_string_buffer(size)
    got = library.GetSystemFirmwareTable(_RSMB, 0, table, size)
    return table.raw[: min(got, size)]


def take_idle_class() -> bool:
    """Put the process into the class idle: all its threads yield the processor [SetPriorityClass]."""
    library = kernel32()
    library.GetCurrentProcess.restype = ctypes.c_void_p
    process = ctypes.c_void_p(library.GetCurrentProcess())
    return bool(library.SetPriorityClass(process, _IDLE_PRIORITY_CLASS))


def take_lowest_input_output() -> bool:
    """Very low I/O priority for all threads of the process, those of libraries too [NtSetInformationProcess]."""
    return _set_process(_PROCESS_IO_PRIORITY, 0)


def take_lowest_memory() -> bool:
    """The process's pages are the first that Windows takes when memory is short [NtSetInformationProcess]."""
    return _set_process(_PROCESS_PAGE_PRIORITY, 1)


def _set_process(kind: int, value: int) -> bool:
    library = kernel32()
    library.GetCurrentProcess.restype = ctypes.c_void_p
    number = ctypes.c_ulong(value)
    process = ctypes.c_void_p(library.GetCurrentProcess())
    return bool(_library("ntdll").NtSetInformationProcess(process, kind, ctypes.byref(number), 4) == 0)


def show_no_dialogs() -> None:
    """A crash ends the process: no dialog waits on the screen [SetErrorMode]."""
    kernel32().SetErrorMode(_NO_FAULT_BOXES)


def lock_byte(descriptor: int, offset_bytes: int, exclusive: bool = True) -> bool:
    """Lock one byte of an open file, which may lie past its end; False when another handle has it [LockFileEx].

    :raises OSError: when Windows refuses it for another reason.
    """
    place = ctypes.create_string_buffer(_overlapped_at(offset_bytes))
    kind = _LOCK_EXCLUSIVE_NOW if exclusive else _LOCK_SHARED_NOW
    if kernel32().LockFileEx(_handle_of(descriptor), kind, 0, 1, 0, place):
        return True
    if last_error() == _ERROR_LOCK_VIOLATION:
        return False
    raise failure(last_error())


def unlock_byte(descriptor: int, offset_bytes: int) -> None:
    """Let go of the byte that :func:`lock_byte` locked [UnlockFileEx]. :raises OSError:"""
    place = ctypes.create_string_buffer(_overlapped_at(offset_bytes))
    if not kernel32().UnlockFileEx(_handle_of(descriptor), 0, 1, 0, place):
        raise failure(last_error())


def _handle_of(descriptor: int) -> ctypes.c_void_p:
    return ctypes.c_void_p(importlib.import_module("msvcrt").get_osfhandle(descriptor))


def _overlapped_at(offset_bytes: int) -> bytes:
    """OVERLAPPED with a place and no event."""
    pointer = struct.calcsize("P")
    return bytes(2 * pointer) + struct.pack("<Q", offset_bytes) + bytes(pointer)


def version() -> Tuple[int, int, int]:
    """Major, minor and build of Windows, independent of the program's manifest [RtlGetVersion]."""
    answer = ctypes.create_string_buffer(struct.pack("<I", 276), 276)  # OSVERSIONINFOW
    _library("ntdll").RtlGetVersion(answer)
    major, minor, build = struct.unpack_from("<III", answer.raw, 4)
    return major, minor, build


def product_type() -> int:
    """The kind of this Windows: 1 workstation, 2 domain controller, 3 server [RtlGetVersion with OSVERSIONINFOEXW]; 0 for no answer."""
    answer = ctypes.create_string_buffer(struct.pack("<I", 284), 284)
    return 0 if _library("ntdll").RtlGetVersion(answer) else answer.raw[282]


def memory_bytes() -> int:
    """The memory that Windows uses [GlobalMemoryStatusEx]; 0 if it does not tell."""
    answer = ctypes.create_string_buffer(struct.pack("<I", 64), 64)  # MEMORYSTATUSEX
    done = kernel32().GlobalMemoryStatusEx(answer)
    return int(struct.unpack_from("<Q", answer.raw, 8)[0]) if done else 0


def is_administrator() -> bool:
    """Whether this process has the rights of an administrator, not a token that UAC filtered [IsUserAnAdmin]."""
    return bool(_library("shell32").IsUserAnAdmin())


def is_wine() -> bool:
    """Whether this is Wine, which answers many calls in its own way: only its ntdll has this function."""
    return hasattr(_library("ntdll"), "wine_get_version")
