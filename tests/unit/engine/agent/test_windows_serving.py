# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service does at its start for itself: it refuses a place that is not safe, and tells Windows about itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, List, Tuple

import pytest
from engine.agent import windows_serving
from engine.errors import AgentFolderUnsafe
from engine.host import windows_services


def refuse(base: str) -> None:
    raise AgentFolderUnsafe(path=base, reason="r")


def test_the_service_tells_windows_to_start_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was made over the network has no failure actions: only Windows' own calls on the device set them."""
    described: List[Tuple[str, str]] = []
    monkeypatch.setattr(windows_services, "describe", lambda name, text: described.append((name, text)))
    windows_serving.describe_itself()
    assert [name for name, dummy in described] == ["plantops-imaging"]

    def fail(*dummy: str) -> None:
        raise PermissionError(5, "Access is denied.")

    monkeypatch.setattr(windows_services, "describe", fail)
    windows_serving.describe_itself()  # a service without it serves


def test_neither_a_trial_nor_a_start_succeeds_in_a_place_that_is_not_safe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setattr(windows_serving, "check_above", lambda base: None)
    assert windows_serving.self_test(str(tmp_path)) == 0
    monkeypatch.setattr(windows_serving, "check_above", refuse)
    assert windows_serving.self_test(str(tmp_path)) == 1
    assert str(tmp_path) in capsys.readouterr().out
    monkeypatch.setattr(windows_serving, "_open_log", lambda files: None)
    monkeypatch.setattr(windows_serving, "close_memory", lambda: None)
    session: Any = None
    assert not windows_serving.serve(session, str(tmp_path), lambda: None)
    sys.stderr.flush()
    assert not (tmp_path / "service" / "state.json").exists()
