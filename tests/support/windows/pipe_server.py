# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Named pipes behind a real smbd: it hands a pipe that it does not serve to a socket below its ``ncalrpc dir``.

The handshake is Samba's named_pipe_auth (librpc/idl/named_pipe_auth.idl, level 7): a packet each way, then messages with
their length in front.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from pathlib import Path
from typing import Callable, List

from support.windows.rpc_server import RpcServer, Served

_MESSAGE_MODE, _ALL_STATES = 2, 0xFF | 0x0100 | 0x0400  # FILE_TYPE_MESSAGE_MODE_PIPE and its device state
_ALLOCATION_BYTES = 4096


class PipeServer:
    """Serves one pipe until :meth:`close`; ``serve`` makes what answers one connection."""

    def __init__(self, folder: Path, name: str, serve: Callable[[], Served]) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self.path = folder / name
        self._serve = serve
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self.path))
        self._socket.listen(16)
        self.faults: List[BaseException] = []  # what our own side got wrong; tests look
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection = self._socket.accept()[0]
            except OSError:
                return  # closed
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        try:
            with connection:
                self._greet(connection)
                server = RpcServer(self._serve())
                while True:
                    packet = _exactly(connection, struct.unpack("<H", _exactly(connection, 2))[0])
                    for answer in server.take(packet):
                        connection.sendall(struct.pack("<H", len(answer)) + answer)
        except (EOFError, OSError):
            return  # the client has gone
        except BaseException as error:
            self.faults.append(error)
            raise

    @staticmethod
    def _greet(connection: socket.socket) -> None:
        request = _exactly(connection, struct.unpack(">I", _exactly(connection, 4))[0])
        assert request[:4] == b"NPAM", request[:16]
        level = struct.unpack_from("<I", request, 4)[0]
        body = b"NPAM" + struct.pack("<IIHH", level, level, _MESSAGE_MODE, _ALL_STATES)
        body += b"\0" * (-(4 + len(body)) % 8) + struct.pack("<QI", _ALLOCATION_BYTES, 0)
        connection.sendall(struct.pack(">I", len(body)) + body)


def _exactly(connection: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        part = connection.recv(length - len(data))
        if not part:
            raise EOFError
        data += part
    return data
