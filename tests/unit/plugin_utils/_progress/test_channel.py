# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The channel between workers and the progress callback: forked peers that are hostile, slow, too many, or left alone."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from typing import Any, Callable, Dict, Iterator, List

import pytest
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress import channel as _progress_channel
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.channel import (
    Channel,
    close_channel,
    current_channel,
    open_channel,
)
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.records import MAX_RECORD_BYTES, Record
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.reporter import ProgressReporter

RECORD = Record("uuid", "press-1", "image", "reading", 100, 42)


@pytest.fixture
def channel() -> Iterator[Channel]:
    yield open_channel()
    close_channel()


def in_worker(work: Callable[[], Any]) -> int:
    """Do ``work`` in a fork, as Ansible's workers are, and return its exit status: 0 for what is true."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            status = 0 if work() else 1
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_worker_inherits_the_channel_and_its_records_arrive(channel: Channel) -> None:
    assert in_worker(lambda: current_channel() is not None and current_channel().send(RECORD)) == 0  # type: ignore[union-attr]
    assert channel.receive() == [RECORD]
    assert channel.receive() == []


def test_a_program_that_a_worker_starts_gets_nothing_of_it(channel: Channel) -> None:
    listing = [sys.executable, "-c", "import os; print([os.readlink('/proc/self/fd/' + fd) for fd in ('%d',)])"]
    listing[2] %= channel._sending.fileno()
    done = subprocess.run(listing, capture_output=True, text=True, check=False, close_fds=False)
    assert "No such file" in done.stderr


def test_what_is_no_record_is_passed_over_and_the_others_arrive(channel: Channel) -> None:
    rubbish = [
        b"",
        b"\x1b[2J",
        b"[" * 2000,
        b"x" * (MAX_RECORD_BYTES * 10),
        json.dumps(dict(RECORD._asdict(), bytes_done=-5)).encode(),
    ]
    assert in_worker(lambda: all(channel.send_bytes(one) for one in rubbish) and channel.send(RECORD)) == 0
    assert channel.receive() == [RECORD]


def test_a_sender_is_never_kept_waiting_when_nobody_reads(channel: Channel) -> None:
    assert in_worker(lambda: [channel.send(RECORD) for dummy in range(20_000)] == [True] * 20_000) == 0
    arrived = len(channel.receive())
    assert 0 < arrived < 20_000, "what found no room was lost"
    assert channel.send(RECORD), "and what finds room again is sent"


def test_a_flood_is_taken_in_portions(channel: Channel) -> None:
    """So that the thread that draws is never kept by one worker that sends without an end."""
    child = os.fork()
    if child == 0:
        try:
            while channel.send_bytes(b"{}"):
                pass
        finally:
            os._exit(0)
    try:
        assert select.select([channel], [], [], 10)[0]
        for dummy in range(3):
            assert channel.receive() == [], "none of it is a record"
    finally:
        close_channel()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "a worker notices that nobody draws any more"


def test_a_worker_whose_records_found_no_room_learns_that_nobody_draws_any_more(channel: Channel) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(reading, 1)  # full by now, and closed
        os._exit(0 if not channel.send(RECORD) else 1)
    for dummy in range(5000):
        channel.send(RECORD)
    close_channel()
    os.write(writing, b"x")
    os.close(reading)
    os.close(writing)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_workers_that_were_forked_before_learn_that_nobody_draws_any_more(channel: Channel) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(reading, 1)  # the other end is closed by now, but for this worker's own copies of both
        os._exit(0 if not channel.send(RECORD) else 1)
    close_channel()
    os.write(writing, b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(reading)
    os.close(writing)


# -- the reporter ------------------------------------------------------------------------------------------------------


def status(percent: int, **more: Any) -> Dict[str, Any]:
    return dict({"phase": "reading", "bytes_in_use": 100 << 20, "bytes_done": percent << 20}, **more)


def test_without_a_channel_lines_are_shown() -> None:
    assert current_channel() is None
    shown: List[str] = []
    reporter = ProgressReporter("uuid", "press-1", "image", shown.append)
    reporter.enter("connecting")
    reporter.connection_lost(True)
    for percent in range(0, 101, 5):
        reporter.show(status(percent, rate_bytes_per_second=2_500_000, remaining_seconds=100 - percent))
    assert shown[0] == "press-1: image, reading 10 % of 105 MB, 2.5 MB/s, about 90 s left"
    assert shown[-1] == "press-1: image, reading 100 % of 105 MB, 2.5 MB/s"
    assert len(shown) == 10


def test_with_a_channel_nothing_is_printed_and_figures_outlive_a_phase_that_has_none(channel: Channel) -> None:
    shown: List[str] = []
    reporter = ProgressReporter("uuid", "press-1", "image", shown.append)
    reporter.enter("connecting")
    reporter.show(status(50, bytes_stored=7, rate_bytes_per_second=9, remaining_seconds=3, warnings=["w"]))
    reporter.connection_lost(True)
    reporter.connection_lost(False)
    reporter.show({"phase": "committing", "warnings": ["w", "v"]})
    assert shown == []
    connecting, reading, away, back, committing = channel.receive()
    assert (connecting.phase, connecting.percent) == ("connecting", None)
    assert (reading.percent, reading.rate_bytes_per_second, reading.remaining_seconds, reading.warnings) == (
        50,
        9,
        3,
        1,
    )
    assert away == reading._replace(is_away=True)
    assert back == reading
    assert committing == reading._replace(
        phase="committing", rate_bytes_per_second=0, remaining_seconds=None, warnings=2
    )


def test_lines_take_over_when_the_callback_gives_up_in_the_middle(channel: Channel) -> None:
    shown: List[str] = []
    reporter = ProgressReporter("uuid", "press-1", "image", shown.append)
    reporter.show(status(30))
    channel.close()
    reporter.show(status(40))
    reporter.show(status(50))
    assert shown == ["press-1: image, reading 40 % of 105 MB", "press-1: image, reading 50 % of 105 MB"]


def test_a_name_too_long_for_a_record_neither_fails_nor_prints(channel: Channel) -> None:
    shown: List[str] = []
    ProgressReporter("uuid", "x" * 5000, "image", shown.append).show(status(50))
    assert shown == []
    assert channel.receive() == []


def test_closing_twice_is_closing_once() -> None:
    open_channel()
    close_channel()
    close_channel()
    assert _progress_channel.current_channel() is None
