# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files whose next read gets a separate connection: a second look must not share the cause of a wrong first answer."""

from __future__ import annotations

import threading
import time
from typing import Dict, Set

_MOST = 256  # files looked at again at a time; more are read again over the existing connection
_AGAIN_SECONDS = 60.0  # a pack with thousands of damaged chunks takes one connection, not thousands


class ReadAnew:
    """Remembers paths until each is read once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paths: Set[str] = set()
        self._taken: Dict[str, float] = {}

    def note(self, path: str) -> None:
        now = time.monotonic()
        with self._lock:
            self._taken = {one: when for one, when in self._taken.items() if now - when < _AGAIN_SECONDS}
            if len(self._paths) + len(self._taken) < _MOST and path not in self._taken:
                self._paths.add(path)

    def take(self, path: str) -> bool:
        """Whether ``path`` was noted; it is no more."""
        with self._lock:
            if path not in self._paths:
                return False
            self._paths.discard(path)
            self._taken[path] = time.monotonic()
            return True
