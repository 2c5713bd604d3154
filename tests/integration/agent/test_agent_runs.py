# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of the agent: one at a time, once for each id, alive without whoever started them, and known when they are lost."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Dict

import pytest
from engine.image.device_directory import DeviceDirectory
from engine.image.upkeep.verify import verify_image
from engine.storage.local.storage import DirectoryStorage
from support.agent_runs import PASSWORD, AgentOnDevice, Refused, image_job, is_gone, random_disk, wait_until

DISK_BYTES = 24_000_000


@pytest.fixture
def job(memory_path: Path) -> Dict[str, Any]:
    return image_job(memory_path, random_disk(memory_path / "disk.img", DISK_BYTES))


@pytest.fixture
def long_job(memory_path: Path) -> Dict[str, Any]:
    """Some seconds of reading and four changes of the status: progress is told for each 256 MiB."""
    disk = memory_path / "long.img"
    with open(disk, "wb") as file:
        file.truncate(1 << 30)
    return image_job(memory_path, disk, limit_read_rate=200)


def slow(job: Dict[str, Any]) -> Dict[str, Any]:
    """The same job sending for three seconds, a pack every second or two."""
    return dict(job, limit_io_rate=8)


def reading(status: Dict[str, Any]) -> bool:
    return int(status["bytes_done"]) > 0


def check_image(folder: Path, image: str) -> None:
    report = verify_image(
        DirectoryStorage(str(folder / "storage")), "pc", image, "full", password=PASSWORD, record=False
    )
    assert report.ok, report.problems


def test_a_run_from_start_to_end(agent: AgentOnDevice, job: Dict[str, Any], memory_path: Path) -> None:
    given = agent.put(job)
    hello = agent.call("start", "run-1", given)
    assert hello["created"] is True
    assert (hello["status"]["state"], hello["status"]["number"]) == ("waiting", 1)
    assert not os.path.exists(given), "the file that was given is the spool's now"
    assert agent.call("start", "run-1", agent.put(job)) == dict(hello, created=False)
    assert agent.deliver(hello)["status"]["state"] in ("running", "done")
    status = agent.wait("run-1")
    assert status["state"] == "done"
    assert status["bytes_done"] == status["bytes_in_use"] == DISK_BYTES
    check_image(memory_path, status["result"]["image"])
    again = agent.deliver(hello)["status"]
    assert again == status, "a second delivery changes nothing"
    assert agent.call("start", "run-1", agent.put(job))["status"] == status
    assert [(one["run"], one["state"]) for one in agent.call("runs")["runs"]] == [("run-1", "done")]
    assert agent.log("run-1") == ""
    assert agent.call("forget", "run-1")["changed"] is True
    assert agent.call("forget", "run-1")["changed"] is False
    assert agent.call("runs")["runs"] == []


def test_the_status_only_grows_and_is_waited_for(agent: AgentOnDevice, long_job: Dict[str, Any]) -> None:
    agent.begin("run-1", long_job)
    numbers, done = [], []
    status = agent.status("run-1")
    while status["state"] == "running":
        numbers.append(status["number"])
        done.append(status["bytes_done"])
        before = time.monotonic()
        status = agent.status("run-1", "--after", str(status["number"]), "--wait", "5")
        assert time.monotonic() - before < 5, "it is answered when there is something new"
    assert status["state"] == "done"
    numbers.append(status["number"])
    assert numbers == sorted(set(numbers))
    assert done == sorted(done)
    assert len(numbers) >= 4
    assert status["number"] <= 10, "not more than once a second"
    before = time.monotonic()
    assert agent.status("run-1", "--after", "1000000", "--wait", "60") == status
    assert time.monotonic() - before < 5, "one that has ended is answered at once"


def test_a_status_that_does_not_change_is_waited_for_that_long(agent: AgentOnDevice, job: Dict[str, Any]) -> None:
    agent.start("run-1", job)
    before = time.monotonic()
    assert agent.status("run-1", "--after", "1", "--wait", "1.5")["number"] == 1
    assert 1.5 <= time.monotonic() - before < 4


def test_the_same_id_at_the_same_time_is_one_run(agent: AgentOnDevice, job: Dict[str, Any]) -> None:
    starts = [agent.open("start", "run-1", agent.put(job)) for dummy in range(8)]
    answers = [json.loads(process.communicate()[0]) for process in starts]
    assert [answer["ok"] for answer in answers] == [True] * 8
    assert sorted(answer["created"] for answer in answers) == [False] * 7 + [True]
    assert len({(answer["public_key"], answer["nonce"]) for answer in answers}) == 1
    agent.deliver(answers[3])
    assert agent.wait("run-1")["state"] == "done"


def test_many_ids_at_the_same_time_are_one_run_and_refusals_that_name_it(
    agent: AgentOnDevice, job: Dict[str, Any]
) -> None:
    starts = [agent.open("start", "run-%d" % number, agent.put(job)) for number in range(8)]
    answers = [json.loads(process.communicate()[0]) for process in starts]
    (winner,) = (answer["run"] for answer in answers if answer["ok"])
    refusals = [answer for answer in answers if not answer["ok"]]
    assert {answer["code"] for answer in refusals} == {"A312"}
    assert all(winner in answer["message"] for answer in refusals)
    assert [one["run"] for one in agent.call("runs")["runs"]] == [winner]


def test_a_second_run_begins_as_soon_as_the_first_has_ended(agent: AgentOnDevice, job: Dict[str, Any]) -> None:
    agent.start("run-1", job)
    with pytest.raises(Refused, match="run-1") as caught:
        agent.start("run-2", job)
    assert caught.value.code == "A312"
    agent.call("cancel", "run-1")
    assert agent.wait("run-1")["state"] == "cancelled"
    first = agent.finish("run-2", job)
    second = agent.finish("run-3", job)
    assert second["bytes_stored"] < first["bytes_stored"] / 100


def test_the_end_of_the_session_that_started_it_does_not_end_a_run(agent: AgentOnDevice, job: Dict[str, Any]) -> None:
    hello = agent.put(slow(job))
    session = subprocess.Popen(
        ["sh", "-c", '"$@"; sleep 1000', "sh", *agent.command, "start", "run-1", hello],
        stdout=subprocess.PIPE,
        env=agent.environment,
        start_new_session=True,
    )
    assert session.stdout is not None
    answer = json.loads(session.stdout.readline())
    agent.deliver(answer)
    os.killpg(session.pid, signal.SIGHUP)
    os.killpg(session.pid, signal.SIGKILL)
    session.wait()
    assert session.stdout.read() == b"", "nobody holds the other end of the connection any more"
    runner = agent.runner("run-1")
    assert os.getsid(runner) != session.pid
    assert os.readlink("/proc/%d/cwd" % runner) == "/"
    held = sorted(os.readlink("/proc/%d/fd/%s" % (runner, name)) for name in os.listdir("/proc/%d/fd" % runner))
    allowed = ("/dev/null", str(agent.base), str(agent.folder / "storage"), str(job["drives"][0]), "/sys/", "/proc/")
    assert [name for name in held if not name.startswith(allowed)] == []
    assert agent.wait("run-1")["state"] == "done"


def sent_packs(folder: Path) -> Dict[str, int]:
    storage = DirectoryStorage(str(folder / "storage"))
    return DeviceDirectory(storage, "pc").packs() if storage.exists("pc") else {}


def test_a_killed_run_is_lost_and_the_next_one_uses_what_it_sent(
    agent: AgentOnDevice, job: Dict[str, Any], memory_path: Path
) -> None:
    random_disk(memory_path / "disk.img", 60_000_000)
    agent.begin("run-1", slow(job))
    wait_until(lambda: len(sent_packs(memory_path)) >= 4, 60)
    agent.kill("run-1")
    status = agent.status("run-1")
    assert (status["state"], status["error"]["code"]) == ("lost", "A315")
    assert "killed" in status["error"]["message"]
    assert agent.status("run-1") == status, "it stays as it was told first"
    sent = sum(sent_packs(memory_path).values())
    assert sent > 30_000_000
    result = agent.finish("run-2", job)
    assert result["bytes_reused"] > 30_000_000
    assert result["bytes_stored"] < 60_100_000 - sent + 1_000_000, "nothing was sent twice"
    check_image(memory_path, result["image"])


@pytest.mark.parametrize("kills", [4, pytest.param(50, marks=pytest.mark.long)])
def test_kills_at_random_moments(kills: int, agent: AgentOnDevice, job: Dict[str, Any], memory_path: Path) -> None:
    chance = random.Random(20261124)
    for number in range(kills):
        run = "run-%d" % number
        hello = agent.start(run, slow(job))
        if chance.random() < 0.8:
            agent.deliver(hello)
        time.sleep(chance.random() * 3)
        with contextlib.suppress(ProcessLookupError):  # what is stored already is soon done
            agent.kill(run)
        status = agent.status(run)
        assert status["state"] in ("lost", "done"), status
        if status["state"] == "lost":
            assert status["error"]["code"] == "A315"
            assert status["number"] >= 2
        assert not agent.file(run, "sealed.json").exists()
    result = agent.finish("run-last", job)
    check_image(memory_path, result["image"])
    assert agent.log("run-last") == ""


@pytest.mark.parametrize("kills", [10, pytest.param(150, marks=pytest.mark.long)])
def test_a_start_that_is_killed_at_any_moment_can_be_repeated(
    kills: int, agent: AgentOnDevice, job: Dict[str, Any]
) -> None:
    """What a lost connection looks like from the device: the verb dies, and comes again with the same id."""
    chance = random.Random(20261124)
    before = time.monotonic()
    agent.start("first", job)
    usual_seconds = time.monotonic() - before
    agent.call("cancel", "first")
    agent.wait("first")
    found = 0
    for number in range(kills):
        run = "run-%d" % number
        with agent.open("start", run, agent.put(job)) as process:
            time.sleep(chance.random() * 1.2 * usual_seconds)
            process.kill()
        answer = agent.start(run, job)
        found += not answer["created"]
        assert answer["status"]["state"] == "waiting"
        assert answer["public_key"]
        assert [one["run"] for one in agent.call("runs")["runs"] if one["state"] == "waiting"] == [run]
        agent.call("cancel", run)
        assert agent.wait(run)["state"] == "cancelled"
    assert kills < 100 or 0 < found < kills, "neither always before the run began nor always after it"
    assert [name for name in os.listdir(agent.base / "spool") if name.startswith((".new-", ".old-"))] == []


def test_a_start_that_was_killed_half_way_is_begun_anew(agent: AgentOnDevice, job: Dict[str, Any]) -> None:
    agent.start("run-0", job)
    agent.call("cancel", "run-0")
    agent.wait("run-0")
    half = agent.base / "spool" / "run-1"
    half.mkdir(mode=0o700)
    (half / "job.json").write_text("{}", encoding="ascii")
    debris = agent.base / "spool" / ".new-0123456789abcdef"
    debris.mkdir(mode=0o700)
    assert agent.status("run-1")["state"] == "lost"
    assert agent.finish("run-1", job)["changed"] is True
    assert not debris.exists()


def test_a_restart_of_the_device_is_told_from_a_kill_and_a_reused_process_id_deceives_nobody(
    agent: AgentOnDevice, job: Dict[str, Any]
) -> None:
    for run, change, words in (
        ("run-1", {"boot_id": "another"}, "the device restarted"),
        ("run-2", {"pid": os.getpid()}, "its process was killed"),
    ):
        agent.start(run, job)
        agent.kill(run)
        path = agent.file(run, "runner.json")
        path.write_text(json.dumps(dict(json.loads(path.read_text(encoding="ascii")), **change)), encoding="ascii")
        status = agent.status(run)
        assert status["state"] == "lost"
        assert words in status["error"]["message"]
    assert agent.finish("run-3", job)["changed"] is True


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"\xff\xfe"])
def test_a_status_that_a_loss_of_power_left_empty_is_a_lost_run(
    content: bytes, agent: AgentOnDevice, job: Dict[str, Any]
) -> None:
    agent.start("run-1", job)
    agent.kill("run-1")
    agent.file("run-1", "status.json").write_bytes(content)
    assert agent.status("run-1")["state"] == "lost"


def test_cancelling_while_it_waits_and_while_it_reads(
    agent: AgentOnDevice, job: Dict[str, Any], long_job: Dict[str, Any], memory_path: Path
) -> None:
    agent.start("run-1", job)
    agent.call("cancel", "run-1")
    assert agent.wait("run-1")["error"]["code"] == "J101"
    agent.begin("run-2", long_job)
    assert agent.wait("run-2", reading)["state"] == "running"
    agent.call("cancel", "run-2")
    before = time.monotonic()
    status = agent.wait("run-2")
    assert time.monotonic() - before < 5
    assert (status["state"], status["error"]["code"]) == ("cancelled", "J101")
    assert agent.call("cancel", "run-2")["status"] == status, "one that has ended is left as it is"
    check_image(memory_path, agent.finish("run-3", job)["image"])


def test_a_shutdown_is_told_from_a_play_that_cancels(agent: AgentOnDevice, long_job: Dict[str, Any]) -> None:
    agent.begin("run-1", long_job)
    agent.wait("run-1", reading)
    runner = agent.runner("run-1")
    os.kill(runner, signal.SIGTERM)
    status = agent.wait("run-1")
    assert status["state"] == "failed"
    assert status["error"]["code"] == "A319"
    assert "SIGTERM" in status["error"]["message"]
    wait_until(lambda: is_gone(runner))


def test_a_failure_of_the_run_is_in_its_status(agent: AgentOnDevice, job: Dict[str, Any]) -> None:
    agent.begin("run-1", dict(job, drives=["/nowhere/disk.img"]))
    status = agent.wait("run-1")
    assert status["state"] == "failed"
    assert status["error"]["code"] == "D100"
    assert set(status["error"]) == {"code", "message", "hint"}


def test_the_spool_keeps_twenty_runs_that_have_ended(agent: AgentOnDevice, job: Dict[str, Any]) -> None:
    agent.start("run-00", job)
    agent.call("cancel", "run-00")
    status = agent.wait("run-00")
    for number in range(1, 30):
        folder = agent.base / "spool" / ("run-%02d" % number)
        folder.mkdir(mode=0o700)
        updated = "2026-11-%02dT00:00:00Z" % number
        (folder / "status.json").write_text(
            json.dumps(dict(status, run=folder.name, updated=updated)), encoding="ascii"
        )
    agent.start("run-new", job)
    left = [one["run"] for one in agent.call("runs")["runs"]]
    assert len(left) == 21
    assert "run-00" in left, "the newest"
    assert "run-10" not in left
    assert "run-29" in left
    with pytest.raises(Refused) as caught:
        agent.call("forget", "run-new")
    assert caught.value.code == "A314"


@pytest.mark.parametrize("verb", ["status", "cancel", "deliver", "start", "forget"])
@pytest.mark.parametrize("run", ["../../etc", "RUN", "a" * 65, "", "a/b", "a.b", "ä"])
def test_an_id_is_never_a_path(verb: str, run: str, agent: AgentOnDevice, job: Dict[str, Any]) -> None:
    words = [agent.put(job)] if verb in ("deliver", "start") else []
    with pytest.raises(Refused) as caught:
        agent.call(verb, run, *words)
    assert caught.value.code == "A310"
    assert not agent.base.exists()


def test_what_nobody_knows_and_what_this_agent_is(agent: AgentOnDevice) -> None:
    for verb in ("status", "cancel"):
        with pytest.raises(Refused) as caught:
            agent.call(verb, "run-1")
        assert caught.value.code == "A311"
    assert agent.call("runs")["runs"] == []
    assert agent.call("version")["protocol"] == 1
    assert agent.call("info")["information"]["version"] >= 1
    with agent.open("nonsense", stderr=subprocess.DEVNULL) as process:
        assert process.communicate()[0] == b""
    assert process.returncode == 2
