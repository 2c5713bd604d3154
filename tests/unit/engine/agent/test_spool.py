# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The spool's locks and folders: who waits for whom, for how long, and what is never seen half-made."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from engine.agent import run_verbs
from engine.agent import spool as spool_module
from engine.agent import start_verb as starting
from engine.agent.spool import Spool
from engine.agent.status import current_status, first_status
from engine.errors import (
    AgentFileFailed,
    AgentPathUnsafe,
    JobHoldsSecrets,
    RequestInvalid,
    RunLives,
    RunNotReady,
    StorageUrlInvalid,
)
from support.refusing import failing


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    tmp_path.chmod(0o700)
    one = Spool(str(tmp_path / "base"))
    one.prepare()
    return one


def ended(spool: Spool, run: str) -> None:
    spool.create(run, {}, dict(first_status(run), state="done"))


def test_starts_wait_for_each_other_but_not_for_ever(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "_START_SECONDS", 0.3)
    with spool.start_lock("run-1"):
        with pytest.raises(RunNotReady):
            with spool.start_lock("run-2"):
                raise AssertionError("two at once")
    with spool.start_lock("run-2"):
        assert spool.living() == ""


def test_a_run_that_has_ended_gets_time_to_let_go(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It still shows its last status on the storage; the next run waits for that."""
    ended(spool, "run-1")
    first = spool.take_run_lock("run-1")
    threading.Timer(0.3, os.close, [first]).start()
    before = time.monotonic()
    second = spool.take_run_lock("run-2")
    assert 0.2 < time.monotonic() - before < 10
    assert spool.living() == "run-2"
    monkeypatch.setattr(spool_module, "_LET_GO_SECONDS", 0.2)
    ended(spool, "run-2")
    with failing(RunLives, other="run-2", verb="run"):
        spool.take_run_lock("run-3")
    os.pwrite(second, b"\n" * 6, 0)
    with failing(RunLives, is_named=False) as caught:
        spool.take_run_lock("run-3")
    assert "imaging_run" not in caught.value.as_dict()["hint"], "there is no id to give"
    os.close(second)
    assert spool.living() == ""


def test_a_run_that_has_not_ended_is_named_at_once(spool: Spool) -> None:
    spool.create("run-1", {}, first_status("run-1"))
    lock = spool.take_run_lock("run-1")
    before = time.monotonic()
    with failing(RunLives, other="run-1"):
        spool.take_run_lock("run-2")
    assert time.monotonic() - before < 2
    os.close(lock)


def test_looking_at_the_lock_never_keeps_a_run_from_starting(spool: Spool) -> None:
    """Looking takes the lock for a moment; a run that starts meanwhile tries again."""
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            spool.living()

    lookers = [threading.Thread(target=look) for dummy in range(4)]
    for looker in lookers:
        looker.start()
    try:
        for number in range(20):
            os.close(spool.take_run_lock("run-%d" % number))
    finally:
        stop.set()
        for looker in lookers:
            looker.join()


def test_a_folder_is_seen_whole_or_not_at_all(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: List[Any] = []
    rename = os.rename

    def watched(source: str, destination: str) -> None:
        seen.append(([folder.run for folder in spool.runs()], sorted(os.listdir(source))))
        rename(source, destination)

    monkeypatch.setattr(spool_module.os, "rename", watched)
    folder = spool.create("run-1", {"verb": "image"}, first_status("run-1"))
    assert seen == [([], ["job.json", "status.json"])]
    monkeypatch.setattr(spool_module.shutil, "rmtree", lambda path: seen.append([one.run for one in spool.runs()]))
    spool.delete(folder)
    assert seen[-1] == []


def test_a_run_that_is_forgotten_while_others_are_listed_is_left_out(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run in ("run-1", "run-2", "run-3"):
        spool.create(run, {}, first_status(run))
    check, status = spool_module.check_directory, run_verbs.current_status

    def checked(path: str) -> None:
        if path.endswith("run-1"):
            spool.delete(spool.folder("run-1"))
        check(path)

    def looked_at(one: Spool, folder: spool_module.RunFolder) -> Dict[str, Any]:
        if folder.run == "run-2":
            spool.delete(folder)
        return status(one, folder)

    monkeypatch.setattr(spool_module, "check_directory", checked)
    monkeypatch.setattr(run_verbs, "current_status", looked_at)
    assert [one["run"] for one in run_verbs.runs(spool)["runs"]] == ["run-3"]


def test_a_run_that_failed_before_its_runner_said_who_it_is_is_found_again(spool: Spool, tmp_path: Path) -> None:
    spool.create("run-1", {}, dict(first_status("run-1"), state="failed"))
    answer = starting.start(spool, "run-1", str(tmp_path / "removed.json"), "", 5)
    assert (answer["created"], answer["status"]["state"], answer["public_key"]) == (False, "failed", None)


@pytest.mark.parametrize(
    ("job", "error"),
    [
        ({"secrets": {"password": "geheim"}}, JobHoldsSecrets),
        ({"storage": {"url": "sftp://user:geheim@host/x"}}, StorageUrlInvalid),
        ([], RequestInvalid),
    ],
)
def test_a_file_that_is_refused_is_removed(job: Any, error: Any, spool: Spool, tmp_path: Path) -> None:
    given = tmp_path / "job.json"
    given.write_text(json.dumps(job), encoding="ascii")
    with pytest.raises(error) as caught:
        starting.start(spool, "run-1", str(given), "", 5)
    assert "geheim" not in str(caught.value)
    assert not given.exists()
    assert spool.runs() == []


def link_to_a_job(path: Path) -> None:
    other = path.with_name("other.json")
    other.write_text("{}", encoding="ascii")
    path.symlink_to(other)


@pytest.mark.parametrize("make", [link_to_a_job, os.mkfifo, os.mkdir])
def test_only_a_regular_file_is_taken(make: Callable[[Path], None], spool: Spool, tmp_path: Path) -> None:
    given = tmp_path / "given.json"
    make(given)
    with pytest.raises(AgentPathUnsafe, match=r"given\.json"):
        starting.start(spool, "run-1", str(given), "", 5)
    spool.create("run-2", {}, first_status("run-2"))
    lock = spool.take_run_lock("run-2")
    with pytest.raises(AgentPathUnsafe, match=r"given\.json"):
        starting.deliver(spool, "run-2", str(given))
    os.close(lock)


def test_a_full_file_system_starts_no_run(spool: Spool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = tmp_path / "job.json"
    given.write_text("{}", encoding="ascii")

    def full(dummy_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("engine.install.owned_files.os.fsync", full)
        with failing(AgentFileFailed, reason=errno.ENOSPC):
            starting.start(spool, "run-1", str(given), "", 5)
    assert spool.runs() == []
    assert spool.living() == ""
    assert given.exists(), "it can be tried again"
    spool.sweep()
    assert sorted(os.listdir(spool.path)) == [".lock"]


def test_a_status_without_its_parts_is_a_lost_run(spool: Spool) -> None:
    folder = spool.create("run-1", {}, {"state": "running"})
    status = current_status(spool, folder)
    assert (status["state"], status["number"], status["run"]) == ("lost", 2, "run-1")
    assert "killed before" in status["error"]["message"]
