# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many small calls to a storage at once: at 20 ms a round trip, one after the other is what takes the time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Callable, List, Sequence, TypeVar

from .contract import Storage

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def together(storage: Storage, call: Callable[[Item], Answer], items: Sequence[Item]) -> List[Answer]:
    """Return ``call(item)`` for each item, in order, as many at once as the storage bears.

    The first exception is raised when the calls in progress have ended; those not begun are not made.
    """
    width = min(storage.parallel_calls, len(items))
    if width <= 1:
        return [call(item) for item in items]
    with ThreadPoolExecutor(width, thread_name_prefix="storage call") as executor:
        return list(executor.map(call, items))
