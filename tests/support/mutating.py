# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers whose answers are spoilt on the way: bytes, lengths, kinds, and answers that are lost or come twice.

``spoil`` says how often and in what way, from a seed; what the server itself does stays right.
"""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import subprocess
import threading
from typing import Any, Optional, Tuple

import paramiko

from .proxy import accepted

_FIRSTS = (1, 1, 2, 3, 3, 4, 5, 6, 8, 10, 14, 20)
_WORDS = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\0\0\x80", b"\x7f\xff\xff\xff")


class Spoiling:
    """Changes every answer from one on, which the seed draws."""

    def __init__(self, seed: int, head_bytes: int) -> None:
        self._chance = random.Random(seed)
        self._head_bytes = head_bytes  # what every answer begins with
        self._left = self._chance.choice(_FIRSTS)

    def spoil(self, body: bytes) -> Optional[Tuple[int, bytes]]:
        """Return the length to announce and the bytes to send; None for an answer that gets lost."""
        self._left -= 1
        if self._left > 0:
            return len(body), body
        chance, changed = self._chance, bytearray(body)
        way = chance.randrange(7)
        if way == 0:
            for dummy in range(chance.randrange(1, 6)):
                changed[chance.randrange(len(changed))] = chance.randrange(256)
        elif way == 1:
            changed = changed[: chance.randrange(len(changed) + 1)]
        elif way == 2:
            first = min(self._head_bytes, len(changed) - 1)
            place = chance.randrange(first, max(first + 1, len(changed) - 3))
            changed[place : place + 4] = chance.choice(_WORDS)
        elif way == 3:
            changed = bytearray(chance.getrandbits(8) for dummy in range(chance.randrange(1, 300)))
        elif way == 4:
            return chance.choice([0, 1, len(body) + 10, 0xFFFFFF, 0xFFFFFFFF]), body
        elif way == 5:
            changed = changed + changed
        else:
            return None
        return len(changed), bytes(changed)


class SpoilingProxy:
    """Stands before an SMB server. ``seed`` is for the next connection."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.seed = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        for client in accepted(self._listener):
            server = socket.create_connection(("127.0.0.1", self._target))
            spoiling = Spoiling(self.seed, 64)
            for source, sink, how in ((client, server, None), (server, client, spoiling)):
                threading.Thread(target=self._forward, args=(source, sink, how), daemon=True).start()

    @staticmethod
    def _forward(source: socket.socket, sink: socket.socket, spoiling: Optional[Spoiling]) -> None:
        with contextlib.suppress(OSError), source.makefile("rb") as packets:
            while True:
                head = packets.read(4)
                if len(head) < 4:
                    break
                body = packets.read(struct.unpack(">I", head)[0])
                answer = (len(body), body) if spoiling is None else spoiling.spoil(body)
                if answer is not None:
                    sink.sendall(struct.pack(">I", answer[0]) + answer[1])
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
        sink.close()

    def close(self) -> None:
        self._listener.close()


class SpoilingSftp(paramiko.SubsystemHandler):  # type: ignore[misc]  # paramiko has no types
    """OpenSSH's sftp-server behind an SSH server of ours, for ``StubServer(SpoilingSftp, (seed,))``."""

    def __init__(self, channel: Any, name: str, server: Any, seed: int) -> None:
        super().__init__(channel, name, server)
        self._spoiling = Spoiling(seed, 5)

    def start_subsystem(self, name: str, transport: Any, channel: Any) -> None:  # noqa: ARG002
        process = subprocess.Popen(
            ["/usr/lib/openssh/sftp-server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        if process.stdin is None or process.stdout is None:
            raise AssertionError("the server has no pipes")
        threading.Thread(target=self._ask, args=(channel, process.stdin), daemon=True).start()
        try:
            with contextlib.suppress(OSError, EOFError):
                while True:
                    head = process.stdout.read(4)
                    if len(head) < 4:
                        break
                    answer = self._spoiling.spoil(process.stdout.read(struct.unpack(">I", head)[0]))
                    if answer is not None:
                        channel.sendall(struct.pack(">I", answer[0]) + answer[1])
        finally:
            channel.close()
            process.kill()
            process.wait()

    @staticmethod
    def _ask(channel: Any, server: Any) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                data = channel.recv(65536)
                if not data:
                    break
                server.write(data)
                server.flush()
        with contextlib.suppress(OSError):
            server.close()
