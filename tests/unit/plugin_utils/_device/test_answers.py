# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device in somebody else's hands: what it answers is bounded, of the promised types, and steers nothing."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Dict, List, Optional

import pytest
import yaml
from ansible_collections.plantops.imaging.plugins.action.agent import ActionModule as AgentAction
from ansible_collections.plantops.imaging.plugins.action.image import ActionModule as ImageAction
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    AgentAnswerInvalid,
    DeviceLinkLost,
    InstallationUnsafe,
)
from ansible_collections.plantops.imaging.plugins.plugin_utils._device import answers as _answers
from ansible_collections.plantops.imaging.plugins.plugin_utils._device import engine_action as _engine_action
from ansible_collections.plantops.imaging.plugins.plugin_utils._device import process as _engine_process
from ansible_collections.plantops.imaging.plugins.plugin_utils._device import run as _run
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.agent import Agent, AgentRefused
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.link import Answer
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.lines import ProgressLines
from support.paths import PLUGINS
from support.refusing import failing

CURRENT = "0.1.0-0123456789abcdef"
PROBE = {
    "ok": True,
    "base": "/opt/plantops-imaging",
    "platform": "linux-x86_64-glibc-cp311",
    "parts": [],
    "versions": [CURRENT],
    "current": CURRENT,
    "previous": None,
    "unsafe": None,
}
STEERING = {
    "ansible_facts": {"ansible_python_interpreter": "/tmp/mine"},
    "add_host": {"host_name": "other"},
    "add_group": "mine",
    "_ansible_notify": ["a handler"],
    "invocation": {"module_args": {}},
    "ansible_connection": "local",
    "exception": "x",
    "results": [],
    "failed": False,
}
RESULT = {
    "changed": True,
    "image": "2026-11-22_13-45-10",
    "seconds": 74.2,
    "bytes_in_use": 10,
    "bytes_stored": 5,
    "warnings": ["w\x1b[2J"],
    "comparison": {
        "against": "2026-11-21_13-45-10",
        "sections": {"software": {"added": [{"key": "x\x1b[2J"}], "removed": [], "changed": [], "mine": 1}},
        "count": 1,
        "before_header": "mine",
    },
}


class Device:
    """A link whose other end answers as the test says, by verb; a function gets the words of the command."""

    def __init__(self, **answers: Any) -> None:
        self.answers: Dict[str, Any] = dict({"probe": PROBE}, **answers)
        self.asked: List[List[str]] = []

    def put(self, dummy_path: str, name: str) -> str:
        return "/tmp/task/" + name

    def put_data(self, dummy_data: bytes, name: str) -> str:
        return "/tmp/task/" + name

    def drop_folder(self) -> None:
        """Here is none."""

    def run(self, words: List[str]) -> Answer:
        self.asked.append(words)
        if words[0] == "/bin/sh" and words[2].startswith("test"):
            return Answer(self.answers["base_exists"], "", "")
        verb = "probe" if words[0] == "/bin/sh" else words[3]
        answer = self.answers[verb]
        answer = answer(words) if callable(answer) else answer
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return Answer(0, ("python=python3\n" if verb == "probe" else "") + text + "\n", "")


def agent_of(device: Device) -> Agent:
    agent = Agent(device, "press-1", None, lambda dummy_platform: SimpleNamespace(identity=CURRENT))  # type: ignore
    agent.look()
    return agent


def status_of(words: List[str], **more: Any) -> Dict[str, Any]:
    return {"ok": True, "run": words[4], "status": dict({"run": words[4], "state": "done"}, **more)}


def image_action(device: Device, monkeypatch: pytest.MonkeyPatch) -> ImageAction:
    action = ImageAction.__new__(ImageAction)
    action._host, action._task = "press-1", SimpleNamespace(check_mode=False, diff=True, _uuid="uuid")
    action.done = {"changed": False}
    said: List[str] = []
    monkeypatch.setattr(action, "say", said.append)
    monkeypatch.setattr(action, "is_local", lambda: False)
    monkeypatch.setattr(action, "open_link", lambda dummy: device)
    monkeypatch.setattr(action, "look_at_agent", lambda link, dummy: agent_of(link))
    return action


def test_nothing_of_a_result_reaches_the_task_but_what_the_module_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = Device(
        start=lambda words: dict(status_of(words, state="running"), public_key=None, nonce=None, **STEERING),
        status=lambda words: status_of(words, result=dict(RESULT, **STEERING), warnings=[], **STEERING),
        forget=dict(STEERING, ok=True, changed=True),
    )
    result = image_action(hostile, monkeypatch).work({"device_name": "press-1"})
    assert not set(STEERING) & set(result)
    assert result["image"] == RESULT["image"]
    assert result["warnings"] == ["w\\x1b[2J"], "a terminal shows it"
    assert [one["before_header"] for one in result["diff"]][-1] == "device at 2026-11-21_13-45-10"
    assert result["comparison"]["sections"] == {
        "software": {"added": [{"key": "x\\x1b[2J"}], "removed": [], "changed": []}
    }
    assert set(result["comparison"]) == {"against", "sections", "count"}
    assert set(result["diff"][-1]) == {"before", "after", "before_header", "after_header"}


def test_the_process_of_a_local_device_is_trusted_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    action = image_action(Device(), monkeypatch)
    monkeypatch.setattr(action, "local_prefix", list)
    event = dict(RESULT, event="result", **STEERING)
    monkeypatch.setattr(_engine_action.EngineProcess, "run", lambda dummy_self, dummy_on_event: dict(event))
    result = action._run_here({}, {})
    assert not (set(STEERING) | {"event"}) & set(result)
    event["changed"] = "yes"
    with failing(AgentAnswerInvalid, words="changed"):
        action._run_here({}, {})


@pytest.mark.parametrize(
    ("events", "is_changed"),
    [
        ([], False),
        ([{"phase": "verifying", "bytes_done": 5}], False),
        ([{"phase": "writing", "bytes_done": 0}], True),
        (
            [{"phase": "writing", "bytes_done": 5}, {"phase": "waiting for the storage", "phase_before": "writing"}],
            True,
        ),
        ([{"phase": "waiting for the storage", "phase_before": "verifying"}], False),
    ],
)
def test_a_local_restore_that_failed_has_changed_its_target_once_it_wrote(
    events: List[Dict[str, Any]], is_changed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = image_action(Device(), monkeypatch)
    monkeypatch.setattr(action, "local_prefix", list)
    monkeypatch.setattr(action, "verb", "restore")
    action.done = {"changed": False}

    def run(dummy_self: Any, on_event: Callable[[Dict[str, Any]], None]) -> Dict[str, Any]:
        for event in events:
            on_event(dict(event, event="status"))
        return {"event": "error", "code": "S104", "message": "It is away.", "hint": "h"}

    monkeypatch.setattr(_engine_action.EngineProcess, "run", run)
    with pytest.raises(AgentRefused):
        action._run_here({}, {})
    assert action.done["changed"] is is_changed


def test_a_local_process_that_prints_something_else_is_an_error_of_the_catalogue(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\ncat > /dev/null\necho no answer\n", encoding="ascii")
    program.chmod(0o700)
    monkeypatch.setattr(_engine_process.sys, "executable", str(program))
    with failing(AgentAnswerInvalid, device="this machine", command="info"):
        _engine_process.ask_engine([], "info")
    with pytest.raises(ValueError):
        _engine_process.EngineProcess({}, []).run(lambda dummy_event: None)


@pytest.mark.parametrize(
    ("verb", "module"),
    [
        ("image", "image"),
        ("restore", "image_restore"),
        ("verify", "image_verify"),
        ("copy", "image_copy"),
        ("compare", "device_compare"),
        ("history", "device_history"),
        ("list", "image_info"),
        ("pin", "image_pin"),
        ("rollover", "image_rollover"),
        ("check", "storage_check"),
    ],
)
def test_the_names_that_are_let_through_are_those_of_the_documentation(verb: str, module: str) -> None:
    source = (PLUGINS / "modules" / (module + ".py")).read_text(encoding="utf-8")
    documented = set(yaml.safe_load(source.split('RETURN = r"""')[1].split('"""')[0]))
    of_the_controller = {"run", "state", "status", "attached", "agent", "error_code", "hint", "ended_runs"}
    assert set(_answers.RESULTS[verb]) - {"changed", "warnings", "diff"} == documented - of_the_controller


@pytest.mark.parametrize(
    "wrong",
    [
        {"base": "opt"},
        {"base": "/opt/x\n"},
        {"base": "/opt/\x1b]0;"},
        {"base": ["/opt"]},
        {"platform": "../../etc-x-y-z"},
        {"platform": 3},
        {"parts": "abc"},
        {"parts": ["../x"]},
        {"current": "0.1.0-0123456789abcdef/../x"},
        {"versions": None},
        {"unsafe": 1},
        {"ok": 1},
    ],
    ids=str,
)
def test_a_probe_of_other_types_is_refused(wrong: Dict[str, Any]) -> None:
    with failing(AgentAnswerInvalid, device="press-1", command="probe"):
        agent_of(Device(probe=dict(PROBE, **wrong)))
    assert agent_of(Device()).found["base"] == "/opt/plantops-imaging"


def test_the_interpreter_is_one_that_was_asked_for() -> None:
    with failing(AgentAnswerInvalid, words="/tmp/mine"):
        agent_of(Device(probe="python=/tmp/mine\n" + json.dumps(PROBE)))


@pytest.mark.parametrize(
    "answer",
    [
        '{"ok": true, "information": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"ok": true, "information": {"a": ' + "[" * 60 + "]" * 60 + "}}",
        '{"ok": true, "information": {"a": "' + "x" * _answers.MAX_ANSWER_CHARACTERS + '"}}',
        '{"ok": true, "information": []}',
        '{"ok": true}',
        '{"ok": false}',
        '{"ok": false, "code": "A300", "message": {"x": 1}, "hint": ""}',
        "{",
        "{" + "\x1b[2J" * 100_000,
    ],
    ids=["deep", "deep enough", "large", "list", "missing", "no error", "no message", "no JSON", "long words"],
)
def test_an_answer_that_is_none_is_refused_in_a_sentence_that_can_be_shown(answer: str) -> None:
    with failing(AgentAnswerInvalid, command="info") as caught:
        agent_of(Device(info=answer)).call("info")
    assert len(str(caught.value)) < 1500
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": "resting"},
        {"state": ["done"]},
        {"run": "another"},
        {"bytes_done": "1"},
        {"bytes_in_use": -1},
        {"bytes_stored": float("nan")},
        {"remaining_seconds": 1e400},
        {"phase": 1},
        {"warnings": "w"},
        {"state": "failed"},
        {"state": "failed", "error": {"code": "A300"}},
        {"state": "done", "result": None},
    ],
    ids=str,
)
def test_a_status_of_other_types_is_refused(wrong: Dict[str, Any]) -> None:
    def status(words: List[str]) -> Dict[str, Any]:
        return status_of(words, **dict({"result": RESULT}, **wrong))

    device = Device(status=status)
    runs = _run.Runs(device, agent_of(device), {"verb": "image"})  # type: ignore[arg-type]
    with pytest.raises(AgentAnswerInvalid):
        runs.follow("image-1", lambda dummy_status: None)


@pytest.mark.parametrize("wrong", [{"run": "image-2"}, {"public_key": 7}, {"nonce": ["a"]}], ids=str)
def test_secrets_are_sealed_for_the_run_that_was_asked_for(wrong: Dict[str, Any]) -> None:
    device = Device(
        start=lambda words: dict(status_of(words, state="waiting"), **dict({"public_key": "a", "nonce": "b"}, **wrong))
    )
    runs = _run.Runs(device, agent_of(device), {"verb": "image"})  # type: ignore[arg-type]
    with failing(AgentAnswerInvalid, command="start"):
        runs.start(lambda dummy_run: None)
    assert device.asked[-1][3] == "start", "nothing was delivered"


def test_a_link_that_breaks_while_a_run_starts_leaves_its_handle() -> None:
    """The device may have begun: who has no handle can neither follow nor cancel it."""

    def lost(dummy_words: List[str]) -> Dict[str, Any]:
        raise DeviceLinkLost(device="press-07", seconds=2, reason="cut")

    device, announced = Device(start=lost), []
    runs = _run.Runs(device, agent_of(device), {"verb": "image"})  # type: ignore[arg-type]
    with pytest.raises(DeviceLinkLost):
        runs.start(announced.append)
    assert announced == [device.asked[-1][4]]


def test_a_device_that_does_not_wait_is_asked_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0, pauses=[])

    def sleep(seconds: float) -> None:
        clock.pauses.append(seconds)
        clock.now += seconds

    monkeypatch.setattr(_run.time, "monotonic", lambda: clock.now)
    monkeypatch.setattr(_run.time, "sleep", sleep)
    device = Device()
    device.answers["status"] = lambda words: status_of(
        words, state="done" if len(clock.pauses) == 5 else "running", result=RESULT
    )
    runs = _run.Runs(device, agent_of(device), {"verb": "image"})  # type: ignore[arg-type]
    assert runs.follow("image-1", lambda dummy_status: None)["state"] == "done"
    assert clock.pauses == [1.0] * 5


def test_a_wait_is_a_line_of_its_own_with_its_reason() -> None:
    shown: List[str] = []
    lines = ProgressLines("press-1", "image", shown.append)
    waiting = {"phase": "waiting for the storage", "warnings": ["It is away\x1b[2J, retrying for up to 9 s."]}
    lines.show(dict(waiting, bytes_in_use=0))
    lines.show(dict(waiting, bytes_in_use=100, bytes_done=0))
    assert shown == ["press-1: image, waiting for the storage: It is away[2J, retrying for up to 9 s."]
    lines.show({"phase": "reading", "bytes_in_use": 100, "bytes_done": 50})
    lines.show(dict(waiting, bytes_in_use=100, bytes_done=50, warnings=[]))
    assert len(shown) == 3


def test_a_phase_is_shown_without_what_a_terminal_obeys() -> None:
    shown: List[str] = []
    lines = ProgressLines("press-1", "image", shown.append)
    lines.show({"phase": "\x1b[2J\n" + "x" * 5000, "bytes_done": 1, "bytes_in_use": 2})
    assert len(shown) == 1
    assert shown[0].isprintable()
    assert len(shown[0]) < 80


@pytest.mark.parametrize(("base_exists", "refused"), [(0, True), (1, False)])
def test_check_mode_says_what_a_removal_would_refuse(base_exists: int, refused: bool) -> None:
    probe = dict(PROBE, unsafe="/opt can be written by others (mode 777)", current=None, versions=[])
    device = Device(probe=probe, base_exists=base_exists)
    action = AgentAction.__new__(AgentAction)
    action._task = SimpleNamespace(check_mode=True)
    if not refused:
        assert action._remove(agent_of(device))["changed"] is False
        return
    with failing(InstallationUnsafe, path="/opt", reason="(mode 777)"):
        action._remove(agent_of(device))


def test_a_refusal_is_told_in_three_fields_that_can_be_shown() -> None:
    refusal: Optional[AgentRefused] = None
    answer = dict(STEERING, ok=False, code="A300", message="no\x07", hint="h", ansible_facts={})
    try:
        agent_of(Device(info=answer)).call("info")
    except AgentRefused as error:
        refusal = error
    assert refusal is not None
    assert refusal.error == {"code": "A300", "message": "no\\x07", "hint": "h"}


def test_a_device_is_asked_to_tell_a_new_warning_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour into a run the device may keep an answer back for two minutes, but not one about a storage that is away."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(_run.time, "monotonic", lambda: clock.now)
    monkeypatch.setattr(_run.time, "sleep", lambda seconds: None)
    phases = ["reading", "waiting for the storage", "waiting for the storage", "reading"]
    device = Device()

    def status(words: List[str]) -> Dict[str, Any]:
        clock.now += 3600
        asked.append(words)
        away = ["It is away."] if len(asked) > 1 else []
        state = "running" if phases else "done"
        phase = phases.pop(0) if phases else "committing"
        return status_of(words, state=state, result=RESULT, warnings=away, phase=phase)

    asked: List[List[str]] = []
    device.answers["status"] = status
    runs = _run.Runs(device, agent_of(device), {"verb": "image"})  # type: ignore[arg-type]
    runs.follow("image-1", lambda dummy_status: None)
    told = [(words[words.index("--wait") + 1], words[words.index("--known-warnings") + 1]) for words in asked]
    assert told[0] == ("2", "0")
    assert told[1:] == [("120", "0"), ("10", "1"), ("10", "1"), ("120", "1")]


def test_an_earlier_agent_is_followed_without_it() -> None:
    device = Device()

    def status(words: List[str]) -> Any:
        return {"ok": False} if "--known-warnings" in words else status_of(words, state="done", result=RESULT)

    device.answers["status"] = status
    runs = _run.Runs(device, agent_of(device), {"verb": "image"})  # type: ignore[arg-type]
    assert runs.follow("image-1", lambda dummy_status: None)["state"] == "done"


def test_a_warning_of_a_run_is_a_line_once() -> None:
    shown: List[str] = []
    lines = ProgressLines("press-1", "image", shown.append)
    for warnings in ([], ["It will take 6 days."], ["It will take 6 days."]):
        lines.show({"phase": "reading", "warnings": warnings, "bytes_in_use": 100, "bytes_done": 1})
    assert len(shown) == 1
    assert "6 days" in shown[0]
