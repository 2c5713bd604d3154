# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets of a run: in the runner's memory and nowhere else, at no moment, and lost with it."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import threading
import time
from pathlib import Path
from typing import Any, Dict, List

import pytest
from engine._libraries import x25519
from engine.agent import runner
from engine.agent.sealing import Recipient, seal
from engine.agent.spool import RunFolder
from engine.agent.status import first_status
from engine.errors import SecretsRefused
from engine.verbs import dispatch
from engine.verbs.request import ImageRequest
from support.agent_runs import (
    PASSWORD,
    STORAGE_PASSWORD,
    AgentOnDevice,
    Refused,
    image_job,
    pieces_of,
    random_disk,
    wait_until,
)

SECRETS = pieces_of(PASSWORD) + pieces_of(STORAGE_PASSWORD)


@pytest.fixture
def job(memory_path: Path) -> Dict[str, Any]:
    return image_job(memory_path, random_disk(memory_path / "disk.img", 24_000_000), limit_io_rate=8)


def shown_by_processes(base: Path) -> bytes:
    """Arguments and environment of every process that has to do with the agent, as root sees them."""
    shown = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
            if str(base).encode() in words:
                shown += [words, (folder / "environ").read_bytes()]
        except OSError:
            continue  # it has ended
    return b"\n".join(shown)


class Sampler(threading.Thread):
    """Looks again and again at all that others could see."""

    def __init__(self, agent: AgentOnDevice) -> None:
        super().__init__()
        self._agent = agent
        self.stop = threading.Event()
        self.rounds = 0
        self.names: set = set()
        self.found: List[str] = []

    def run(self) -> None:
        while not self.stop.is_set():
            contents = self._agent.contents()
            contents["processes"] = shown_by_processes(self._agent.base)
            self.names.update(os.path.basename(name).split(".")[0] for name in contents)
            self.found += [name for name, data in contents.items() if any(secret in data for secret in SECRETS)]
            self.rounds += 1


def test_at_no_moment_of_a_run_a_secret_lies_anywhere(agent: AgentOnDevice, job: Dict[str, Any]) -> None:
    sampler = Sampler(agent)
    sampler.start()
    try:
        agent.begin("run-1", job)
        status = agent.wait("run-1")
        agent.begin(
            "run-2", dict(job, storage={"url": "sftp://127.0.0.1:1/x", "username": "u", "time_limit_seconds": 1})
        )
        failed = agent.wait("run-2")
    finally:
        sampler.stop.set()
        sampler.join()
    assert status["state"] == "done", status
    assert failed["state"] == "failed", failed
    assert sampler.rounds > 20
    assert {"job", "hello", "runner", "status", "processes"} <= sampler.names
    assert sampler.found == []
    assert not agent.file("run-1", "sealed.json").exists()


def test_a_job_with_secrets_in_clear_never_gets_into_the_spool(agent: AgentOnDevice, job: Dict[str, Any]) -> None:
    for given, name in (
        (dict(job, secrets={"password": PASSWORD}), "secrets"),
        (dict(job, storage=dict(job["storage"], password=STORAGE_PASSWORD)), "storage.password"),
        (dict(job, storage=dict(job["storage"], private_key=STORAGE_PASSWORD)), "storage.private_key"),
    ):
        with pytest.raises(Refused, match=name) as caught:
            agent.start("run-1", given)
        assert caught.value.code == "A318"
    assert not any(secret in data for data in agent.contents().values() for secret in SECRETS)
    assert agent.call("runs")["runs"] == []


@pytest.mark.parametrize("job_file", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"a": "' + b"x" * (1 << 20) + b'"}'])
def test_a_job_that_is_none_is_refused(job_file: bytes, agent: AgentOnDevice) -> None:
    path = agent.folder / "job.json"
    path.write_bytes(job_file)
    with pytest.raises(Refused) as caught:
        agent.call("start", "run-1", str(path))
    assert caught.value.code == "J100"


def opens(sealed: Dict[str, str], lying_about: bytes) -> bool:
    """Whether some 32 bytes of all that lies about are the private key; any 32 bytes could be one of X25519."""
    message = json.dumps(sealed).encode("ascii")
    for start in range(len(lying_about) - 31):
        recipient = Recipient(sealed["run"])
        recipient._nonce = base64.b64decode(sealed["nonce"])
        recipient._private_key = x25519().X25519PrivateKey.from_private_bytes(lying_about[start : start + 32])
        try:
            recipient.open(message)
        except SecretsRefused:
            continue
        return True
    return False


def test_what_was_captured_opens_nothing_once_the_run_has_ended(agent: AgentOnDevice, job: Dict[str, Any]) -> None:
    hello = agent.start("run-1", job)
    secrets = {"secrets": {"password": PASSWORD}, "storage": {}}
    sealed = seal(hello, secrets)
    before = agent.contents()
    agent.call("deliver", "run-1", agent.put(sealed))
    agent.kill("run-1")
    everything = b"".join([*before.values(), *agent.contents().values()])
    assert len(everything) > 1000
    assert not opens(sealed, everything)
    with pytest.raises(SecretsRefused):
        Recipient("run-1").open(json.dumps(sealed).encode("ascii"))
    forgetful = Recipient("run-1")  # what would be found if a runner wrote its key down
    written_down = forgetful._private_key.private_bytes_raw()
    assert opens(seal(forgetful.hello(), secrets), everything + written_down + b"more")


def test_secrets_that_were_not_sealed_for_it_fail_the_run(agent: AgentOnDevice, job: Dict[str, Any]) -> None:
    for number, change in enumerate(({"run": "run-9"}, {"nonce": "A" * 43 + "="}, {"sealed": "AAAA"}, {"more": "x"})):
        run = "run-%d" % number
        hello = agent.start(run, job)
        sealed = seal(hello, {"secrets": {"password": PASSWORD}, "storage": {}})
        with pytest.raises(Refused) as caught:
            agent.call("deliver", run, agent.put(dict(sealed, **change)))
        assert caught.value.code == "A316"
        status = agent.status(run)
        assert (status["state"], status["error"]["code"]) == ("failed", "A316")
        assert not agent.file(run, "sealed.json").exists()
    big = agent.folder / "big.json"
    big.write_bytes(b" " * (300 << 10))
    agent.start("run-big", job)
    with pytest.raises(Refused) as caught:
        agent.call("deliver", "run-big", str(big))
    assert caught.value.code == "A316"
    assert agent.status("run-big")["state"] == "waiting", "it never reached the run"


def test_a_run_that_gets_no_secrets_gives_up(agent: AgentOnDevice, job: Dict[str, Any]) -> None:
    hello = agent.start("run-1", job, "--wait-for-secrets", "1")
    status = agent.wait("run-1")
    assert (status["state"], status["error"]["code"]) == ("failed", "A317")
    assert "within 1 seconds" in status["error"]["message"]
    assert agent.deliver(hello)["status"] == status
    assert not agent.file("run-1", "sealed.json").exists()
    assert list((agent.folder / "storage").iterdir()) == []


def serve_in_a_child(folder: RunFolder) -> int:
    child = os.fork()
    if child == 0:
        try:
            runner.serve(folder, "", 30)
        finally:
            os._exit(0)
    return child


def test_what_a_defect_prints_holds_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "-----BEGIN KEY-----\nMC4CAQAwBQYDK2VwBCIEIFYz\nanother-line-of-it\n-----END KEY-----\n"

    def broken(request: ImageRequest, report: Any, dummy_cancelled: Any) -> Dict[str, Any]:
        report({"event": "warning", "message": "the server said %s" % request.storage.password})
        print("printed", request.passwords.password)
        raise ValueError("with %s and %r and\n%s" % (request.passwords.password, request.storage.as_mapping(), key))

    monkeypatch.setattr(dispatch, "run_request", broken)
    tmp_path.chmod(0o700)
    folder = RunFolder("run-1", str(tmp_path))
    document = {"verb": "image", "device": "pc", "drives": ["all"], "storage": {"url": "/x"}}
    folder.write("job.json", document)
    folder.write("status.json", first_status("run-1"))
    child = serve_in_a_child(folder)
    wait_until(lambda: folder.has("hello.json"))
    hidden = {"password": STORAGE_PASSWORD, "private_key": key}
    folder.write(
        "sealed.json", seal(folder.read("hello.json") or {}, {"secrets": {"password": PASSWORD}, "storage": hidden})
    )
    os.waitpid(child, 0)
    log = (tmp_path / "engine.log").read_text(encoding="utf-8")
    assert "Traceback" in log
    assert "printed" in log
    assert "********" in log
    status = folder.read("status.json") or {}
    assert status["error"]["code"] == "X000"
    assert status["warnings"] == ["the server said ********"]
    everything = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for secret in [*SECRETS, b"MC4CAQAwBQYDK2VwBCIEIFYz", b"another-line-of-it"]:
        assert secret not in everything


def hostile(chance: random.Random, whole: Dict[str, str]) -> bytes:
    """A sealed message with something wrong in it."""
    values: List[Any] = [None, 1, [], {}, "", "ä", "=" * 44, "A" * 44, whole, 10**400, ["x"] * 50, True]
    kind = chance.randrange(4)
    message: Dict[str, Any] = dict(whole)
    if kind == 0:
        message[chance.choice(sorted(message))] = chance.choice(values)
    elif kind == 1:
        del message[chance.choice(sorted(message))]
    data = bytearray(json.dumps(message).encode("utf-8"))
    if kind == 2:
        place = chance.randrange(len(data))
        data[place] ^= 1 << chance.randrange(8)
    elif kind == 3:
        del data[chance.randrange(len(data)) :]
    return bytes(data)


def test_hostile_messages_are_one_error_and_never_open() -> None:
    chance = random.Random(4)
    secrets = {"secrets": {"password": PASSWORD}, "storage": {"password": STORAGE_PASSWORD}}
    recipient = Recipient("run-1")
    whole = seal(recipient.hello(), secrets)
    assert recipient.open(json.dumps(whole).encode("ascii")) == secrets
    until = time.monotonic() + 5
    rounds = opened = 0
    while time.monotonic() < until and rounds < 3000:
        message = hostile(chance, whole)
        with contextlib.suppress(SecretsRefused):
            # The last digit before the padding and the top bit of a key carry nothing: changed, it is the same message.
            assert recipient.open(message) == secrets
            opened += message != json.dumps(whole).encode("ascii")
        rounds += 1
    assert rounds > 500
    assert opened < rounds / 50
    deep = [b"[" * 200_000, b'{"run": ' * 50_000, b'{"run": "run-1", "run": "run-1"}', b"\x00" * 1000, b"9" * 200_000]
    for message in deep:
        with pytest.raises(SecretsRefused):
            recipient.open(message)
