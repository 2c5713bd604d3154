# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts that decide about an installation, asked a Windows that stands in."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.host import windows_calls, windows_preflight
from engine.host.windows_write_filters import WriteFilter


def test_an_installation_is_not_refused_for_a_driver_that_no_tool_speaks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be a remnant; with its tool a filter that gives no answer still counts."""
    found = (WriteFilter("UWF", None), WriteFilter("EWF", None))
    monkeypatch.setattr(windows_preflight, "filters_of", lambda volume: found)
    monkeypatch.setattr(windows_calls, "version", lambda: (10, 0, 19045))
    monkeypatch.setattr(windows_calls, "kernel32", lambda: None)
    monkeypatch.setattr(windows_preflight.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1}))
    monkeypatch.setattr(windows_calls, "system_folder", lambda: str(tmp_path))
    (tmp_path / "ewfapi.dll").write_bytes(b"")
    assert windows_preflight.gather("C:\\x").filters == (WriteFilter("EWF", None),)
