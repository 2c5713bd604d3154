# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runs that an interrupted play leaves: noted by forked workers that end without a word, told by the process above."""

from __future__ import annotations

import os
import tempfile
from typing import Any, Callable, List

import pytest
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress import interrupted
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.interrupted import (
    CANCELLED,
    HERE,
    ON_DEVICE,
    Followed,
    FollowedRuns,
    lines_of,
)

RUN = Followed("task", "press-02", "image", "image-0f-1", ON_DEVICE)


def in_worker(work: Callable[[], Any]) -> None:
    """Do ``work`` in a fork that ends on the spot, as a worker of Ansible does at an interrupt."""
    child = os.fork()
    if child == 0:
        work()
        os._exit(1)
    os.waitpid(child, 0)


def test_a_run_that_an_ended_worker_followed_is_left() -> None:
    runs = FollowedRuns()
    in_worker(lambda: runs.begin(RUN))
    in_worker(lambda: runs.begin(RUN._replace(device="press-01", run="image-0f-2")))
    assert runs.left() == [RUN._replace(device="press-01", run="image-0f-2"), RUN]


def test_a_run_whose_task_has_its_outcome_is_not_left() -> None:
    runs = FollowedRuns()
    in_worker(lambda: (runs.begin(RUN), runs.end(RUN.task, RUN.device)))
    in_worker(lambda: runs.begin(RUN._replace(task="another")))
    assert runs.left() == [RUN._replace(task="another")]


def test_a_run_that_is_found_in_progress_replaces_the_one_that_was_to_start() -> None:
    runs = FollowedRuns()
    in_worker(lambda: (runs.begin(RUN), runs.begin(RUN._replace(run="image-0f-9"))))
    assert [one.run for one in runs.left()] == ["image-0f-9"]


def test_many_workers_at_once_lose_no_note() -> None:
    runs = FollowedRuns()
    children = []
    for number in range(20):
        child = os.fork()
        if child == 0:
            for again in range(50):
                runs.begin(RUN._replace(device="press-%02d" % number, run="image-%d" % again))
            os._exit(1)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    assert [(one.device, one.run) for one in runs.left()] == [("press-%02d" % n, "image-49") for n in range(20)]


def test_only_the_process_that_forked_them_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    told: List[str] = []
    monkeypatch.setattr(interrupted, "show_sentence", told.append)
    runs = FollowedRuns()
    runs.begin(RUN)
    monkeypatch.setattr(runs, "_process_id", os.getppid())
    runs.tell()
    assert told == []
    monkeypatch.setattr(runs, "_process_id", os.getpid())
    runs.tell()
    assert told == lines_of([RUN])


def test_without_room_for_the_file_nothing_is_told_and_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*dummy: Any, **dummy_options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "mkstemp", full)
    runs = FollowedRuns()
    runs.begin(RUN)
    assert runs.left() == []


def test_a_line_names_device_run_and_the_command_to_cancel_it() -> None:
    first, last = lines_of([RUN])
    assert first.startswith("press-02: ")
    assert first.endswith(
        "ansible-playbook plantops.imaging.image --limit press-02 -e imaging_run=image-0f-1 -e imaging_cancel=true"
    )
    assert "same command" in last


@pytest.mark.parametrize(
    ("left", "word"),
    [
        (RUN._replace(fate=CANCELLED), "imaging_cancel_on_interrupt"),
        (RUN._replace(run="", fate=HERE), "Earlier images"),
        (RUN._replace(verb="restore", run="", fate=HERE), "incomplete"),
    ],
)
def test_a_run_that_does_not_continue_has_one_line_without_a_command_to_cancel(left: Followed, word: str) -> None:
    (line,) = lines_of([left])
    assert word in line
    assert "imaging_cancel=true" not in line


def test_a_play_that_was_not_interrupted_says_nothing() -> None:
    assert lines_of([]) == []
