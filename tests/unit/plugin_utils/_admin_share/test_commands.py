# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands for the agent's service: sealed both ways, repeated when nothing of them was begun, given up in time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Iterator, Tuple

import pytest
from ansible_collections.plantops.imaging.plugins.module_utils.engine.agent.service_client import MAX_STREAM_BYTES
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    DeviceServiceFailed,
    DeviceSmbInvalid,
)
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb.service_control import ServiceStatus, State
from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share import commands as _commands
from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share.commands import Commands
from support.windows.folder_share import FolderShare
from support.windows.stand_in_service import StandInService

SECRET = "correct horse 9"


def doubled(line: str, data: bytes) -> Tuple[int, bytes, bytes]:
    return len(line), data + data, b"\xff told"


@pytest.fixture
def share(tmp_path: Path) -> FolderShare:
    return FolderShare(tmp_path)


@pytest.fixture
def service(share: FolderShare, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInService]:
    monkeypatch.setattr(_commands.AgentService, "status", lambda dummy: ServiceStatus(State.RUNNING, 0, 0, 7))
    monkeypatch.setattr(_commands, "_REFUSED_PAUSE_SECONDS", 0.01)
    with StandInService(share.host_path(share.place.base_in_share) / "service", doubled) as made:
        yield made


def test_a_command_and_its_answer_are_sealed(share: FolderShare, service: StandInService) -> None:
    answer = Commands(share).run("say " + SECRET, b"in", 5)  # type: ignore[arg-type]
    assert answer == (4 + len(SECRET), b"inin", b"\xff told")
    assert service.lines == ["say " + SECRET]
    assert not any(SECRET.encode() in data or b"aW4" in data for data in share.written)
    left = [path for name in ("inbox", "taken", "answers") for path in (service.folder / name).iterdir()]
    assert left == []


def test_an_output_as_long_as_the_service_keeps_comes_whole(share: FolderShare, service: StandInService) -> None:
    """In an answer it is twice base64, and longer than what a sealed file of a run may be."""
    data = b"x" * (MAX_STREAM_BYTES // 2)
    assert Commands(share).run("x", data, 5).stdout == data + data  # type: ignore[arg-type]
    service.cuts = True
    with pytest.raises(DeviceServiceFailed):
        Commands(share).run("x", b"", 5)  # type: ignore[arg-type]


def test_a_command_of_which_nothing_was_begun_is_sent_again(share: FolderShare, service: StandInService) -> None:
    service.refuses = 2
    assert Commands(share).run("x", b"", 5).status == 1  # type: ignore[arg-type]
    assert len(share.written) == 3
    assert service.lines == ["x"]
    service.refuses = 4
    with pytest.raises(DeviceServiceFailed) as refused:
        Commands(share).run("x", b"", 5)  # type: ignore[arg-type]
    assert service.refusal.rstrip(".") in str(refused.value.fields["reason"])


def test_a_command_that_was_interrupted_is_not_repeated(share: FolderShare, service: StandInService) -> None:
    service.interrupts = True
    with pytest.raises(DeviceServiceFailed):
        Commands(share).run("x", b"", 5)  # type: ignore[arg-type]
    assert len(share.written) == 1


def test_a_service_that_answers_nothing_is_given_up(
    share: FolderShare, service: StandInService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.is_silent = True
    monkeypatch.setattr(_commands, "_GRACE_SECONDS", 0.3)
    with pytest.raises(DeviceServiceFailed):
        Commands(share).run("x", b"", 0)  # type: ignore[arg-type]
    assert not list((service.folder / "inbox").iterdir())


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"state": "running", "hello": {"run": "service"}}'])
def test_a_state_that_is_none_is_refused(share: FolderShare, service: StandInService, content: bytes) -> None:
    service.stop()
    (service.folder / "state.json").write_bytes(content)
    with pytest.raises(DeviceSmbInvalid):
        Commands(share).run("x", b"", 5)  # type: ignore[arg-type]


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    "answer",
    [b"nothing", b"{}", b'{"sealed": 7}', json.dumps({"sealed": {"run": "x", "nonce": "", "sealed": ""}}).encode()],
)
def test_an_answer_that_was_not_sealed_for_us_is_refused(
    share: FolderShare, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Commands, "_wait", lambda *dummy: answer)
    with pytest.raises(DeviceSmbInvalid):
        Commands(share).run("x", b"", 5)  # type: ignore[arg-type]


def test_a_device_without_the_service_says_so(share: FolderShare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_commands.AgentService, "status", lambda dummy: None)
    with pytest.raises(DeviceServiceFailed):
        Commands(share).run("x")  # type: ignore[arg-type]


@pytest.mark.usefixtures("service")
def test_a_stopped_service_is_started(share: FolderShare, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr(_commands.AgentService, "status", lambda dummy: ServiceStatus(State.STOPPED, 0, 0, 0))
    monkeypatch.setattr(_commands.AgentService, "start", lambda dummy: started.append(1))
    assert Commands(share).run("x", b"", 5).status == 1  # type: ignore[arg-type]
    assert len(started) == 1
