# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page cache of a device: the engine drops most of the data that it reads, since the plant's programs need the memory more."""

from __future__ import annotations

import os
import threading
from typing import List, Tuple

_READS = 16  # about 16 MiB of large reads stay for a while
# The cache is kept in pieces of up to this size, and one of which only a part is named stays (Linux, mapping_try_invalidate).
_PIECE_BYTES = 2 << 20


class PageCache:
    """Of one open block device. Does nothing where the system offers nothing for it. Safe to use from several threads."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._read: List[Tuple[int, int]] = []

    def forget_all(self) -> None:
        self._forget(0, 0)

    def was_read(self, start_bytes: int, end_bytes: int) -> None:
        """Forget it, a while later: what is read beside it at the moment, and ahead, must not be read twice."""
        with self._lock:
            self._read.append((start_bytes, end_bytes))
            if len(self._read) < 2 * _READS:
                return
            old, self._read = self._read[:_READS], self._read[_READS:]
        first, last = min(old)[0], max(end for dummy, end in old)
        if last - first <= 2 * sum(end - start for start, end in old):
            old = [(first, last)]  # side by side, as a rule
        for start, end in old:
            start = max(0, start - _PIECE_BYTES)
            self._forget(start, end - start)

    def _forget(self, start_bytes: int, length_bytes: int) -> None:
        """``length_bytes`` 0: to the end."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._descriptor, start_bytes, length_bytes, os.POSIX_FADV_DONTNEED)
