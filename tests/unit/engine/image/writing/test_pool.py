# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The threads of the pipeline: what is waited for goes first, nothing is lost, nothing is begun after the end."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from functools import partial
from typing import Iterator, List

import pytest
from engine.image.writing.pool import Pool


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool(1, "test pool")
    yield made
    made.shutdown()


def hold(pool: Pool) -> threading.Event:
    """Keep the only worker busy until the event is set."""
    begun, held = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        assert held.wait(30)

    pool.submit(wait)
    assert begun.wait(30)
    return held


def test_what_is_waited_for_goes_first_and_each_kind_in_its_order(pool: Pool) -> None:
    held = hold(pool)
    done: List[object] = []
    later = [pool.submit_later(partial(done.append, "later %d" % number)) for number in range(3)]
    soon = [pool.submit(partial(done.append, "soon %d" % number)) for number in range(3)]
    held.set()
    for future in later + soon:
        future.result(30)
    assert done == ["soon 0", "soon 1", "soon 2", "later 0", "later 1", "later 2"]


def test_an_error_belongs_to_whoever_takes_the_result_and_the_thread_goes_on(pool: Pool) -> None:
    failed = pool.submit(partial(int, "no number"))
    with pytest.raises(ValueError, match="no number"):
        failed.result(30)
    assert pool.submit_later(partial(int, "7")).result(30) == 7


def test_all_workers_work_at_once() -> None:
    pool = Pool(4, "test pool")
    meeting = threading.Barrier(4)
    try:
        futures = [pool.submit(partial(meeting.wait, 30)) for dummy in range(4)]
        assert {future.result(30) for future in futures} == set(range(4))
    finally:
        pool.shutdown()


def test_the_end_cancels_what_has_not_begun_and_waits_for_what_has(pool: Pool) -> None:
    held = hold(pool)
    done: List[object] = []
    futures = [pool.submit(partial(done.append, 1)), pool.submit_later(partial(done.append, 2))]
    ending = threading.Thread(target=pool.shutdown)
    ending.start()
    for future in futures:
        with pytest.raises(CancelledError):
            future.result(30)
    assert ending.is_alive()
    held.set()
    ending.join(30)
    assert not ending.is_alive()
    assert not done
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(partial(done.append, 3))


def test_what_was_cancelled_is_not_done(pool: Pool) -> None:
    held = hold(pool)
    done: List[object] = []
    cancelled = pool.submit(partial(done.append, 1))
    cancelled.cancel()
    held.set()
    pool.submit(partial(done.append, 2)).result(30)
    assert done == [2]
