# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets of SFTP version 3 (draft-ietf-secsh-filexfer-02, and OpenSSH's PROTOCOL for the extensions): bytes and back.

Data of the server is hostile: every length is checked against the received bytes before it is used.
"""

from __future__ import annotations

import stat
import struct
from typing import List, NamedTuple, Optional, Tuple

INIT, VERSION, OPEN, CLOSE, READ, WRITE, LSTAT, FSTAT = 1, 2, 3, 4, 5, 6, 7, 8
OPENDIR, READDIR, REMOVE, MKDIR, RMDIR, STAT, RENAME = 11, 12, 13, 14, 15, 17, 18
STATUS, HANDLE, DATA, NAME, ATTRS, EXTENDED, EXTENDED_REPLY = 101, 102, 103, 104, 105, 200, 201
OPEN_READ, OPEN_WRITE, OPEN_CREATE, OPEN_EXCLUSIVE = 0x01, 0x02, 0x08, 0x20
OK, EOF, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE = 0, 1, 2, 3, 4
# Later drafts' codes, which servers send in version 3 as well (draft-ietf-secsh-filexfer-13, section 9.1).
NO_SUCH_PATH, ALREADY_EXISTS, WRITE_PROTECT, NO_SPACE, QUOTA_EXCEEDED = 10, 11, 12, 14, 15
MAX_HANDLE_BYTES = 256
_MAX_TEXT = 200
_SIZE, _OWNER, _MODE, _TIMES, _EXTENDED = 0x01, 0x02, 0x04, 0x08, 0x80000000


class PacketInvalid(Exception):
    """The server sent what the protocol does not allow; the connection can't be used any more."""


class Attributes(NamedTuple):
    """Unknown values are None. ``modified_seconds`` is since 1970, by the server's clock."""

    size_bytes: Optional[int]
    mode: Optional[int]
    modified_seconds: Optional[int] = None

    @property
    def is_link(self) -> bool:
        return self.mode is not None and stat.S_ISLNK(self.mode)

    @property
    def is_directory(self) -> bool:
        return self.mode is not None and stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        return self.mode is not None and stat.S_ISREG(self.mode)


class Reply:
    """One packet of the server, read from its front."""

    def __init__(self, kind: int, data: bytes, position: int) -> None:
        self.kind = kind
        self._data = data
        self._position = position

    @property
    def at_end(self) -> bool:
        return self._position >= len(self._data)

    def mark(self) -> int:
        """Return the place in the packet, for :meth:`back`."""
        return self._position

    def back(self, position: int) -> None:
        """Return to a place, to read it again."""
        self._position = position

    def _take(self, length: int) -> bytes:
        end = self._position + length
        if end > len(self._data):
            raise PacketInvalid("a packet is shorter than its length field")
        piece = self._data[self._position : end]
        self._position = end
        return piece

    def number(self) -> int:
        return int(struct.unpack(">I", self._take(4))[0])

    def long(self) -> int:
        return int(struct.unpack(">Q", self._take(8))[0])

    def string(self) -> bytes:
        return self._take(self.number())

    def attributes(self) -> Attributes:
        """Section 5 of the draft."""
        flags = self.number()
        size_bytes = self.long() if flags & _SIZE else None
        if flags & _OWNER:
            self._take(8)
        mode = self.number() if flags & _MODE else None
        modified_seconds = None
        if flags & _TIMES:
            self._take(4)
            modified_seconds = self.number()
        if flags & _EXTENDED:
            for dummy in range(self.number()):
                self.string()
                self.string()
        return Attributes(size_bytes, mode, modified_seconds)

    def names(self) -> List[Tuple[bytes, bytes, Attributes]]:
        """Name, the line that ``ls -l`` would show, and attributes of each entry (section 7)."""
        return [(self.string(), self.string(), self.attributes()) for dummy in range(self.number())]

    def status(self) -> Tuple[int, str]:
        """Code and text; the text is made fit to be shown."""
        code = self.number()
        text = "" if self.at_end else self.string()[:_MAX_TEXT].decode("utf-8", "replace")
        return code, "".join(character if character.isprintable() else "?" for character in text)


def string(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def number(value: int) -> bytes:
    return struct.pack(">I", value)


def long(value: int) -> bytes:
    return struct.pack(">Q", value)


def mode_only(mode: int) -> bytes:
    """Attributes that name nothing but the permissions."""
    return struct.pack(">II", _MODE, mode)
