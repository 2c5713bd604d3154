# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The field test: one check that hangs, crashes or talks nonsense costs its own answer alone, and the report is always readable."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List

import jsonschema
import pytest
from engine.agent.field_test import conduct
from engine.agent.field_test.check import Check, equals
from engine.errors import FieldTestImpossible
from support.paths import ROOT

SCHEMA = json.loads((ROOT / "docs" / "schemas" / "field-test.json").read_text(encoding="utf-8"))
ABOUT = {
    "windows": [10, 0, 19045],
    "processor": "AMD64",
    "python": "3.13.2",
    "python_bits": 64,
    "administrator": True,
    "wine": False,
}
PROGRAMS = {
    "good": "import json, sys; json.dump({'state': 'answered', 'answer': {'x': 1}}, open(sys.argv[1], 'w'))",
    "hangs": "import time; time.sleep(600)",
    "crashes": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    "nonsense": "import sys; open(sys.argv[1], 'w').write('[1')",
    "a_list": "import sys; open(sys.argv[1], 'w').write('[1]')",
    "silent": "pass",
    "loud": "import sys; sys.stdout.write('x' * 1000000); "
    + "import json; json.dump({'state': 'answered', 'answer': {}}, open(sys.argv[1], 'w'))",
}


def check(name: str, **more: Any) -> Check:
    given: Dict[str, Any] = {"seconds": 20.0, **more}
    return Check(name, dict, ("Call",), (equals("x", 1),), '"Page"', ("host/x.py",), "It means this.", **given)


def start(name: str, answer_path: str) -> List[str]:
    return [sys.executable, "-c", PROGRAMS[name], answer_path]


def run(tmp_path: Path, *checks: Check, **more: Any) -> Dict[str, Any]:
    path = tmp_path / "report.json"
    about = {**ABOUT, **more.pop("about", {})}
    found = conduct.conduct(checks, str(path), about=about, start=start, **more)
    document = json.loads(path.read_text(encoding="ascii"))
    assert document == found
    jsonschema.validate(document, SCHEMA)
    assert [one.name for one in tmp_path.iterdir()] == ["report.json"]
    return dict(found["checks"])


def test_each_failure_costs_its_own_answer_alone(tmp_path: Path) -> None:
    began = time.monotonic()
    checks = [check(name, seconds=1.0 if name == "hangs" else 20.0) for name in PROGRAMS]
    found = run(tmp_path, *checks, check("good"))
    assert time.monotonic() - began < 30
    states = {name: one["state"] for name, one in found.items()}
    assert states == {
        "good": "answered",
        "loud": "answered",
        "hangs": "too_late",
        "crashes": "ended",
        "nonsense": "ended",
        "a_list": "ended",
        "silent": "ended",
    }
    assert found["crashes"]["status"] != 0
    assert found["silent"]["status"] == 0
    assert found["good"]["answer"] == {"x": 1}


def test_what_needs_an_administrator_or_is_not_wanted_is_not_asked(tmp_path: Path) -> None:
    of_administrators = check("hangs", needs_administrator=True)
    found = run(tmp_path, of_administrators, check("good"), about={"administrator": False})
    assert found["hangs"] == {"state": "not_asked", "reason": "administrator"}
    assert found["good"]["state"] == "answered"
    found = run(tmp_path, check("hangs", makes_shadow_copy=True), makes_shadow_copies=False)
    assert found["hangs"]["reason"] == "shadow_copies"
    found = run(tmp_path, check("hangs"), check("good"), only=["good"])
    assert (found["hangs"]["reason"], found["good"]["state"]) == ("not_selected", "answered")


def test_a_report_names_the_check_that_was_in_progress(tmp_path: Path) -> None:
    """Windows may restart in the middle of one."""
    path = tmp_path / "report.json"
    seen: List[Any] = []

    def look(name: str, answer_path: str) -> List[str]:
        seen.append(json.loads(path.read_text(encoding="ascii")))
        return start(name, answer_path)

    conduct.conduct([check("good"), check("silent")], str(path), about=ABOUT, start=look)
    assert next(one["checks"] for one in seen) == {"good": {"state": "in_progress"}}
    assert seen[1]["checks"]["good"]["state"] == "answered"
    assert seen[1]["checks"]["silent"] == {"state": "in_progress"}
    for one in seen:
        jsonschema.validate(one, SCHEMA)
        assert "ended" not in one


def test_a_report_that_can_not_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FieldTestImpossible):
        conduct.conduct([check("good")], str(tmp_path / "missing" / "report.json"), about=ABOUT, start=start)


class Refused(Exception):
    code = 0x80042316


@pytest.mark.parametrize(
    ("error", "number"), [(OSError(13, "denied"), 13), (Refused("step"), 0x80042316), (ValueError("x"), None)]
)
def test_a_question_that_fails_is_an_answer(
    error: Exception, number: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Any:
        raise error

    monkeypatch.setattr(conduct, "forbid_writes", lambda: None)
    conduct.ask(check("x")._replace(ask=fail), str(tmp_path / "answer"))
    found = json.loads((tmp_path / "answer").read_text())
    assert found["state"] == "failed"
    assert (found["error"]["kind"], found["error"]["number"]) == (type(error).__name__, number)


def test_writes_are_forbidden_before_a_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: List[str] = []
    monkeypatch.setattr(conduct, "forbid_writes", lambda: order.append("forbidden"))
    conduct.ask(check("x")._replace(ask=lambda: {"x": order.append("asked") is None}), str(tmp_path / "answer"))
    assert order == ["forbidden", "asked"]


def test_names_of_the_machine_and_its_user_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "TEMP": "C:\\Users\\Erika Muster\\AppData\\Local\\Temp",
        "USERPROFILE": "C:\\Users\\Erika Muster",
        "USERNAME": "Erika Muster",
        "COMPUTERNAME": "PRESS-07",
        "USERDOMAIN": "ab",
    }.items():
        monkeypatch.setenv(name, value)
    found = conduct.without_names(
        {"a": ["c:\\users\\erika muster\\appdata\\local\\temp\\x of press-07"], "b": 1, "about": True}
    )
    assert found == {"a": ["%TEMP%\\x of %COMPUTERNAME%"], "b": 1, "about": True}


def test_a_process_that_can_not_be_ended_does_not_hold_the_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that hangs in a driver."""
    monkeypatch.setattr(conduct, "_AFTER_KILL_SECONDS", 0.2)
    monkeypatch.setattr(subprocess.Popen, "kill", lambda self: None)
    started: List[Any] = []
    real = subprocess.Popen.__init__

    def remember(self: Any, *arguments: Any, **named: Any) -> None:
        real(self, *arguments, **named)
        started.append(self)

    monkeypatch.setattr(subprocess.Popen, "__init__", remember)
    found = run(tmp_path, check("hangs", seconds=0.2), check("good"))
    assert (found["hangs"]["state"], found["good"]["state"]) == ("too_late", "answered")
    os.kill(started[0].pid, 9)
    started[0].wait()
