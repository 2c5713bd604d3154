# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service manager of a Windows machine over its pipe [MS-SCMR]: the calls that one service needs."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple
from uuid import UUID

from .ndr import NdrReader, NdrWriter
from .rpc import CallRefused, Interface, Pipe, RpcClient

# [MS-SCMR 1.9]
SERVICE_CONTROL = Interface("svcctl", UUID("367abb81-9844-35f1-ad32-98f038001003"), 2)
# Operations [MS-SCMR 3.1.4].
_CLOSE, _CONTROL, _DELETE, _CHANGE, _CREATE, _OPEN_MANAGER, _OPEN, _CONFIG, _START, _STATUS = (
    *(0, 1, 2, 11, 12),
    *(15, 16, 17, 19, 40),
)
_CONNECT_AND_CREATE = 3  # SC_MANAGER_CONNECT, SC_MANAGER_CREATE_SERVICE [MS-SCMR 3.1.4]
# SERVICE_QUERY_CONFIG, CHANGE_CONFIG, QUERY_STATUS, START, STOP, and DELETE [MS-SCMR 3.1.4]
_WORK_WITH_IT = 0x1 | 0x2 | 0x4 | 0x10 | 0x20 | 0x10000
_OWN_PROCESS, _AUTOMATIC, _NORMAL = 0x10, 2, 1  # [MS-SCMR 2.2.15]
_NO_CHANGE = 0xFFFFFFFF
_STOP = 1
_STATUS_PROCESS = struct.Struct("<9I")  # SERVICE_STATUS_PROCESS [MS-SCMR 2.2.49]
_CONFIG_BYTES = 8192  # the most that a query may ask for [MS-SCMR 3.1.4.17]
_HANDLE_BYTES = 20  # a context handle [C706 14.2.16.6]

# Errors of Windows that callers tell apart [MS-ERREF 2.2].
ACCESS_DENIED = 5
ALREADY_RUNNING = 1056
CANNOT_ACCEPT = 1061
NOT_RUNNING = 1062
UNKNOWN_SERVICE = 1060
MARKED_FOR_DELETE = 1072
EXISTS = 1073


class State(IntEnum):
    """The state of a service [MS-SCMR 2.2.47]."""

    STOPPED = 1
    START_PENDING = 2
    STOP_PENDING = 3
    RUNNING = 4
    CONTINUE_PENDING = 5
    PAUSE_PENDING = 6
    PAUSED = 7


class ServiceStatus(NamedTuple):
    """The state of a service; ``exit_code`` is how it ended, an error of Windows."""

    state: State
    exit_code: int
    service_exit_code: int
    process_id: int


class ServiceConfig(NamedTuple):
    """The program that the service manager starts, and its account."""

    service_type: int
    start_type: int
    binary_path: str
    account: str
    display_name: str


class ServiceManager:
    """The service manager at the other end of a pipe."""

    def __init__(self, pipe: Pipe) -> None:
        """:raises CallRefused: when the user may not create services there."""
        self._rpc = RpcClient(pipe, SERVICE_CONTROL)
        stub = NdrWriter().optional_string(None).optional_string(None).numbers(_CONNECT_AND_CREATE).bytes()
        self._manager = self._handle_of(_OPEN_MANAGER, stub, "opening the service manager")

    def create(self, name: str, display_name: str, binary_path: str) -> Service:
        """Create a service that starts with Windows, as LocalSystem [MS-SCMR 3.1.4.12].

        :raises CallRefused: EXISTS, MARKED_FOR_DELETE, ...
        """
        stub = NdrWriter().raw(self._manager).string(name).optional_string(display_name)
        stub.numbers(_WORK_WITH_IT, _OWN_PROCESS, _AUTOMATIC, _NORMAL).string(binary_path)
        stub.optional_string(None).numbers(0)  # no group, no tag
        stub.numbers(0, 0).optional_string(None)  # depends on nothing; LocalSystem
        stub.numbers(0, 0)  # no password
        operation = "creating the service %s" % name
        answer = NdrReader(self._rpc.call(_CREATE, stub.bytes(), operation))
        tag = answer.number()
        if tag:
            answer.number()
        return Service(self._rpc, _checked_handle(answer, operation), name)

    def open(self, name: str) -> Service:
        """Open a service that exists. :raises CallRefused: UNKNOWN_SERVICE, ..."""
        stub = NdrWriter().raw(self._manager).string(name).numbers(_WORK_WITH_IT).bytes()
        return Service(self._rpc, self._handle_of(_OPEN, stub, "opening the service %s" % name), name)

    def close(self) -> None:
        _close(self._rpc, self._manager)

    def _handle_of(self, number: int, stub: bytes, operation: str) -> bytes:
        return _checked_handle(NdrReader(self._rpc.call(number, stub, operation)), operation)


class Service:
    """One service that was opened."""

    def __init__(self, rpc: RpcClient, handle: bytes, name: str) -> None:
        self._rpc = rpc
        self._handle = handle
        self._name = name

    def status(self) -> ServiceStatus:
        """[MS-SCMR 3.1.4.37]"""
        size = _STATUS_PROCESS.size
        answer = self._call(_STATUS, NdrWriter().raw(self._handle).numbers(0, size), "querying")
        content = answer.raw(_counted(answer, size))
        dummy_needed, code = answer.numbers(2)
        self._check(code, "querying")
        dummy, state, dummy, exit_code, own_code, dummy, dummy, process_id, dummy = _STATUS_PROCESS.unpack(content)
        return ServiceStatus(_state(answer, state), exit_code, own_code, process_id)

    def config(self) -> ServiceConfig:
        """[MS-SCMR 3.1.4.17]"""
        answer = self._call(_CONFIG, NdrWriter().raw(self._handle).numbers(_CONFIG_BYTES), "querying")
        kind, start, dummy, path, group, dummy, dependencies, account, display = answer.numbers(9)
        texts = [answer.string() if pointer else "" for pointer in (path, group, dependencies, account, display)]
        dummy_needed, code = answer.numbers(2)
        self._check(code, "querying")
        return ServiceConfig(kind, start, texts[0], texts[3], texts[4])

    def set_binary_path(self, binary_path: str) -> None:
        """Change what is started, and let it start with Windows [MS-SCMR 3.1.4.11].

        A removal that a loss of power ended leaves a service that Windows starts in no case.
        """
        stub = NdrWriter().raw(self._handle).numbers(_NO_CHANGE, _AUTOMATIC, _NO_CHANGE).optional_string(binary_path)
        stub.optional_string(None).numbers(0)  # no group, no tag
        stub.numbers(0, 0).optional_string(None)  # no dependencies; the account stays
        stub.numbers(0, 0).optional_string(None)  # no password; the display name stays
        answer = self._call(_CHANGE, stub, "changing")
        if answer.number():
            answer.number()
        self._check(answer.number(), "changing")

    def start(self) -> None:
        """[MS-SCMR 3.1.4.19] :raises CallRefused: ALREADY_RUNNING, or why it did not start."""
        self._check(self._call(_START, NdrWriter().raw(self._handle).numbers(0, 0), "starting").number(), "starting")

    def stop(self) -> None:
        """Ask it to stop [MS-SCMR 3.1.4.2]. :raises CallRefused: NOT_RUNNING; CANNOT_ACCEPT while it starts or stops."""
        answer = self._call(_CONTROL, NdrWriter().raw(self._handle).numbers(_STOP), "stopping")
        answer.numbers(7)  # SERVICE_STATUS
        self._check(answer.number(), "stopping")

    def delete(self) -> None:
        """Delete it; Windows does so when it has stopped and no handle to it is open [MS-SCMR 3.1.4.3]."""
        self._check(self._call(_DELETE, NdrWriter().raw(self._handle), "deleting").number(), "deleting")

    def close(self) -> None:
        _close(self._rpc, self._handle)

    def _call(self, number: int, stub: NdrWriter, operation: str) -> NdrReader:
        return NdrReader(self._rpc.call(number, stub.bytes(), "%s the service %s" % (operation, self._name)))

    def _check(self, code: int, operation: str) -> None:
        if code:
            raise CallRefused("%s the service %s" % (operation, self._name), code)


def _close(rpc: RpcClient, handle: bytes) -> None:
    rpc.call(_CLOSE, handle, "closing a handle")


def _checked_handle(answer: NdrReader, operation: str) -> bytes:
    """Return the handle that an answer ends in, in front of its error code."""
    handle = answer.raw(_HANDLE_BYTES)
    code = answer.number()
    if code:
        raise CallRefused(operation, code)
    return handle


def _counted(answer: NdrReader, expected: int) -> int:
    """Return the count in front of an array, which must be the one that was asked for [C706 14.3.3.2]."""
    count = answer.number()
    if count != expected:
        raise answer.invalid("an array of %d bytes instead of %d" % (count, expected))
    return expected


def _state(answer: NdrReader, number: int) -> State:
    try:
        return State(number)
    except ValueError:
        raise answer.invalid("the state %d of a service" % number) from None
