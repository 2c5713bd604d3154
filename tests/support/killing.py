# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a piece of work in a child process that kills itself (SIGKILL) at a chosen moment."""

from __future__ import annotations

import os
import signal
import time
import traceback
from typing import Callable, List, Optional, Sequence

from engine.storage.contract import Storage
from support.storages import HookedStorage


class Killed(BaseException):
    """A kill in the process of the test: nothing cleans up after it."""


def kill(changes: Sequence[str], left: List[int], moment: str, operation: str, dummy_path: str) -> None:
    """The hook of a storage: kill at that of the ``changes`` after as many as are ``left``."""
    if moment == "before" and operation in changes:
        left[0] -= 1
        if left[0] < 0:
            raise Killed


class Moments:
    """Counts the moments of a run (around storage operations and fsyncs) and kills the process at one of them."""

    def __init__(self, kill_at: Optional[int]) -> None:
        self.count = 0
        self._kill_at = kill_at

    def step(self, *dummy: object) -> None:
        self.count += 1
        if self.count == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def run_and_kill(storage: Storage, work: Callable[[Storage], object], kill_at: Optional[int]) -> Optional[int]:
    """Run ``work`` in a child over the storage; kill it at moment ``kill_at``. Return what ``kill_in_child`` does."""
    return kill_in_child(lambda moments: work(HookedStorage(storage, moments.step)), kill_at)


def run_and_kill_after(work: Callable[[], object], seconds: float) -> bool:
    """Run ``work`` in a child and kill it after ``seconds``, wherever it is; return whether it was at work still."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    dummy_pid, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the child failed by itself; its traceback is above"
    return os.WIFSIGNALED(status)


def kill_in_child(work: Callable[[Moments], object], kill_at: Optional[int]) -> Optional[int]:
    """Run ``work`` in a child, which steps through moments; kill it at moment ``kill_at``.

    Return None when it was killed, else the number of moments that the whole work has.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            moments = Moments(kill_at)
            sync = os.fsync

            def watched_sync(descriptor: int) -> None:
                moments.step()
                sync(descriptor)
                moments.step()

            os.fsync = watched_sync  # type: ignore[assignment]  # the engine passes descriptors only
            work(moments)
            os.write(writing, b"%d" % moments.count)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writing)
    answer = os.read(reading, 32)
    os.close(reading)
    dummy_pid, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return None
    assert os.WEXITSTATUS(status) == 0, "the child failed by itself; its traceback is above"
    return int(answer)
