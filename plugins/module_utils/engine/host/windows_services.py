# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services of Windows, as one who installs them sees them: create, change, start, stop, delete, query.

Sources: OpenSCManager, CreateService (on quoted paths), ChangeServiceConfig, ChangeServiceConfig2 (SERVICE_FAILURE_ACTIONS,
SERVICE_FAILURE_ACTIONS_FLAG, SERVICE_DESCRIPTION), StartService, ControlService, DeleteService, QueryServiceStatusEx,
QueryServiceConfig.
"""

from __future__ import annotations

import contextlib
import ctypes
import struct
from typing import Any, Iterator, NamedTuple, Optional

from .windows_calls import failure, kernel32, last_error, system_library

STOPPED, START_PENDING, STOP_PENDING, RUNNING = 1, 2, 3, 4
NO_SUCH_SERVICE, MARKED_FOR_DELETION = 1060, 1072
ALREADY_RUNNING, CANNOT_ACCEPT, NOT_ACTIVE = 1056, 1061, 1062
_ALL_OF_MANAGER, _ALL_OF_SERVICE = 0xF003F, 0xF01FF
_OWN_PROCESS, _AUTOMATIC, _ERROR_NORMAL, _NO_CHANGE = 0x10, 2, 1, 0xFFFFFFFF
_DISABLED = 4  # SERVICE_DISABLED
_STOP_CONTROL = 1
_TERMINATE = 0x1  # PROCESS_TERMINATE
_DESCRIPTION, _FAILURE_ACTIONS, _FAILURE_ACTIONS_FLAG = 1, 2, 4
_RESTART = 1  # SC_ACTION_RESTART
_RESTART_MILLISECONDS, _FORGET_SECONDS, _RESTARTS = 60_000, 86_400, 3
_MOST_CONFIGURATION_BYTES = 8192


class Service(NamedTuple):
    """A service as Windows knows it."""

    state: int
    pid: int
    image: str


class _Actions(ctypes.Structure):
    """SERVICE_FAILURE_ACTIONSW."""

    _fields_ = (
        ("reset_seconds", ctypes.c_uint32),
        ("message", ctypes.c_wchar_p),
        ("command", ctypes.c_wchar_p),
        ("count", ctypes.c_uint32),
        ("actions", ctypes.c_void_p),
    )


class _Configuration(ctypes.Structure):
    """The head of QUERY_SERVICE_CONFIGW."""

    _fields_ = (
        ("kind", ctypes.c_uint32),
        ("start", ctypes.c_uint32),
        ("error", ctypes.c_uint32),
        ("image", ctypes.c_wchar_p),
    )


def create(name: str, display: str, description: str, image: str) -> None:
    """Create a service of LocalSystem that starts with Windows and again a minute after a crash.

    ``image`` is a command line whose program is quoted: else ``C:\\Program.exe`` could be started in its place.

    :raises OSError:
    """
    with _manager() as manager:
        call = system_library("advapi32").CreateServiceW
        call.restype = ctypes.c_void_p
        words = [ctypes.c_wchar_p(name), ctypes.c_wchar_p(display), _ALL_OF_SERVICE, _OWN_PROCESS, _AUTOMATIC]
        handle = call(manager, *words, _ERROR_NORMAL, ctypes.c_wchar_p(image), None, None, None, None, None)
        with _closed(handle) as service:
            _describe(service, description)


def change(name: str, image: str) -> None:
    """Let the service start another command line from its next start on, and with Windows. :raises OSError:

    A removal that a loss of power ended leaves a service that Windows starts in no case.
    """
    with _opened(name) as service:
        numbers = (_NO_CHANGE, _AUTOMATIC, _NO_CHANGE)
        call = system_library("advapi32").ChangeServiceConfigW
        _expect(call(service, *numbers, ctypes.c_wchar_p(image), None, None, None, None, None, None))


def set_automatic(name: str, is_automatic: bool) -> None:
    """Let Windows start the service when it starts, or start it in no case. :raises OSError:

    One that is marked for deletion can't be changed any more, and is not started again.
    """
    with _opened(name) as service:
        numbers = (_NO_CHANGE, _AUTOMATIC if is_automatic else _DISABLED, _NO_CHANGE)
        call = system_library("advapi32").ChangeServiceConfigW
        done = call(service, *numbers, None, None, None, None, None, None, None)
        if not done and last_error() != MARKED_FOR_DELETION:
            raise failure(last_error())


def describe(name: str, description: str) -> None:
    """Give a service what one that was made over the network lacks: its description, and its restart after a crash.

    :raises OSError:
    """
    with _opened(name) as service:
        _describe(service, description)


def start(name: str) -> None:
    """Start the service; one that runs is left alone. :raises OSError:"""
    with _opened(name) as service:
        if not system_library("advapi32").StartServiceW(service, 0, None) and last_error() != ALREADY_RUNNING:
            raise failure(last_error())


def stop(name: str) -> bool:
    """Ask the service to stop; one that does not run is left alone. :raises OSError:

    Return False for one that takes no orders, since it starts or stops: ask again.
    """
    status = ctypes.create_string_buffer(28)
    with _opened(name) as service:
        stopped = system_library("advapi32").ControlService(service, _STOP_CONTROL, status)
        if not stopped and last_error() == CANNOT_ACCEPT:
            return False
        if not stopped and last_error() != NOT_ACTIVE:
            raise failure(last_error())
    return True


def end_process(pid: int) -> None:
    """End the process of a service that takes no orders. :raises OSError:"""
    call = kernel32().OpenProcess
    call.restype = ctypes.c_void_p
    handle = call(_TERMINATE, False, pid)
    if not handle:
        raise failure(last_error())
    try:
        _expect(kernel32().TerminateProcess(ctypes.c_void_p(handle), 1))
    finally:
        kernel32().CloseHandle(ctypes.c_void_p(handle))


def delete(name: str) -> None:
    """Delete the service; Windows keeps the name until the last handle of it is closed. :raises OSError:"""
    with _opened(name) as service:
        if not system_library("advapi32").DeleteService(service) and last_error() != MARKED_FOR_DELETION:
            raise failure(last_error())


def query(name: str) -> Optional[Service]:
    """The service as Windows knows it, or None when there is none. :raises OSError:"""
    try:
        with _opened(name) as service:
            status, needed = ctypes.create_string_buffer(36), ctypes.c_uint32()
            _expect(
                system_library("advapi32").QueryServiceStatusEx(service, 0, status, len(status), ctypes.byref(needed))
            )
            numbers = struct.unpack("<9I", status.raw)
            room = ctypes.create_string_buffer(_MOST_CONFIGURATION_BYTES)
            _expect(system_library("advapi32").QueryServiceConfigW(service, room, len(room), ctypes.byref(needed)))
            image = _Configuration.from_buffer(room).image
            return Service(numbers[1], numbers[7], str(image))
    except OSError as error:
        if getattr(error, "winerror", None) == NO_SUCH_SERVICE:
            return None
        raise


def _describe(service: ctypes.c_void_p, description: str) -> None:
    """Restart it after a crash and after an end with a failure, as far as this Windows offers that."""
    call = system_library("advapi32").ChangeServiceConfig2W
    actions = (ctypes.c_uint32 * (2 * _RESTARTS))(*((_RESTART, _RESTART_MILLISECONDS) * _RESTARTS))
    place = ctypes.cast(actions, ctypes.c_void_p)
    call(service, _FAILURE_ACTIONS, ctypes.byref(_Actions(_FORGET_SECONDS, None, None, _RESTARTS, place)))
    call(service, _FAILURE_ACTIONS_FLAG, ctypes.byref(ctypes.c_uint32(1)))
    call(service, _DESCRIPTION, ctypes.byref(ctypes.c_wchar_p(description)))


def _expect(done: int) -> None:
    if not done:
        raise failure(last_error())


@contextlib.contextmanager
def _closed(handle: Any) -> Iterator[ctypes.c_void_p]:
    if not handle:
        raise failure(last_error())
    try:
        yield ctypes.c_void_p(handle)
    finally:
        system_library("advapi32").CloseServiceHandle(ctypes.c_void_p(handle))


@contextlib.contextmanager
def _manager() -> Iterator[ctypes.c_void_p]:
    call = system_library("advapi32").OpenSCManagerW
    call.restype = ctypes.c_void_p
    with _closed(call(None, None, _ALL_OF_MANAGER)) as manager:
        yield manager


@contextlib.contextmanager
def _opened(name: str) -> Iterator[ctypes.c_void_p]:
    with _manager() as manager:
        call = system_library("advapi32").OpenServiceW
        call.restype = ctypes.c_void_p
        with _closed(call(manager, ctypes.c_wchar_p(name), _ALL_OF_SERVICE)) as service:
            yield service
