# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's side of remote calls [C706 chapter 12] for tests, written apart from the client that it proves."""

from __future__ import annotations

import struct
from typing import Callable, List, Mapping, NamedTuple, Optional

REQUEST, RESPONSE, FAULT, BIND, BIND_ACK = 0, 2, 3, 11, 12
UNKNOWN_OPERATION = 0x1C010002  # nca_s_op_rng_error [C706 appendix E]


class Served(NamedTuple):
    """An interface: its UUID as it is sent, its version, and what answers each operation."""

    uuid: bytes
    version: int
    operations: Mapping[int, Callable[[bytes], bytes]]


class RpcServer:
    """Answers the packets of one client, one after the other."""

    def __init__(self, served: Served, fragment_bytes: int = 4280) -> None:
        self._served = served
        self._fragment_bytes = fragment_bytes
        self._stub = bytearray()

    def take(self, packet: bytes) -> List[bytes]:
        """Return the packets that answer ``packet``; none until a request is whole."""
        kind, flags, call_id = packet[2], packet[3], struct.unpack_from("<I", packet, 12)[0]
        if kind == BIND:
            return [self._bound(packet, call_id)]
        assert kind == REQUEST, kind
        dummy_hint, dummy_context, number = struct.unpack_from("<IHH", packet, 16)
        self._stub += packet[24:]
        if not flags & 2:
            return []
        stub, self._stub = bytes(self._stub), bytearray()
        operation: Optional[Callable[[bytes], bytes]] = self._served.operations.get(number)
        if operation is None:
            body = struct.pack("<IHBBI4x", 0, 0, 0, 0, UNKNOWN_OPERATION)
            return [_packet(FAULT, 3, call_id, body)]
        return self._fragments(operation(stub), call_id)

    def _fragments(self, stub: bytes, call_id: int) -> List[bytes]:
        room = self._fragment_bytes - 24
        starts = list(range(0, len(stub), room)) or [0]
        return [
            _packet(
                RESPONSE,
                (1 if start == 0 else 0) | (2 if start == starts[-1] else 0),
                call_id,
                struct.pack("<IHBB", len(stub) - start, 0, 0, 0) + stub[start : start + room],
            )
            for start in starts
        ]

    def _bound(self, packet: bytes, call_id: int) -> bytes:
        sent, taken = struct.unpack_from("<HH", packet, 16)
        uuid, version = packet[32:48], struct.unpack_from("<I", packet, 48)[0]
        transfer = packet[52:72]
        fits = uuid == self._served.uuid and version == self._served.version
        address = b"\\PIPE\\double\0"
        body = struct.pack("<HHIH", min(taken, self._fragment_bytes), min(sent, self._fragment_bytes), 1, len(address))
        body += address
        body += b"\0" * (-(16 + len(body)) % 4)
        body += struct.pack("<BxxxHH", 1, 0 if fits else 2, 0 if fits else 1) + (transfer if fits else bytes(20))
        return _packet(BIND_ACK, 3, call_id, body)


def _packet(kind: int, flags: int, call_id: int, body: bytes) -> bytes:
    return struct.pack("<BBBBIHHI", 5, 0, kind, flags, 0x10, 16 + len(body), 0, call_id) + body


class Stub:
    """Reads the stub of a request."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def raw(self, length: int) -> bytes:
        self._at += length
        assert self._at <= len(self._data)
        return self._data[self._at - length : self._at]

    def number(self) -> int:
        self._at += -self._at % 4
        return int(struct.unpack("<I", self.raw(4))[0])

    def string(self) -> str:
        most, first, count = self.number(), self.number(), self.number()
        assert (first, most) == (0, count)
        text = self.raw(2 * count).decode("utf-16-le")
        assert text.endswith("\0")
        return text[:-1]

    def optional_string(self) -> Optional[str]:
        return self.string() if self.number() else None


def ndr_string(text: str) -> bytes:
    """A conformant and varying string, padded for what follows."""
    content = (text + "\0").encode("utf-16-le")
    return struct.pack("<III", len(content) // 2, 0, len(content) // 2) + content + b"\0" * (-len(content) % 4)
