# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report about the target when a restore is interrupted: before the question is answered, nothing is written."""

from __future__ import annotations

import json
import os
import signal
from typing import Any, Dict, Iterator

import pytest
from engine.recovery import asking, commands, main

PLAN: Dict[str, Any] = {
    "image": "2026-11-20_10-00-00",
    "plan": [],
    "targets": [],
    "already_restored": False,
    "restore_plan": {"disks": [{"disk": "disk0", "target": "/dev/x"}]},
}
ARGUMENTS = ["restore", "/storage", "pc", "--to", "disk0=/dev/x", "--json"]


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


def interrupted(capsys: pytest.CaptureFixture[str]) -> str:
    assert main.main(ARGUMENTS) == 128 + signal.SIGTERM
    told = json.loads(capsys.readouterr().out)["error"]
    assert told["code"] == "R134"
    return str(told["message"])


def test_at_the_question_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands.Command, "_run", lambda *given, **settings: PLAN)
    monkeypatch.setattr(asking, "confirm", lambda *given: os.kill(os.getpid(), signal.SIGTERM))
    assert main._NOTHING in interrupted(capsys)


def test_behind_the_question_the_target_may_be_incomplete(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(
        dummy_self: commands.Command, dummy_verb: str, check: bool = False, **dummy_settings: Any
    ) -> Dict[str, Any]:
        if not check:
            os.kill(os.getpid(), signal.SIGTERM)
        return PLAN

    monkeypatch.setattr(commands.Command, "_run", run)
    monkeypatch.setattr(asking, "confirm", lambda *given: None)
    assert main._STATES["restore"] in interrupted(capsys)
