# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One thread connects; those who waited for it share its failure.

Would each try in its turn, sixteen calls at once would wait sixteen times as long for a server that is silent.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Iterator, Optional

from ..errors import StorageError


class Turns:
    """Turns at ``lock``; what fails in one of them fails for all that were waiting already."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._failures = 0
        self._error: Optional[StorageError] = None

    @contextlib.contextmanager
    def take(self) -> Iterator[None]:
        """Hold the lock for the length of a block.

        :raises StorageError: what the block raised in the turn of another thread since this one began to wait.
        """
        failures = self._failures
        with self._lock:
            error = self._error
            if error is not None and self._failures != failures:
                raise type(error)(**error.fields)
            try:
                yield
            except StorageError as raised:
                self._failures += 1
                self._error = raised
                raise
            self._error = None
