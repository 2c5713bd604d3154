# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An SSH server made of paramiko for what OpenSSH can't be made to do: passwords, no extensions, hostile answers."""

# ruff: noqa: ARG002  # the interface is paramiko's
from __future__ import annotations

import os
import socket
import struct
import threading
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import paramiko
from engine.storage.sftp import packets as wire

from .proxy import accepted

PASSWORD = "a password, never to be shown: 4711"
DIRECTORY, FILE, LINK = 0o040755, 0o100644, 0o120777


class PasswordServer(paramiko.ServerInterface):  # type: ignore[misc]  # paramiko has no types
    def __init__(self, interactive: bool) -> None:
        self._interactive = interactive

    def get_allowed_auths(self, username: str) -> str:
        return "keyboard-interactive" if self._interactive else "password"

    def check_auth_password(self, username: str, password: str) -> int:
        return int(paramiko.AUTH_SUCCESSFUL if password == PASSWORD else paramiko.AUTH_FAILED)

    def check_auth_interactive(self, username: str, submethods: str) -> Any:
        return paramiko.InteractiveQuery("", "", ("Password: ", False))

    def check_auth_interactive_response(self, responses: List[str]) -> int:
        return int(paramiko.AUTH_SUCCESSFUL if list(responses) == [PASSWORD] else paramiko.AUTH_FAILED)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.OPEN_SUCCEEDED)


def attributes(mode: int, size_bytes: int = 0) -> bytes:
    return struct.pack(">IQI", 0x05, size_bytes, mode)


def status(code: int, text: bytes = b"as the stub likes") -> Tuple[int, bytes]:
    return wire.STATUS, wire.number(code) + wire.string(text) + wire.string(b"")


def names(*found: Tuple[bytes, int, int]) -> Tuple[int, bytes]:
    rows = b"".join(wire.string(name) + wire.string(b"") + attributes(mode, size) for name, mode, size in found)
    return wire.NAME, wire.number(len(found)) + rows


Answer = Optional[Tuple[int, bytes]]
Handler = Callable[["Stub", bytes], Answer]


def _opened(dummy_stub: Stub, dummy_body: bytes) -> Answer:
    return wire.HANDLE, wire.string(b"handle")


class Stub(paramiko.SubsystemHandler):  # type: ignore[misc]  # paramiko has no types
    """Answers SFTP requests from ``handlers`` by kind; the root is a directory, the rest a file of 100 bytes."""

    handlers: Dict[int, Handler] = {}
    extensions: Tuple[bytes, ...] = ()
    root = b"/images"

    def start_subsystem(self, name: str, transport: Any, channel: Any) -> None:
        self.channel = channel
        defaults: Dict[int, Handler] = {
            wire.STAT: lambda stub, body: (wire.ATTRS, attributes(DIRECTORY)),
            wire.LSTAT: lambda stub, body: (wire.ATTRS, attributes(FILE, 100)),
            wire.OPEN: _opened,
            wire.OPENDIR: _opened,
            wire.CLOSE: lambda stub, body: status(wire.OK),
            wire.READDIR: lambda stub, body: status(wire.EOF),
        }
        while True:
            head = self._take(4)
            data = self._take(struct.unpack(">I", head)[0]) if head else b""
            if not data:
                return
            if data[0] == wire.INIT:
                offered = b"".join(wire.string(name) + wire.string(b"1") for name in self.extensions)
                self.send(wire.VERSION, wire.number(3) + offered)
                continue
            handler = self.handlers.get(data[0], defaults.get(data[0], lambda stub, body: status(8)))
            answer = handler(self, data[5:])
            if answer is not None:
                self.send(answer[0], data[1:5] + answer[1])

    def send(self, kind: int, body: bytes) -> None:
        self.channel.sendall(struct.pack(">IB", len(body) + 1, kind) + body)

    def _take(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            piece = self.channel.recv(length - len(data))
            if not piece:
                return b""
            data += piece
        return data


class StubServer:
    """Listens on loopback; ``subsystem`` answers SFTP."""

    def __init__(
        self,
        subsystem: Any = Stub,
        arguments: Tuple[Any, ...] = (),
        interactive: bool = False,
        calls_itself: str = "SSH-2.0-Stub_1.0",
    ) -> None:
        self._calls_itself = calls_itself
        self._key = paramiko.ECDSAKey.generate()
        self._subsystem = (subsystem, *arguments)
        self._interactive = interactive
        self._transports: List[Any] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        for client in accepted(self._listener):
            transport = paramiko.Transport(client)
            transport.local_version = self._calls_itself
            transport.add_server_key(self._key)
            transport.set_subsystem_handler("sftp", *self._subsystem)
            self._transports.append(transport)
            try:
                transport.start_server(server=PasswordServer(self._interactive))
            except (paramiko.SSHException, EOFError):
                continue

    def settings(self, path: str = "/images", **more: Any) -> Dict[str, Any]:
        settings = {
            "url": "sftp://127.0.0.1:%d%s" % (self.port, path),
            "username": "line3",
            "password": PASSWORD,
            "host_key": "accept-new",
        }
        settings.update(more)
        return settings

    def __enter__(self) -> StubServer:
        return self

    def __exit__(self, *dummy: object) -> None:
        self._listener.close()
        for transport in self._transports:
            transport.close()


def plain_server(root: Path) -> StubServer:
    """A well-behaved server without any extension: what an old appliance offers."""
    return StubServer(paramiko.SFTPServer, (plain_files(root),))


def plain_files(root: Path) -> Any:
    """paramiko's file interface over ``root`` seen as ``/images``; its rename refuses what is there, as the draft says."""

    class Files(paramiko.SFTPServerInterface):  # type: ignore[misc]  # paramiko has no types
        def _local(self, path: str) -> str:
            return str(root) + os.path.normpath(path)[len("/images") :]

        def _try(self, call: Callable[[], Any]) -> Any:
            try:
                answer = call()
            except OSError as error:
                return paramiko.SFTPServer.convert_errno(error.errno)
            return paramiko.SFTP_OK if answer is None else answer

        def list_folder(self, path: str) -> Any:
            def rows() -> Any:
                return [
                    self._row(name, os.lstat(self._local(path + "/" + name))) for name in os.listdir(self._local(path))
                ]

            return self._try(rows)

        @staticmethod
        def _row(name: str, found: os.stat_result) -> Any:
            return paramiko.SFTPAttributes.from_stat(found, name)

        def stat(self, path: str) -> Any:
            return self._try(lambda: paramiko.SFTPAttributes.from_stat(os.stat(self._local(path))))

        def lstat(self, path: str) -> Any:
            return self._try(lambda: paramiko.SFTPAttributes.from_stat(os.lstat(self._local(path))))

        def open(self, path: str, flags: int, attr: Any) -> Any:
            def opened() -> Any:
                descriptor = os.open(self._local(path), flags, 0o600)
                file = os.fdopen(descriptor, "wb" if flags & os.O_WRONLY else "rb")
                handle = paramiko.SFTPHandle(flags)
                handle.readfile = handle.writefile = file
                return handle

            return self._try(opened)

        def remove(self, path: str) -> Any:
            return self._try(lambda: os.remove(self._local(path)))

        def rename(self, oldpath: str, newpath: str) -> Any:
            if os.path.lexists(self._local(newpath)):
                return paramiko.SFTP_FAILURE
            return self._try(lambda: os.rename(self._local(oldpath), self._local(newpath)))

        def mkdir(self, path: str, attr: Any) -> Any:
            return self._try(lambda: os.mkdir(self._local(path)))

        def rmdir(self, path: str) -> Any:
            return self._try(lambda: os.rmdir(self._local(path)))

    return Files
