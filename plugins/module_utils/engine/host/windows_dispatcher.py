# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The side of a service towards Windows' service manager: the dispatcher, states, and orders to stop.

Windows waits 30 seconds for StartServiceCtrlDispatcher, so this file needs the standard library alone.
Sources: "Service Main Function", "Service Control Handler Function", HandlerEx, SetServiceStatus, SERVICE_STATUS.
"""

from __future__ import annotations

import ctypes
import threading
from typing import Any, Callable, List

from .windows_calls import failure, last_error, system_library

_OWN_PROCESS = 0x10  # SERVICE_WIN32_OWN_PROCESS
_STOPPED, _START_PENDING, _STOP_PENDING, _RUNNING = 1, 2, 3, 4
_STOP, _INTERROGATE, _SHUTDOWN, _PRESHUTDOWN = 1, 4, 5, 0xF
_ACCEPTED = 0x1 | 0x4 | 0x100  # SERVICE_ACCEPT_STOP, _SHUTDOWN, _PRESHUTDOWN
_NO_ERROR, _CALL_NOT_IMPLEMENTED, _SERVICE_SPECIFIC_ERROR = 0, 120, 1066
_HINT_MILLISECONDS = 30_000


class _Status(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_uint32)
        for name in ("kind", "state", "accepted", "exit", "specific_exit", "checkpoint", "wait_milliseconds")
    )


class Session:
    """One life of the service: what it tells Windows, and what Windows asks of it."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.is_shutdown = False
        self._handle: Any = None
        self._status = _Status(_OWN_PROCESS, _START_PENDING, 0, 0, 0, 0, _HINT_MILLISECONDS)
        self._lock = threading.RLock()  # from the look at the state to the report of it: another thread reports too

    def attach(self, handle: Any) -> None:
        """Take the handle that Windows gives with the handler, and say that the service starts."""
        self._handle = handle
        self.still_busy()

    def running(self) -> None:
        """Say that the service takes orders from now on, unless it was ordered to end."""
        with self._lock:
            if self._status.state == _START_PENDING:
                self._tell(_RUNNING)

    def still_busy(self) -> None:
        """Say that a start or a stop continues: without it Windows gives up after the time of the last report."""
        with self._lock:
            if self._status.state in (_START_PENDING, _STOP_PENDING):
                self._tell(self._status.state)

    def ended(self, failed: bool) -> None:
        """Say that the service has ended: its process may be ended at any time after that."""
        self._tell(_STOPPED, _SERVICE_SPECIFIC_ERROR if failed else _NO_ERROR)

    def order(self, control: int) -> int:
        """Carry out what Windows asks, and return the answer of the handler."""
        if control in (_STOP, _SHUTDOWN, _PRESHUTDOWN):
            self.is_shutdown = control != _STOP
            self._tell(_STOP_PENDING)
            self.stop.set()
        elif control == _INTERROGATE:
            self._repeat()
        else:
            return _CALL_NOT_IMPLEMENTED
        return _NO_ERROR

    def _tell(self, state: int, exit_status: int = _NO_ERROR) -> None:
        with self._lock:
            status = self._status
            is_pending = state in (_START_PENDING, _STOP_PENDING)
            status.checkpoint = status.checkpoint + 1 if is_pending else 0
            status.state, status.exit, status.specific_exit = state, exit_status, int(exit_status != _NO_ERROR)
            status.accepted = _ACCEPTED if state == _RUNNING else 0
            status.wait_milliseconds = _HINT_MILLISECONDS if is_pending else 0
            self._repeat()

    def _repeat(self) -> None:
        with self._lock:
            system_library("advapi32").SetServiceStatus(ctypes.c_void_p(self._handle), ctypes.byref(self._status))


def dispatch(name: str, work: Callable[[Session], bool]) -> None:
    """Give this thread to the service manager, which calls ``work`` in another one; return when the service has ended.

    ``work`` returns whether the service ends as ordered.

    :raises OSError: 1063 when the process was not started by the service manager.
    """
    function = ctypes.WINFUNCTYPE  # type: ignore[attr-defined,unused-ignore]
    text = ctypes.c_wchar_p
    main_type = function(None, ctypes.c_uint32, ctypes.POINTER(text))
    handler_type = function(ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_void_p)

    class Entry(ctypes.Structure):
        """SERVICE_TABLE_ENTRYW."""

        _fields_ = (("name", text), ("main", main_type))

    session = Session()
    handler = handler_type(lambda control, dummy_type, dummy_data, dummy_context: session.order(control))
    register = system_library("advapi32").RegisterServiceCtrlHandlerExW
    register.restype, register.argtypes = ctypes.c_void_p, (text, handler_type, ctypes.c_void_p)
    failures: List[BaseException] = []

    def main(dummy_count: int, dummy_words: Any) -> None:
        session.attach(register(name, handler, None))
        is_good = False
        try:
            is_good = work(session)
        except BaseException as error:
            failures.append(error)
        session.ended(failed=not is_good)

    table = (Entry * 2)(Entry(name, main_type(main)), Entry(None, main_type()))
    if not system_library("advapi32").StartServiceCtrlDispatcherW(table):
        raise failure(last_error())
    if failures:
        raise failures[0]
