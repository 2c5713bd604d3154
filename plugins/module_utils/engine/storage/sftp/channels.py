# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""More channels of one connection, for files that are sent at the same time: each has its own window."""

from __future__ import annotations

import contextlib
import threading
from typing import Dict, Iterator, List, Optional

from .calls import SftpCalls
from .connect import SftpConnector

_CHANNELS = 3  # the first included; OpenSSH permits ten


class Channels:
    """Spreads files that are sent at the same time. A single file stays on the first channel.

    Only what is complete when its call returns may leave the first channel: channels don't wait for each other.
    """

    def __init__(self, connector: SftpConnector, storage: str, root: str) -> None:
        self._connector = connector
        self._storage = storage
        self._root = root
        self._lock = threading.Lock()
        self._first: Optional[SftpCalls] = None
        self._beside: List[SftpCalls] = []
        self._under_way: Dict[SftpCalls, int] = {}
        self._has_enough = False

    @contextlib.contextmanager
    def busy(self, first: SftpCalls) -> Iterator[SftpCalls]:
        """Yield the channel with the least to do, opened if all others are busy and the server permits one more."""
        with self._lock:
            chosen = self._choose(first)
            self._under_way[chosen] = self._under_way.get(chosen, 0) + 1
        try:
            yield chosen
        finally:
            with self._lock:
                self._under_way[chosen] -= 1
                if not self._under_way[chosen]:
                    del self._under_way[chosen]

    def _choose(self, first: SftpCalls) -> SftpCalls:
        if first is not self._first and first.session.is_alive:
            self._first = first  # connected again: the other channels ended with the previous connection
            self._close_beside()
        self._beside = [calls for calls in self._beside if calls.session.is_alive]
        chosen = min([first, *self._beside], key=lambda calls: self._under_way.get(calls, 0))
        if chosen not in self._under_way or self._has_enough or len(self._beside) + 1 >= _CHANNELS:
            return chosen
        session = self._connector.connect_beside()
        if session is None:
            # Once is enough: a server that said no, or a connection that is lost, which the next call will notice.
            self._has_enough = first.session.is_alive
            return chosen
        session.line = first.session.line  # all channels share one
        self._beside.append(SftpCalls(session, self._storage, self._root))
        return self._beside[-1]

    def close(self) -> None:
        with self._lock:
            self._close_beside()

    def _close_beside(self) -> None:
        while self._beside:
            self._beside.pop().session.close()
