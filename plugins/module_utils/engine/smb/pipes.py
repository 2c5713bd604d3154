# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Named pipes of a server [MS-SMB2 2.2.13, 2.2.31]: opened on its share for pipes, over the session of another link."""

from __future__ import annotations

from .errors import ABSENT, Failure, Refused, SmbError
from .link import Handle, SmbLink
from .rpc import FRAGMENT_BYTES

_SHARE_OF_PIPES = "IPC$"
# PIPE_NOT_AVAILABLE, PIPE_BUSY
_BUSY = frozenset([0xC00000AC, 0xC00000AE])
# PIPE_DISCONNECTED, PIPE_CLOSING, PIPE_EMPTY, PIPE_BROKEN
_BROKEN = frozenset([0xC00000B0, 0xC00000B1, 0xC00000D9, 0xC000014B])


class NamedPipe:
    """An open pipe in message mode; use as a context."""

    def __init__(self, link: SmbLink, name: str) -> None:
        """Open the pipe ``name`` over a link to the share for pipes.

        :raises SmbError: NOT_FOUND when nothing serves it, DENIED, BUSY.
        """
        self._link = link
        self._name = name
        try:
            self._handle: Handle = link.open_pipe(name)
        except Refused as refused:
            raise self._told(refused) from None

    def __enter__(self) -> NamedPipe:
        return self

    def __exit__(self, *dummy: object) -> None:
        self._link.close_quietly(self._handle)

    def write(self, message: bytes) -> None:
        """Send a message. :raises SmbError:"""
        try:
            written = self._link.written(self._link.send_write(self._handle, message, 0))
        except Refused as refused:
            raise self._told(refused) from None
        if written != len(message):
            raise self._link.invalid("a pipe that took %d of %d bytes" % (written, len(message)))

    def transceive(self, message: bytes) -> bytes:
        """Send a message and return the next one. :raises SmbError:"""
        try:
            return self._link.transceive(self._handle, message, FRAGMENT_BYTES)
        except Refused as refused:
            raise self._told(refused) from None

    def read(self) -> bytes:
        """Return the next message. :raises SmbError:"""
        try:
            return self._link.data(self._link.send_read(self._handle, 0, FRAGMENT_BYTES), FRAGMENT_BYTES)
        except Refused as refused:
            raise self._told(refused) from None

    def _told(self, refused: Refused) -> SmbError:
        if refused.status in _BUSY:
            return SmbError(Failure.BUSY, "its pipe %s is busy" % self._name, about=self._name)
        if refused.status in _BROKEN:
            return SmbError(Failure.LINK_LOST, "its pipe %s was closed" % self._name, about=self._name)
        if refused.status in ABSENT:
            return SmbError(Failure.NOT_FOUND, "nothing serves its pipe %s" % self._name, about=self._name)
        return Refused(refused.status, self._name)


def link_to_pipes(link: SmbLink) -> SmbLink:
    """Return a link to the server's share for pipes, over the session of ``link``. :raises SmbError:"""
    return link.beside(_SHARE_OF_PIPES)
