# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mirror of a run's status on the storage: where it may be, what it disturbs (nothing), and when it gives up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest
from engine.agent import mirror as mirror_module
from engine.agent.mirror import Mirror
from engine.errors import StoragePermissionDenied, StorageUnreachable
from engine.image.device_directory import DeviceDirectory
from engine.image.upkeep.rollover import roll_over
from engine.storage.contract import Storage
from engine.verbs import dispatch as jobs
from engine.verbs.request import parse
from support.agent_runs import AgentOnDevice, image_job, random_disk
from support.imaging import run_verb
from support.plant import Plant
from support.small_runs import DEVICE, make_small
from support.storages import HookedStorage, MemoryStorage

RUN_JSON = "%s/run.json" % DEVICE
REQUEST = parse({"verb": "list", "device": DEVICE, "storage": {"url": "memory"}})


def status_of(number: int, **more: Any) -> Dict[str, Any]:
    return dict({"number": number, "run": "run-1", "state": "running", "warnings": []}, **more)


def show(storage: Storage, monkeypatch: pytest.MonkeyPatch, *statuses: Dict[str, Any]) -> None:
    """Let a mirror show the first of ``statuses`` at its start and the last at its end."""
    monkeypatch.setattr(mirror_module, "open_storage", lambda settings: storage)
    present = list(statuses)
    one = Mirror(REQUEST, lambda: present[0])
    one.start()
    one._thread.join(0.3)
    present[0] = statuses[-1]
    one.stop()
    assert not one._thread.is_alive()


@pytest.fixture
def memory() -> MemoryStorage:
    storage = MemoryStorage()
    storage.make_directory(DEVICE)
    return storage


def test_a_run_leaves_its_last_status_without_lists(agent: AgentOnDevice, memory_path: Path) -> None:
    job = image_job(memory_path, random_disk(memory_path / "disk.img", 3_000_000))
    agent.finish("run-1", job)
    document = json.loads((memory_path / "storage" / "pc" / "run.json").read_text(encoding="ascii"))
    status = agent.status("run-1")
    assert {name: document[name] for name in ("run", "state", "number")} == {
        name: status[name] for name in ("run", "state", "number")
    }
    assert document["result"]["image"] == status["result"]["image"]
    assert not any(isinstance(value, (list, dict)) for value in document["result"].values())
    for run, more in (("run-2", {"verb": "verify"}), ("run-3", {"check": True})):
        agent.finish(run, dict(job, **more))
    after = json.loads((memory_path / "storage" / "pc" / "run.json").read_text(encoding="ascii"))
    assert after == document, "verifying and check mode write nothing"
    images = run_verb(memory_path / "storage", "list", secrets={})["images"]
    assert [image["image"] for image in images] == [status["result"]["image"]]


def test_another_machines_directory_is_left_alone(agent: AgentOnDevice, memory_path: Path) -> None:
    directory = memory_path / "storage" / "pc"
    directory.mkdir(parents=True)
    identity = {"format": "plantops.imaging device", "version": 1, "device": "pc", "machine_id": "f" * 31 + "e"}
    (directory / "device-id.json").write_text(json.dumps(dict(identity, smbios_uuid="")), encoding="ascii")
    job = image_job(memory_path, random_disk(memory_path / "disk.img", 3_000_000))
    agent.begin("run-1", job)
    assert agent.wait("run-1")["error"]["code"] == "I110"
    assert [path.name for path in directory.iterdir()] == ["device-id.json"]


@pytest.mark.parametrize("may_replace", [True, False])
def test_it_begins_only_where_files_may_be_replaced(
    may_replace: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the first status of the first run would stay for ever, and say that it runs."""
    memory = MemoryStorage()

    def hook(moment: str, operation: str, path: str) -> None:
        if (moment, operation) == ("before", "put") and path in memory.files and not may_replace:
            raise StoragePermissionDenied(storage="memory", operation=operation, path=path)

    monkeypatch.setattr(jobs, "open_storage", lambda *dummy: HookedStorage(memory, hook))
    events: List[Dict[str, Any]] = []
    job = image_job(tmp_path, random_disk(tmp_path / "disk.img", 300_000), allow_clear=True)
    assert jobs.run_job(job, events.append, lambda: False)["changed"] is True
    said = [event for event in events if event["event"] == "replaceable"]
    assert said == [{"event": "replaceable", "host_key": ""}] * may_replace


def test_it_shows_what_changed_and_the_end(memory: MemoryStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    show(memory, monkeypatch, status_of(3), status_of(4, state="done", result={"image": "x", "disks": [1], "of": {}}))
    document = json.loads(memory.files[RUN_JSON])
    assert (document["number"], document["state"]) == (4, "done")
    assert document["result"] == {"image": "x"}


@pytest.mark.parametrize("error", [StoragePermissionDenied, StorageUnreachable])
def test_a_refusal_ends_it_and_an_absence_does_not(
    error: Any, memory: MemoryStorage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tries: List[str] = []

    def hook(moment: str, operation: str, path: str) -> None:
        if (moment, operation) == ("before", "put"):
            tries.append(path)
            if len(tries) == 1:
                fields = {"storage": "memory", "operation": operation, "path": path, "reason": "away"}
                raise error(**fields)

    show(HookedStorage(memory, hook), monkeypatch, status_of(3), status_of(4))
    if error is StoragePermissionDenied:
        assert len(tries) == 1, "an account that may not replace files is not asked twice"
        assert RUN_JSON not in memory.files
    else:
        assert len(tries) == 2
        assert json.loads(memory.files[RUN_JSON])["number"] == 4
    assert capsys.readouterr() == ("", ""), "the run has nothing to say of it"


def test_a_defect_of_it_is_told_to_the_log_and_ends_no_run(
    memory: MemoryStorage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    show(memory, monkeypatch, {"number": object()}, status_of(2))
    assert "Traceback" in capsys.readouterr().err


def test_listing_verifying_and_rolling_over_do_not_see_it(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)
    plant = Plant(4)
    before = set(plant.storage.files)
    show(plant.storage, monkeypatch, status_of(3))
    plant.storage.files["%s/run.json.01234567.partial" % DEVICE] = b"half"
    assert plant.listed() == plant.names
    assert DeviceDirectory(plant.storage, DEVICE).packs().keys() == {
        name.split("/")[-1] for name in before if "/packs/" in name
    }
    report = roll_over(plant.storage, DEVICE, 2, openable_key="")
    assert (report.deleted, report.warnings) == (plant.names[:2], [])
    assert RUN_JSON in plant.storage.files
    assert "%s/run.json.01234567.partial" % DEVICE not in plant.storage.files, "what a killed mirror left is swept"
    plant.check(*plant.names[2:])


def test_a_rollover_in_the_middle_of_a_write_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)
    plant = Plant(1)

    def hook(moment: str, operation: str, path: str) -> None:
        if (moment, operation, path) == ("during", "put", RUN_JSON) and not swept:
            swept.append(roll_over(plant.storage, DEVICE, 1, openable_key=""))

    swept: List[Any] = []
    show(HookedStorage(plant.storage, hook), monkeypatch, status_of(3), status_of(4))
    assert len(swept) == 1
    assert json.loads(plant.storage.files[RUN_JSON])["number"] == 4
    assert not [name for name in plant.storage.files if name.endswith(".partial")]
    plant.check(*plant.names)


def test_it_sends_nothing_to_another_server_than_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """``accept-new`` holds for one run: the key that the run was shown is the one that the mirror asks for."""
    opened: List[Dict[str, Any]] = []

    def refuse(settings: Dict[str, Any]) -> Storage:
        opened.append(settings)
        raise StorageUnreachable(storage="sftp", reason="away")

    monkeypatch.setattr(mirror_module, "open_storage", refuse)
    settings = {"url": "sftp://server/x", "host_key": "accept-new"}
    for shown, wanted in (("SHA256:abc", "SHA256:abc"), ("", "accept-new")):
        one = Mirror(parse({"verb": "list", "device": DEVICE, "storage": settings}), lambda: status_of(1), shown)
        one.start()
        one.stop()
        assert opened.pop()["host_key"] == wanted
