# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads with two queues: work that a caller waits for, and work that fills the time until its next call."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from typing import Any, Callable, Deque, List, Tuple, TypeVar

Result = TypeVar("Result")
_Call = Tuple["Future[Any]", Callable[[], Any]]


class Pool:
    """``workers`` threads. Calls made with ``submit`` go before those of ``submit_later``; each kind in its order."""

    def __init__(self, workers: int, name: str) -> None:
        self._changed = threading.Condition()
        self._soon: Deque[_Call] = deque()
        self._later: Deque[_Call] = deque()
        self._is_closing = False
        self._threads: List[threading.Thread] = [
            threading.Thread(target=self._run, name="%s_%d" % (name, number), daemon=True) for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, call: Callable[[], Result]) -> Future[Result]:
        return self._put(self._soon, call)

    def submit_later(self, call: Callable[[], Result]) -> Future[Result]:
        return self._put(self._later, call)

    def shutdown(self) -> None:
        """Cancel what has not begun, and wait for what has."""
        with self._changed:
            self._is_closing = True
            left = [*self._soon, *self._later]
            self._soon.clear()
            self._later.clear()
            self._changed.notify_all()
        for future, dummy in left:
            future.cancel()
        for thread in self._threads:
            thread.join()

    def _put(self, queue: Deque[_Call], call: Callable[[], Result]) -> Future[Result]:
        future: Future[Result] = Future()
        with self._changed:
            if self._is_closing:
                raise RuntimeError("this pool is closed")
            queue.append((future, call))
            self._changed.notify()
        return future

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._soon or self._later):
                    if self._is_closing:
                        return
                    self._changed.wait()
                future, call = (self._soon or self._later).popleft()
            if future.set_running_or_notify_cancel():
                _do(future, call)
            del future, call


def _do(future: Future[Any], call: Callable[[], Any]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # the caller that takes the result handles it, as in concurrent.futures
        future.set_exception(error)
