# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TCP below SMB: every wait has an end, and no server makes us hold more than one bounded packet."""

from __future__ import annotations

import socket
import struct
import threading
import time
from typing import Any, Optional

# Direct TCP gives a packet 24 bits of length [MS-SMB2 2.1].
_MAX_PACKET_BYTES = (1 << 24) - 1
_CONNECT_SECONDS = 20.0


class SmbTransport:
    """Takes the place of ``smbprotocol.transport.Tcp``, which waits for ever on a full socket and believes any length."""

    def __init__(self, server: str, port: int, timeout_seconds: float) -> None:
        self.server = server
        self.port = port
        self.connected = False
        self._timeout_seconds = timeout_seconds
        self._writer: Optional[socket.socket] = None
        self._reader: Optional[socket.socket] = None
        self._lock = threading.Lock()

    def connect(self) -> None:
        """:raises OSError: when the server is not found or does not answer."""
        writer = socket.create_connection((self.server, self.port), min(_CONNECT_SECONDS, self._timeout_seconds))
        writer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        writer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        writer.settimeout(self._timeout_seconds)
        self._writer, self._reader = writer, writer.dup()
        self.connected = True

    def close(self) -> None:
        """End both directions; the reading thread wakes up and closes its own half."""
        self.connected = False
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            writer.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # the other side was faster
        finally:
            writer.close()

    def send(self, header: Any) -> None:
        """Send a packet: bytes, or the structure in which an encrypted one comes.

        :raises OSError: when the link is lost or the server takes nothing for the time-out.
        """
        if isinstance(header, bytes):
            head, body = b"", header
        else:  # joining a head to a MiB of data costs a copy; sending twice does not
            body = header["data"].get_value()
            header["data"] = b""
            head = header.pack()
        length = len(head) + len(body)
        if length > _MAX_PACKET_BYTES:
            raise ValueError("a packet of %d bytes" % length)
        with self._lock:
            writer = self._writer
            if writer is None:
                raise ConnectionError("the link is closed")
            try:
                writer.sendall(struct.pack(">L", length) + head)
                writer.sendall(body)
            except OSError:
                self.close()  # half a packet may be out: nothing can follow it
                raise

    def recv(self, timeout: Any) -> bytes:
        """Return the next packet; b"" at the end of the link.

        :raises TimeoutError: when none begins within ``timeout`` seconds.
        :raises ConnectionError: when a packet is too long or stops in its middle.
        """
        head = self._exactly(4, float(timeout), begins=True)
        if not head:
            return self._ended()
        length = struct.unpack(">L", head)[0]
        if length > _MAX_PACKET_BYTES:
            self._ended()
            raise ConnectionError("what answers there does not speak SMB: it announces a packet of %d bytes" % length)
        return self._exactly(length, self._timeout_seconds) or self._ended()

    def _exactly(self, length: int, seconds: float, begins: bool = False) -> bytes:
        reader = self._reader
        if reader is None:
            return b""
        parts = bytearray(length)
        view, offset = memoryview(parts), 0
        deadline = time.monotonic() + seconds
        while offset < length:
            reader.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                count = reader.recv_into(view[offset:])
            except socket.timeout:
                if begins and not offset:
                    raise TimeoutError("nothing came for %d seconds" % seconds) from None
                return b""  # a packet that never ends is the end of the link
            except OSError:
                return b""
            if not count:
                return b""
            offset += count
        return bytes(parts)

    def _ended(self) -> bytes:
        self.close()
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()
        return b""
