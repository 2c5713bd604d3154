# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands and answers of the Windows service: sealed both ways, and refused in every other form."""

from __future__ import annotations

import json
from typing import Any, Dict

import pytest
from engine.agent.sealing import Recipient, seal
from engine.agent.service_client import (
    MAX_STREAM_BYTES,
    Answer,
    Command,
    open_answer,
    open_command,
    plain_answer,
    seal_answer,
    seal_command,
)
from engine.errors import CommandInterrupted, CommandRefused, ServiceAnswerInvalid

COMMAND = Command("c-1", 'cmd.exe /c "echo secret-line"', b"secret input \0\xff")


def changed(data: bytes, **more: Any) -> bytes:
    return json.dumps(dict(json.loads(data), **more)).encode()


def test_a_command_and_its_answer_pass_unseen() -> None:
    service = Recipient("service")
    data, recipient = seal_command(service.hello(), COMMAND)
    command, reply = open_command(service, "c-1", data)
    assert command == COMMAND
    answer = Answer(3221225786, b"x" * MAX_STREAM_BYTES, b"secret words", True)
    told = seal_answer("c-1", reply, answer)
    assert open_answer(recipient, "c-1", told) == answer
    assert b"secret" not in data + told


@pytest.mark.parametrize(
    "more",
    [{"format": 2}, {"reply": "x"}, {"reply": None}, {"sealed": {}}, {"sealed": "x"}, {"id": "c-1", "sealed": None}],
)
def test_what_is_no_command_is_refused(more: Dict[str, Any]) -> None:
    service = Recipient("service")
    data, dummy = seal_command(service.hello(), COMMAND)
    with pytest.raises(CommandRefused):
        open_command(service, "c-1", changed(data, **more))


@pytest.mark.parametrize(
    "fault",
    [
        {"id": "c-2"},
        {"line": ""},
        {"line": "x\0y"},
        {"line": "x" * 40000},
        {"line": 1},
        {"folder": None},
        {"limit_seconds": 0},
        {"limit_seconds": 1 << 40},
        {"limit_seconds": "soon"},
        {"stdin": "%"},
    ],
)
def test_a_sealed_command_that_is_none_is_refused(fault: Dict[str, Any]) -> None:
    service = Recipient("service")
    plain = dict({"id": "c-1", "line": "x", "stdin": "", "folder": "", "limit_seconds": 9}, **fault)
    sealed = seal(service.hello(), {"command": plain})
    request = {"format": 1, "id": "c-1", "reply": Recipient("c-1").hello(), "sealed": sealed}
    with pytest.raises(CommandRefused):
        open_command(service, "c-1", json.dumps(request).encode())


def test_bytes_that_are_no_document_are_refused() -> None:
    for data in (b"", b"[]", b"{}", b"\xff", b"{" * 100000, b'{"format": 1}'):
        with pytest.raises(CommandRefused):
            open_command(Recipient("service"), "c-1", data)


def test_an_earlier_service_s_command_is_refused_and_so_is_a_copy_under_another_name() -> None:
    service = Recipient("service")
    data, dummy = seal_command(service.hello(), COMMAND)
    for opener, name in ((Recipient("service"), "c-1"), (service, "c-2")):
        with pytest.raises(CommandRefused):
            open_command(opener, name, data)


def test_answers_without_an_outcome_say_which_kind() -> None:
    recipient = Recipient("c-1")
    refused = plain_answer("c-1", CommandRefused(command="c-1", reason="it is malformed"))
    with pytest.raises(CommandRefused, match="malformed"):
        open_answer(recipient, "c-1", refused)
    with pytest.raises(CommandInterrupted):
        open_answer(recipient, "c-1", plain_answer("c-1", CommandInterrupted(command="c-1")))
    for data in (b"", b"{}", changed(refused, id="c-2"), changed(refused, state="done"), changed(refused, format=0)):
        with pytest.raises(ServiceAnswerInvalid):
            open_answer(recipient, "c-1", data)
