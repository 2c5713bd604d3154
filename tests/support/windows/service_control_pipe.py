# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pipe of a service manager [MS-SCMR] for tests: what it answers comes from a manager behind it."""

from __future__ import annotations

import os
import struct
from typing import Any, Dict, List, Optional, Protocol, Tuple
from uuid import UUID

from support.windows.rpc_server import Served, Stub, ndr_string

UUID_OF_SVCCTL = UUID("367abb81-9844-35f1-ad32-98f038001003").bytes_le


class Manager(Protocol):
    """A service manager: each call returns an error of Windows, 0 for success, and what it found."""

    def call(self, do: str, name: str, **more: Any) -> Tuple[int, List[int], Dict[str, Any]]:
        """``do`` is create, open, start, stop, delete, query, config or change."""


class ServiceControlPipe:
    """The operations of one connection; ``refuse_all`` answers the first with an error."""

    def __init__(self, manager: Manager, refuse_all: int = 0) -> None:
        self._manager = manager
        self._refuse_all = refuse_all
        self._open: Dict[bytes, str] = {}

    def served(self) -> Served:
        operations = {0: self._close, 1: self._control, 2: self._delete, 11: self._change, 12: self._create}
        operations.update({15: self._open_manager, 16: self._open_service, 17: self._config})
        operations.update({19: self._start, 40: self._status})
        return Served(UUID_OF_SVCCTL, 2, operations)

    def _handle(self, name: str) -> bytes:
        handle = b"\0\0\0\0" + os.urandom(16)
        self._open[handle] = name
        return handle

    def _named(self, stub: Stub) -> str:
        return self._open[stub.raw(20)]

    def _open_manager(self, data: bytes) -> bytes:
        stub = Stub(data)
        assert (stub.optional_string(), stub.optional_string()) == (None, None)
        assert stub.number() == 3
        if self._refuse_all:
            return bytes(20) + _error(self._refuse_all)
        return self._handle("") + _error(0)

    def _create(self, data: bytes) -> bytes:
        stub = Stub(data)
        assert self._named(stub) == ""
        name, display_name = stub.string(), stub.optional_string()
        numbers = [stub.number() for dummy in range(4)]
        path = stub.string()
        rest = [stub.optional_string(), stub.number(), stub.number(), stub.number(), stub.optional_string()]
        assert rest == [None, 0, 0, 0, None]
        assert (stub.number(), stub.number()) == (0, 0)
        code = self._manager.call("create", name, display=display_name, path=path, numbers=numbers)[0]
        return struct.pack("<I", 0) + (bytes(20) if code else self._handle(name)) + _error(code)

    def _open_service(self, data: bytes) -> bytes:
        stub = Stub(data)
        assert self._named(stub) == ""
        name = stub.string()
        code = self._manager.call("open", name)[0]
        return (bytes(20) if code else self._handle(name)) + _error(code)

    def _start(self, data: bytes) -> bytes:
        stub = Stub(data)
        name = self._named(stub)
        assert (stub.number(), stub.number()) == (0, 0)
        return _error(self._manager.call("start", name)[0])

    def _control(self, data: bytes) -> bytes:
        stub = Stub(data)
        name = self._named(stub)
        assert stub.number() == 1
        code, status, dummy = self._manager.call("stop", name)
        return struct.pack("<7I", *(status + [0] * 7)[:7]) + _error(code)

    def _delete(self, data: bytes) -> bytes:
        return _error(self._manager.call("delete", self._named(Stub(data)))[0])

    def _status(self, data: bytes) -> bytes:
        stub = Stub(data)
        name = self._named(stub)
        assert (stub.number(), stub.number()) == (0, 36)
        code, status, dummy = self._manager.call("query", name)
        return struct.pack("<I9II", 36, *(status + [0] * 9)[:9], 0) + _error(code)

    def _config(self, data: bytes) -> bytes:
        stub = Stub(data)
        name = self._named(stub)
        assert stub.number() <= 8192
        code, dummy, config = self._manager.call("config", name)
        texts: List[Optional[str]] = [config.get("path", ""), None, None, "LocalSystem", config.get("display", "")]
        pointers = [0 if text is None else 0x20000 + 4 * at for at, text in enumerate(texts)]
        answer = struct.pack("<9I", 0x10, 2, 1, pointers[0], pointers[1], 0, *pointers[2:])
        return answer + b"".join(ndr_string(text) for text in texts if text is not None) + _error(0) + _error(code)

    def _change(self, data: bytes) -> bytes:
        stub = Stub(data)
        name = self._named(stub)
        assert [stub.number() for dummy in range(3)] == [0xFFFFFFFF, 2, 0xFFFFFFFF]
        path = stub.optional_string()
        return _error(0) + _error(self._manager.call("change", name, path=path)[0])

    def _close(self, data: bytes) -> bytes:
        self._open.pop(data[:20], None)
        return bytes(20) + _error(0)


def _error(code: int) -> bytes:
    return struct.pack("<I", code)
