# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network Data Representation [C706 chapter 14]: what remote calls carry, little-endian, with bounds on all that is read."""

from __future__ import annotations

import struct
from typing import Any, Optional, Tuple

from .errors import Failure, SmbError

_REFERENT = 0x20000  # any number but zero says that a pointer points [C706 14.3.10]
_MAX_STRING_CHARACTERS = 32768  # a path of Windows is shorter


class NdrWriter:
    """Builds the stub of a request."""

    def __init__(self) -> None:
        self._data = bytearray()

    def raw(self, data: bytes) -> NdrWriter:
        self._data += data
        return self

    def numbers(self, *values: int) -> NdrWriter:
        """Add unsigned numbers of 32 bits."""
        self._align()
        return self.raw(struct.pack("<%dI" % len(values), *values))

    def string(self, text: str) -> NdrWriter:
        """Add a conformant and varying string with its terminator [C706 14.3.4.2]."""
        content = (text + "\0").encode("utf-16-le")
        count = len(content) // 2
        return self.numbers(count, 0, count).raw(content)

    def optional_string(self, text: Optional[str]) -> NdrWriter:
        """Add a unique pointer to a string, or a null pointer."""
        return self.numbers(0) if text is None else self.numbers(_REFERENT).string(text)

    def bytes(self) -> bytes:
        return bytes(self._data)

    def _align(self) -> None:
        self._data += b"\0" * (-len(self._data) % 4)


class NdrReader:
    """Reads the stub of an answer, which a hostile server may have made."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    @staticmethod
    def invalid(reason: str) -> SmbError:
        return SmbError(Failure.ANSWER_INVALID, reason)

    def raw(self, length: int) -> bytes:
        """:raises SmbError: when the answer is shorter."""
        start, self._offset = self._offset, self._offset + length
        if self._offset > len(self._data):
            raise self.invalid("an answer to a remote call that is cut off")
        return self._data[start : self._offset]

    def numbers(self, count: int) -> Tuple[Any, ...]:
        """Read ``count`` unsigned numbers of 32 bits."""
        self._offset += -self._offset % 4
        return struct.unpack("<%dI" % count, self.raw(4 * count))

    def number(self) -> int:
        return int(self.numbers(1)[0])

    def string(self) -> str:
        """Read a conformant and varying string, without its terminator."""
        most, first, count = self.numbers(3)
        if first or count > most or count > _MAX_STRING_CHARACTERS:
            raise self.invalid("a string of %d of %d characters in a remote call" % (count, most))
        text = self.raw(2 * count).decode("utf-16-le", "replace")
        return text.partition("\0")[0]
