# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status of a run: it grows, is not written too often, stays small, and outlives a full file system."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest
from engine.agent import status
from engine.agent.redaction import RedactedLog, Redactor
from engine.agent.runner import _Runner
from engine.agent.spool import RunFolder, Spool
from engine.agent.status import StatusFile, current_status, first_status
from engine.errors import AgentFileFailed, RestoreLost, RestoreNotBegun, RunCancelled
from engine.host.process import boot_id
from engine.install import owned_files


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    tmp_path.chmod(0o700)
    one = RunFolder("run-1", str(tmp_path))
    one.write("status.json", first_status("run-1"))
    return one


def shown(folder: RunFolder) -> Dict[str, Any]:
    return folder.read("status.json") or {}


def progress(done: int) -> Dict[str, Any]:
    return {"event": "status", "phase": "reading", "bytes_in_use": 100, "bytes_done": done, "bytes_stored": done}


def test_a_wait_keeps_the_phase_that_it_interrupted(folder: RunFolder) -> None:
    file = StatusFile(folder, Redactor(), Clock())
    file.report(dict(progress(5), phase="writing"))
    file.report({"event": "status", "phase": "waiting for the storage", "phase_before": "writing"})
    waiting = file.snapshot()
    assert (waiting["phase"], waiting["phase_before"], waiting["bytes_done"]) == (
        "waiting for the storage",
        "writing",
        5,
    )
    file.report({"event": "status", "phase": "writing", "remaining_seconds": None})
    assert (file.snapshot()["phase"], file.snapshot()["phase_before"]) == ("writing", "")


def test_it_is_written_once_a_second_and_every_write_has_a_greater_number(folder: RunFolder) -> None:
    clock = Clock()
    file = StatusFile(folder, Redactor(), clock)
    file.running()
    assert (shown(folder)["number"], shown(folder)["state"]) == (2, "running")
    for tenth in range(1, 31):
        clock.now += 0.1
        file.report(progress(tenth))
    assert shown(folder)["number"] in (4, 5)
    clock.now += 1
    file.flush()
    number = shown(folder)["number"]
    assert shown(folder)["bytes_done"] == 30
    file.flush()
    assert shown(folder)["number"] == number, "nothing changed, nothing is written"
    file.report({"event": "of another kind"})
    clock.now += 1
    file.flush()
    assert shown(folder)["number"] == number
    file.end("cancelled", error=RunCancelled())
    assert shown(folder)["number"] == number + 1


def test_a_phase_without_a_measure_leaves_the_figures(folder: RunFolder) -> None:
    file = StatusFile(folder, Redactor(), Clock())
    file.report(progress(77))
    file.report({"event": "status", "phase": "committing", "bytes_in_use": 0, "bytes_done": 0, "bytes_stored": 0})
    snapshot = file.snapshot()
    assert (snapshot["phase"], snapshot["bytes_done"], snapshot["bytes_in_use"]) == ("committing", 77, 100)


def test_warnings_are_bounded_and_hold_no_secret(folder: RunFolder) -> None:
    redact = Redactor()
    redact.learn({"password": "geheim"})
    file = StatusFile(folder, redact, Clock())
    for number in range(500):
        file.report({"event": "warning", "message": "%d: geheim %s" % (number, "x" * 5000)})
    file.end("done", result={})
    warnings = shown(folder)["warnings"]
    assert len(warnings) == 100
    assert warnings[0].startswith("0: ******** x")
    assert {len(text) for text in warnings[:99]} == {1000}
    assert warnings[-1] == "401 more warnings were omitted."


def test_the_warnings_of_a_result_are_bounded_and_hold_no_secret(folder: RunFolder) -> None:
    redact = Redactor()
    redact.learn({"password": "geheim"})
    file = StatusFile(folder, redact, Clock())
    file.end("done", result={"image": "x", "warnings": ["%d: geheim %s" % (one, "x" * 5000) for one in range(500)]})
    warnings = shown(folder)["result"]["warnings"]
    assert len(warnings) == 100
    assert warnings[0].startswith("0: ******** x")
    assert {len(text) for text in warnings[:99]} == {1000}
    assert warnings[-1] == "401 more warnings were omitted."


def test_a_result_with_many_packs_stays_small(folder: RunFolder) -> None:
    packs = ["%064x" % number for number in range(50_000)]
    result = {
        "rollover": {"trashed_packs": packs, "purged_packs": packs, "freed_bytes": 7},
        "healed_packs": packs[:1000],
    }
    StatusFile(folder, Redactor(), Clock()).end("done", result=result)
    assert Path(folder.file("status.json")).stat().st_size < 256 << 10
    rollover = shown(folder)["result"]["rollover"]
    assert rollover["freed_bytes"] == 7
    for name in ("trashed_packs", "purged_packs"):
        assert rollover[name] == [*packs[:999], "... and 49001 more"]
    assert shown(folder)["result"]["healed_packs"] == packs[:1000]


def test_a_last_word_that_cant_be_written_makes_no_failure_of_a_finished_run(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()

    def full(path: str, dummy_document: Dict[str, Any], *, durable: bool = False) -> None:
        raise AgentFileFailed(operation="Writing", path=path, reason="No space left on device %s" % durable)

    def pause(seconds: float) -> None:
        clock.now += seconds

    monkeypatch.setattr("engine.agent.spool.write_document", full)
    monkeypatch.setattr(status.time, "sleep", pause)
    monkeypatch.setattr(_Runner, "_live", lambda dummy_self, dummy_installation, dummy_seconds: {"image": "x"})
    file = StatusFile(folder, Redactor(), clock)
    with pytest.raises(AgentFileFailed):
        _Runner(folder, file, Redactor()).run("", 1)
    assert (file.snapshot()["state"], file.snapshot()["result"]) == ("done", {"image": "x"}), "the mirror shows this"


def test_a_full_file_system_ends_no_run_and_is_waited_out_at_the_end(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, refusals = Clock(), [True] * 6
    write = owned_files.write_document

    def full(path: str, document: Dict[str, Any], *, durable: bool = False) -> None:
        if refusals and refusals.pop():
            raise AgentFileFailed(operation="Writing", path=path, reason="No space left on device")
        write(path, document, durable=durable)

    def pause(seconds: float) -> None:
        clock.now += seconds

    monkeypatch.setattr("engine.agent.spool.write_document", full)
    monkeypatch.setattr(status.time, "sleep", pause)
    file = StatusFile(folder, Redactor(), clock)
    for done in (1, 2, 3):
        clock.now += 2
        file.report(progress(done))
    assert shown(folder)["number"] == 1
    file.end("done", result={"image": "x"})
    assert (shown(folder)["state"], shown(folder)["bytes_done"]) == ("done", 3)
    refusals.extend([True] * 1000)
    with pytest.raises(AgentFileFailed):
        file.end("done", result={"image": "x"})


def test_many_threads_may_report(folder: RunFolder) -> None:
    file = StatusFile(folder, Redactor())

    def work() -> None:
        for done in range(200):
            file.report(progress(done))
            file.report({"event": "warning", "message": "w"})
            file.snapshot()

    threads = [threading.Thread(target=work) for dummy in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    file.end("done", result={})
    assert shown(folder)["warnings"][-1] == "701 more warnings were omitted."
    assert sorted(path.name for path in Path(folder.path).iterdir()) == ["status.json"], "nothing half-written is left"


class Pipe:
    """Where the log goes, as a list of lines."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lines: List[bytes] = []
        monkeypatch.setattr("engine.agent.redaction.os.write", lambda dummy, data: self.lines.append(data))


def test_a_secret_that_comes_in_pieces_is_found_in_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe, redact = Pipe(monkeypatch), Redactor()
    redact.learn({"password": "ge\"h'eim\\ \u00e4", "nested": [{"key": "line one of it\nline two of it"}]})
    log = RedactedLog(1, redact)
    log.write("it is ge")
    log.write("\"h'eim\\ \u00e4 here\nand ")
    log.write("%r\n" % "ge\"h'eim\\ \u00e4")
    log.write("line two of it\n")
    log.write("x" * (1 << 20) + "without an end")
    log.write("\n")
    assert b"".join(pipe.lines).decode() == "it is ******** here\nand '********'\n********\n\n"


def test_the_log_does_not_fill_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = Pipe(monkeypatch)
    log = RedactedLog(1, Redactor())
    for dummy in range(3000):
        log.write("x" * 1000 + "\n")
    assert sum(len(line) for line in pipe.lines) <= 1 << 20


def test_a_device_without_room_lets_a_run_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(dummy_descriptor: int, dummy_data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.agent.redaction.os.write", full)
    log = RedactedLog(1, Redactor())
    print("a warning of some library", file=log)
    assert log.write("more\n") == 5


def lost_restore(tmp_path: Path, *events: Dict[str, Any], check: bool = False) -> RunFolder:
    """A restore whose process told these events and was killed then; without one it waited for its secrets."""
    (tmp_path / "restore-1").mkdir(mode=0o700)
    one = RunFolder("restore-1", str(tmp_path / "restore-1"))
    one.write("job.json", {"verb": "restore", "map": {"disk0": "/dev/sdb"}, "check": check})
    one.write("runner.json", {"boot_id": boot_id()})
    one.write("status.json", first_status("restore-1"))
    if events:
        clock = Clock()
        file = StatusFile(one, Redactor(), clock)
        file.running()
        for event in events:
            clock.now += 2
            file.report(event)
    return one


def event(phase: str, done: int = 0) -> Dict[str, Any]:
    figures = {"bytes_in_use": 16_000_000, "bytes_done": done} if done else {"remaining_seconds": None}
    return dict({"event": "status", "phase": phase}, **figures)


OUTAGE = event("waiting for the storage")


@pytest.mark.parametrize(
    ("events", "has_figures"),
    [
        ([event("writing", 8_000_000)], True),
        ([event("writing", 8_000_000), dict(OUTAGE, phase_before="writing")], True),
        ([event("verifying", 8_000_000), dict(OUTAGE, phase_before="verifying")], False),
        ([event("verifying", 8_000_000)], False),
        ([event("shrinking", 8_000_000)], False),
        ([event("preparing")], False),
    ],
    ids=["writing", "outage while writing", "outage while verifying", "verifying", "shrinking", "preparing"],
)
def test_a_lost_restore_says_what_may_be_half_written(
    tmp_path: Path, events: List[Dict[str, Any]], has_figures: bool
) -> None:
    """The phase in the file is late by a second: in it the marker is written and tables are cleared."""
    error = current_status(Spool(str(tmp_path)), lost_restore(tmp_path, *events))["error"]
    assert error["code"] == RestoreLost.code
    assert "machine from /dev/sdb" in error["hint"]
    assert ("8.0 MB of 16.0 MB" in error["message"]) is has_figures
    # sentence: its promise about the target is the point
    assert ("written in part" in error["message"]) is not has_figures


@pytest.mark.parametrize("check", [False, True])
def test_a_restore_that_can_have_written_nothing_warns_of_no_target(tmp_path: Path, check: bool) -> None:
    told = [event("verifying", 8_000_000)] if check else []
    error = current_status(Spool(str(tmp_path)), lost_restore(tmp_path, *told, check=check))["error"]
    assert error["code"] == RestoreNotBegun.code
    # sentence: its promise about the target is the point
    assert "wrote nothing to /dev/sdb" in error["message"]
    assert "machine" not in error["hint"]


@pytest.mark.parametrize("left", [b"", b"{", None], ids=["empty", "torn", "the first one"])
def test_a_loss_of_power_leaves_no_promise_about_the_target(tmp_path: Path, left: Optional[bytes]) -> None:
    """The status is not flushed: behind a restart it may be an old one, or damaged."""
    folder = lost_restore(tmp_path)
    folder.write("runner.json", {"boot_id": "another"})
    if left is not None:
        Path(folder.file("status.json")).write_bytes(left)
    error = current_status(Spool(str(tmp_path)), folder)["error"]
    # sentence: its promise about the target is the point
    assert "written in part" in error["message"]
    assert "machine" in error["hint"]


def test_a_damaged_status_is_no_promise_without_a_restart_either(tmp_path: Path) -> None:
    folder = lost_restore(tmp_path)
    Path(folder.file("status.json")).write_bytes(bytes(200))
    # sentence: its promise about the target is the point
    assert "written in part" in current_status(Spool(str(tmp_path)), folder)["error"]["message"]
