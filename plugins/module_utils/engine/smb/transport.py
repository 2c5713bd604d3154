# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TCP below SMB: every wait has an end, and no server makes us hold more than one bounded packet."""

from __future__ import annotations

import socket
import struct
import threading
import time
from functools import partial
from typing import Any, Optional

from ..stall import Line, Pace, TooSlow

# Direct TCP gives a packet 24 bits of length [MS-SMB2 2.1].
_MAX_PACKET_BYTES = (1 << 24) - 1
_CONNECT_SECONDS = 20.0
_SESSION_REFUSED = 0x83


class SessionRefused(Exception):
    """The server takes no sessions from this host [RFC 1002, 4.3.4]: how Samba says that ``hosts allow`` forbids it."""


class ForeignServer(Exception):
    """Another protocol is spoken there; the text is how it begins."""


def _shown(head: bytes) -> str:
    """The first bytes of another protocol: words where they are some, else their numbers."""
    text = head.decode("ascii", "replace")
    is_text = text.isprintable() and "\ufffd" not in text
    return text.rstrip("- ") if is_text else " ".join("%02x" % byte for byte in head)


class SmbTransport:
    """Takes the place of ``smbprotocol.transport.Tcp``, which waits for ever on a full socket and believes any length."""

    def __init__(self, server: str, port: int, timeout_seconds: float) -> None:
        self.server = server
        self.port = port
        self.connected = False
        self.last_arrival = 0.0  # when anything came, if only a part of a packet
        self.refusal: Optional[Exception] = None  # what the server said before it hung up, unless it was SMB
        self._has_spoken = False  # SMB, at least once
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

        :raises OSError: when the link is lost, or the server takes nothing for the time-out or hardly anything for minutes.
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
            pace = Pace(Line())
            try:
                _send_all(writer, struct.pack(">L", length) + head, pace)
                _send_all(writer, body, pace)
            except (OSError, TooSlow) as error:
                self.close()  # half a packet may be out: nothing can follow it
                if isinstance(error, TooSlow):
                    raise TimeoutError(str(error)) from None
                raise

    def recv(self, timeout: Any) -> bytes:
        """Return the next packet; b"" at the end of the link.

        :raises TimeoutError: when none begins within ``timeout`` seconds.
        :raises ConnectionError: when a packet is too long or stops in its middle.
        """
        head = self._exactly(4, float(timeout))
        if not head:
            return self._ended()
        length = struct.unpack(">L", head)[0]
        if head[0] == _SESSION_REFUSED:
            self.refusal = SessionRefused("the server refuses sessions from this host")
        elif length > _MAX_PACKET_BYTES and not self._has_spoken:
            self.refusal = ForeignServer(_shown(head))
        if self.refusal is not None:
            self._ended()
            raise self.refusal
        if length > _MAX_PACKET_BYTES:
            self._ended()
            raise ConnectionError("the server announces a packet of %d bytes" % length)
        self._has_spoken = True
        return self._exactly(length) or self._ended()

    def _exactly(self, length: int, begins_within: Optional[float] = None) -> bytes:
        """Return so many bytes, none at the end of the link: nothing came for the time-out, or hardly anything for minutes."""
        reader = self._reader
        if reader is None:
            return b""
        parts = bytearray(length)
        view, offset = memoryview(parts), 0
        pace = Pace(Line())
        while offset < length:
            is_begin = begins_within is not None and not offset
            reader.settimeout(begins_within if is_begin else self._timeout_seconds)
            try:
                read = partial(reader.recv_into, view[offset:])
                # silence while no request is pending does not count as stalled
                count = read() if is_begin else pace.waited(read)
                if not count:
                    return b""
                pace.moved(count)
            except socket.timeout:
                if is_begin:
                    raise TimeoutError("no data arrived for %d seconds" % (begins_within or 0)) from None
                return b""  # a packet that never ends is the end of the link
            except (OSError, TooSlow):
                return b""
            self.last_arrival = time.monotonic()
            offset += count
        return bytes(parts)

    def _ended(self) -> bytes:
        self.close()
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()
        return b""


def _send_all(writer: socket.socket, data: bytes, pace: Pace) -> None:
    """``socket.sendall`` ends after the time-out in all, which a slow line needs longer for."""
    left = memoryview(data)
    while left:
        count = pace.waited(partial(writer.send, left))
        left = left[count:]
        pace.moved(count)
