# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each command of the Windows service is carried out once, or its answer says what is known."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List, Tuple

import pytest
from engine.agent import service_desk
from engine.agent.sealing import Recipient
from engine.agent.service_client import Answer, Command, open_answer, seal_answer, seal_command
from engine.agent.service_desk import CommandDesk
from engine.agent.service_files import ServiceFiles
from engine.errors import CommandInterrupted, CommandRefused


class Carriers:
    """Stands in for the processes: what they got, and whether they have ended."""

    def __init__(self) -> None:
        self.got: List[Dict[str, Any]] = []
        self.has_ended = False

    def start(self, data: bytes) -> Any:
        self.got.append(json.loads(data))
        return lambda: self.has_ended


@pytest.fixture
def files(tmp_path: Path) -> ServiceFiles:
    made = ServiceFiles(str(tmp_path))
    made.prepare()
    return made


@pytest.fixture
def carriers() -> Carriers:
    return Carriers()


def send(files: ServiceFiles, desk: CommandDesk, name: str = "c-1") -> Tuple[bytes, Recipient]:
    data, recipient = seal_command(desk.hello(), Command(name, "program", b"input"))
    put(files, name, data)
    return data, recipient


def put(files: ServiceFiles, name: str, data: bytes) -> None:
    Path(files.inbox, name + ".json").write_bytes(data)


def answered(files: ServiceFiles, recipient: Recipient, name: str = "c-1") -> Answer:
    path = Path(files.path, "answers", name + ".json")
    data = path.read_bytes()
    path.unlink()
    assert os.listdir(os.path.join(files.path, "taken")) == []
    return open_answer(recipient, name, data)


def test_a_command_is_carried_out_once_however_often_it_comes(files: ServiceFiles, carriers: Carriers) -> None:
    desk = CommandDesk(files, carriers.start)
    data, recipient = send(files, desk)
    for dummy in range(3):
        desk.take()
        put(files, "c-1", data)
    desk.take()
    assert [one["line"] for one in carriers.got] == ["program"]
    outcome = Answer(0, b"out", b"", False)
    with files.held("c-1") as is_mine:
        assert is_mine
        files.begin("c-1")
        files.answer("c-1", seal_answer("c-1", carriers.got[0]["reply"], outcome))
    assert answered(files, recipient) == outcome
    put(files, "c-1", data)
    desk.take()
    assert len(carriers.got) == 1
    assert os.listdir(files.inbox) == []


def test_a_carrier_that_ends_before_it_began_leaves_a_refusal(files: ServiceFiles, carriers: Carriers) -> None:
    desk = CommandDesk(files, carriers.start)
    dummy, recipient = send(files, desk)
    desk.take()
    carriers.has_ended = True
    desk.take()
    with pytest.raises(CommandRefused):
        answered(files, recipient)


def test_a_command_that_began_and_has_no_answer_is_interrupted(files: ServiceFiles, carriers: Carriers) -> None:
    desk = CommandDesk(files, carriers.start)
    dummy, recipient = send(files, desk)
    desk.take()
    files.begin("c-1")
    CommandDesk(files, carriers.start).recover()  # the next life of the service
    with pytest.raises(CommandInterrupted):
        answered(files, recipient)
    assert len(carriers.got) == 1


def test_a_command_in_progress_is_left_to_its_process(files: ServiceFiles, carriers: Carriers) -> None:
    desk = CommandDesk(files, carriers.start)
    send(files, desk)
    desk.take()
    with files.held("c-1") as is_mine:
        assert is_mine
        files.begin("c-1")
        later = CommandDesk(files, carriers.start)
        later.recover()
        later.take()
        assert files.taken() == ["c-1"]
        assert not files.is_answered("c-1")


def test_an_answer_that_was_written_is_not_replaced(files: ServiceFiles, carriers: Carriers) -> None:
    """The carrier was killed between the answer and the end of its work."""
    desk = CommandDesk(files, carriers.start)
    dummy, recipient = send(files, desk)
    desk.take()
    outcome = Answer(7, b"", b"", False)
    Path(files.path, "answers", "c-1.json").write_bytes(seal_answer("c-1", carriers.got[0]["reply"], outcome))
    CommandDesk(files, carriers.start).recover()
    assert answered(files, recipient) == outcome


def test_what_was_sealed_for_an_earlier_life_is_refused(files: ServiceFiles, carriers: Carriers) -> None:
    dummy, recipient = send(files, CommandDesk(files, carriers.start))
    CommandDesk(files, carriers.start).take()
    with pytest.raises(CommandRefused):
        answered(files, recipient)
    assert carriers.got == []


@pytest.mark.parametrize("name", ["x.new", "UPPER.json", "-x.json", "a b.json", ".json"])
def test_other_names_are_left_alone(files: ServiceFiles, carriers: Carriers, name: str) -> None:
    Path(files.inbox, name).write_bytes(b"{}")
    desk = CommandDesk(files, carriers.start)
    desk.take()
    desk.recover()
    assert os.listdir(files.inbox) == [name]
    assert carriers.got == []


def test_a_link_and_a_file_that_is_too_large_are_refused(
    files: ServiceFiles, carriers: Carriers, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(b"{}")
    os.symlink(tmp_path / "secret", os.path.join(files.inbox, "c-1.json"))
    with open(os.path.join(files.inbox, "c-2.json"), "wb") as large:
        large.truncate(100 << 20)
    CommandDesk(files, carriers.start).take()
    for name in ("c-1", "c-2"):
        with pytest.raises(CommandRefused):
            answered(files, Recipient(name), name)
    assert (tmp_path / "secret").exists()


def test_a_process_that_can_t_be_started_is_told(files: ServiceFiles) -> None:
    def start(dummy_data: bytes) -> Any:
        raise OSError("no memory")

    desk = CommandDesk(files, start)
    dummy, recipient = send(files, desk)
    desk.take()
    with pytest.raises(CommandRefused, match="no memory"):
        answered(files, recipient)


def test_old_answers_and_halves_are_swept(files: ServiceFiles) -> None:
    old = time.time() - 100000
    kept = Path(files.inbox, "c-9.json")
    paths = [Path(files.path, "answers", "c-8.json"), Path(files.inbox, "c-8.new"), kept]
    for path in paths:
        path.write_bytes(b"{}")
        os.utime(path, (old, old))
    files.sweep()
    assert [path.exists() for path in paths] == [False, False, True]


def test_answers_that_nobody_fetched_go_once_an_hour(
    files: ServiceFiles, carriers: Carriers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service lives for months: its start is not often enough."""
    now = [1000.0]
    monkeypatch.setattr(service_desk, "time", SimpleNamespace(monotonic=lambda: now[0]))
    desk = CommandDesk(files, carriers.start)
    desk.recover()
    old = Path(files.path, "answers", "c-9.json")
    old.write_bytes(b"{}")
    os.utime(old, (1, 1))
    now[0] += 3000
    desk.take()
    assert old.exists()
    now[0] += 1000
    desk.take()
    assert not old.exists()
