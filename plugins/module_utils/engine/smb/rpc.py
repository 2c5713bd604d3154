# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remote calls over a named pipe [C706 chapter 12, MS-RPCE 2.1.1.2]: bind to an interface, call its operations."""

from __future__ import annotations

import struct
from typing import NamedTuple, Protocol, Tuple
from uuid import UUID

from .errors import Failure, SmbError

# Types and flags of packets [C706 12.6.4.1, 12.6.3.1].
_REQUEST, _RESPONSE, _FAULT, _BIND, _BIND_ACK, _BIND_NAK = 0, 2, 3, 11, 12, 13
_FIRST, _LAST = 1, 2
_HEAD = struct.Struct("<BBBBIHHI")
_VERSION = (5, 0)
_LITTLE_ENDIAN = 0x10
_NDR = UUID("8a885d04-1ceb-11c9-9fe8-08002b104860")  # version 2 [C706 appendix I]
# The fragments that every Windows sends and takes; all our calls but the longest fit into one.
FRAGMENT_BYTES = 4280
_LEAST_FRAGMENT_BYTES = 1432  # [C706 12.6.3.1]: everybody must take so much
_MAX_ANSWER_BYTES = 1 << 20
_ACCESS_DENIED_FAULT = 5


class Interface(NamedTuple):
    """The name and version of a set of operations, and the pipe where it is served."""

    pipe: str
    uuid: UUID
    version: int


class Pipe(Protocol):
    """A named pipe in message mode."""

    def write(self, message: bytes) -> None:
        """Send a message."""

    def transceive(self, message: bytes) -> bytes:
        """Send a message and return the next one."""

    def read(self) -> bytes:
        """Return the next message."""


class CallRefused(SmbError):
    """A remote call returned an error; ``code`` is the number, mostly one of Windows [MS-ERREF 2.2]."""

    def __init__(self, operation: str, code: int) -> None:
        super().__init__(Failure.DENIED if code == _ACCESS_DENIED_FAULT else Failure.OTHER, about=operation)
        self.reason = "%s failed with error %d" % (operation, code)
        self.code = code


class RpcClient:
    """An interface of the server at the other end of a pipe. Not for several threads."""

    def __init__(self, pipe: Pipe, interface: Interface) -> None:
        """Bind. :raises SmbError: when the server does not serve the interface."""
        self._pipe = pipe
        self._call_id = 0
        self._fragment_bytes = FRAGMENT_BYTES
        self._bind(interface)

    def call(self, number: int, stub: bytes, operation: str) -> bytes:
        """Call operation ``number`` and return the stub of its answer.

        :raises CallRefused: for a fault. :raises SmbError: for an answer that is none.
        """
        self._call_id += 1
        room = self._fragment_bytes - _HEAD.size - 8
        parts = [stub[start : start + room] for start in range(0, len(stub), room)] or [b""]
        for index, part in enumerate(parts):
            flags = (_FIRST if not index else 0) | (_LAST if index == len(parts) - 1 else 0)
            body = struct.pack("<IHH", len(stub) - index * room, 0, number) + part
            packet = self._packet(_REQUEST, flags, body)
            if flags & _LAST:
                return self._answer(self._pipe.transceive(packet), operation)
            self._pipe.write(packet)
        raise AssertionError("a call has at least one fragment")

    def _answer(self, packet: bytes, operation: str) -> bytes:
        """Return what the fragments of an answer hold, ``packet`` being the first."""
        stub = bytearray()
        is_first = True
        while True:
            kind, flags, body = self._parse(packet)
            if kind == _FAULT and len(body) >= 12:
                raise CallRefused(operation, struct.unpack_from("<I", body, 8)[0])
            if kind != _RESPONSE or len(body) < 8 or bool(flags & _FIRST) is not is_first:
                raise _invalid("a packet of type %d instead of the answer to a remote call" % kind)
            stub += body[8:]
            if len(stub) > _MAX_ANSWER_BYTES:
                raise _invalid("an answer of more than %d bytes to a remote call" % _MAX_ANSWER_BYTES)
            if flags & _LAST:
                return bytes(stub)
            if len(body) == 8:
                raise _invalid("an empty fragment of an answer to a remote call")
            is_first = False
            packet = self._pipe.read()

    def _bind(self, interface: Interface) -> None:
        syntax = interface.uuid.bytes_le + struct.pack("<I", interface.version)
        syntax += _NDR.bytes_le + struct.pack("<I", 2)
        self._call_id += 1
        body = struct.pack("<HHIBxxxHBx", FRAGMENT_BYTES, FRAGMENT_BYTES, 0, 1, 0, 1) + syntax
        kind, dummy_flags, body = self._parse(self._pipe.transceive(self._packet(_BIND, _FIRST | _LAST, body)))
        if kind == _BIND_NAK:
            raise SmbError(Failure.OTHER, "the server refuses the interface %s" % interface.pipe, about=interface.pipe)
        if kind != _BIND_ACK or len(body) < 10:
            raise _invalid("a packet of type %d instead of the answer to a bind" % kind)
        dummy_sends, takes_bytes, dummy_group, length = struct.unpack_from("<HHIH", body)
        start = 10 + length
        start += -(start + _HEAD.size) % 4
        if len(body) < start + 8 or takes_bytes < _LEAST_FRAGMENT_BYTES:
            raise _invalid("an answer to a bind that is cut off")
        results, result = struct.unpack_from("<BxxxH", body, start)
        if results != 1 or result:
            raise SmbError(
                Failure.OTHER,
                "the server does not serve the interface %s (result %d)" % (interface.pipe, result),
                about=interface.pipe,
            )
        self._fragment_bytes = min(FRAGMENT_BYTES, takes_bytes)

    def _packet(self, kind: int, flags: int, body: bytes) -> bytes:
        size_bytes = _HEAD.size + len(body)
        return _HEAD.pack(*_VERSION, kind, flags, _LITTLE_ENDIAN, size_bytes, 0, self._call_id) + body

    def _parse(self, packet: bytes) -> Tuple[int, int, bytes]:
        """Return type, flags and body of a packet that answers the present call."""
        if len(packet) < _HEAD.size:
            raise _invalid("a packet of %d bytes in a remote call" % len(packet))
        major, dummy_minor, kind, flags, format_of_data, length, verifier, call_id = _HEAD.unpack_from(packet)
        if major != _VERSION[0] or format_of_data & 0xFF != _LITTLE_ENDIAN or length != len(packet) or verifier:
            raise _invalid("a packet of another kind in a remote call")
        if call_id != self._call_id:
            raise _invalid("the answer to another remote call")
        return kind, flags, packet[_HEAD.size :]


def _invalid(reason: str) -> SmbError:
    return SmbError(Failure.ANSWER_INVALID, reason)
