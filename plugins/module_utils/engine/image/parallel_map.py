# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs calls in threads while their results are taken in order: a bounded number of calls ahead."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Callable, Deque, Generator, Iterable, TypeVar, Union

from .writing.pool import Pool

Result = TypeVar("Result")


def in_order(
    executor: Union[Pool, ThreadPoolExecutor], calls: Iterable[Callable[[], Result]], depth: int
) -> Generator[Result, None, None]:
    """Yield the results of ``calls``, in their order, with up to ``depth`` of them running or waiting to be taken.

    Closing the iterator drops the calls that have not begun.
    """
    waiting: Deque[Future[Result]] = deque()
    try:
        for call in calls:
            waiting.append(executor.submit(call))
            if len(waiting) >= depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
