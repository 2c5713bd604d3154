# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way of the records from the workers of Ansible to the progress callback in the main process.

A pair of connected datagram sockets, made by the callback before Ansible forks its workers: they inherit it. It has no
name in any file system, so no other process can send, no file has to be removed, and a program that a worker starts
does not get it. Should workers not be forks one day, they find no channel, and print lines.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import List, Optional

from .records import MAX_RECORD_BYTES, Record, decode, encode

_MOST_RECORDS_AT_ONCE = 1000
_MOST_RECORDS_WAITING = 4096  # a socket's buffer holds a few hundred; an empty record looks like the end
_current: Optional[Channel] = None


class Channel:
    """Never blocks: a record for which there is no room is lost, and the next one tells the same and more."""

    def __init__(self) -> None:
        self._receiving, self._sending = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._receiving.setblocking(False)
        self._sending.setblocking(False)

    def fileno(self) -> int:
        return self._receiving.fileno()

    def send(self, record: Record) -> bool:
        """Send a record, or lose it. Returns False when the callback no longer draws."""
        try:
            data = encode(record)
        except ValueError:
            return True  # a name that is longer than any device's; its row shows what Ansible says of it
        return self.send_bytes(data)

    def send_bytes(self, data: bytes) -> bool:
        """Send a datagram as it is; see :meth:`send`."""
        try:
            self._sending.send(data)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError as error:
            # ENOBUFS is macOS's word for no room; everything else means that the other end is closed.
            return error.errno == errno.ENOBUFS
        return True

    def receive(self) -> List[Record]:
        """Return the records that are there, without those that are none."""
        records = []
        for dummy in range(_MOST_RECORDS_AT_ONCE):
            try:
                data = self._receiving.recv(MAX_RECORD_BYTES + 1)
            except (BlockingIOError, InterruptedError):
                break
            with contextlib.suppress(ValueError):
                records.append(decode(data))
        return records

    def close(self) -> None:
        """Let senders know that the callback no longer draws, also those in workers that hold copies of both ends."""
        with contextlib.suppress(OSError):
            self._receiving.shutdown(socket.SHUT_RDWR)
            # Linux looks for room first: to a sender whose records fill it the end would look like a reader that is slow.
            for dummy in range(_MOST_RECORDS_WAITING):
                self._receiving.recv(1)
        self._receiving.close()
        self._sending.close()


def open_channel() -> Channel:
    """Make the channel that workers forked from now on report to. For the main process."""
    global _current
    _current = Channel()
    return _current


def close_channel() -> None:
    """Have everything that reports print lines again."""
    global _current
    channel, _current = _current, None
    if channel is not None:
        channel.close()


def current_channel() -> Optional[Channel]:
    """Return the channel to report to, or ``None`` when no callback draws."""
    return _current
