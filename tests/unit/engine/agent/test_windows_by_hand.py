# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``install.cmd`` prints for a person, and that its status says whether it worked."""

from __future__ import annotations

import json
import subprocess
from typing import Any, Dict

import pytest
from engine.agent import windows_by_hand
from engine.errors import RemovalInterrupted, WindowsRuntimeMissing, WriteFilterActive
from engine.install.windows.document import File, make_document

DOCUMENT = make_document("1.0", "windows-amd64", "3.13.2", [File("a", "0" * 64, 5, "")])


@pytest.fixture
def bundle(monkeypatch: pytest.MonkeyPatch) -> Dict[str, Any]:
    """A device in order with an installer that answers; what the test changes, happens."""
    state: Dict[str, Any] = {"asked": [], "answer": {"ok": True, "changed": True}, "status": 0}

    def run(command: Any, **dummy: Any) -> subprocess.CompletedProcess[bytes]:
        state["asked"].append(command[command.index("-m") + 2 :])
        return subprocess.CompletedProcess(command, state["status"], json.dumps(state["answer"]).encode(), b"words")

    def check(platform: str, base: str, needed_bytes: int) -> None:
        assert (platform, needed_bytes) == ("windows-amd64", 5)
        assert base.endswith("plantops-imaging")
        if "refused" in state:
            raise state["refused"]

    monkeypatch.setattr(windows_by_hand, "check_files", lambda folder: DOCUMENT)
    monkeypatch.setattr(windows_by_hand, "check_device", check)
    monkeypatch.setattr(subprocess, "run", run)
    return state


@pytest.mark.parametrize("verb", ["install", "update", "INSTALL"])
def test_install_and_update_let_the_installer_copy_the_bundle(verb: str, bundle: Dict[str, Any], capsys: Any) -> None:
    assert windows_by_hand.main([verb]) == 0
    assert bundle["asked"][0][:2] == ["install", "--from"]
    assert DOCUMENT.identity in capsys.readouterr().out


def test_check_changes_nothing(bundle: Dict[str, Any], capsys: Any) -> None:
    assert windows_by_hand.main(["check"]) == 0
    assert bundle["asked"] == []
    bundle["refused"] = WriteFilterActive(filter="UWF", volume="C:", disable="d", enable="e")
    assert windows_by_hand.main(["check"]) == 1
    assert "(A362)" in capsys.readouterr().out


def test_a_device_that_is_refused_gets_no_installer(bundle: Dict[str, Any], capsys: Any) -> None:
    bundle["refused"] = WindowsRuntimeMissing()
    assert windows_by_hand.main([]) == 1
    assert bundle["asked"] == []
    assert "(A360)" in capsys.readouterr().out


def test_remove_asks_nothing_of_the_device(bundle: Dict[str, Any]) -> None:
    bundle["refused"] = WindowsRuntimeMissing()
    assert windows_by_hand.main(["remove"]) == 0
    assert bundle["asked"] == [["remove"]]


@pytest.mark.parametrize("verb", ["install", "remove"])
def test_an_earlier_removal_that_was_interrupted_is_told(verb: str, bundle: Dict[str, Any], capsys: Any) -> None:
    bundle["answer"]["interrupted"] = True
    assert windows_by_hand.main([verb]) == 0
    told = capsys.readouterr().out.splitlines()
    assert (len(told), RemovalInterrupted.code in told[0]) == (2, True)


@pytest.mark.parametrize(
    ("answer", "code"),
    [({"ok": False, "code": "A385", "message": "No.", "hint": "Wait."}, "A385"), ([], "A215"), ("x", "A215")],
)
def test_a_failure_of_the_installer_is_told(answer: Any, code: str, bundle: Dict[str, Any], capsys: Any) -> None:
    bundle.update(answer=answer, status=1)
    assert windows_by_hand.main(["install"]) == 1
    assert "(%s)" % code in capsys.readouterr().out
