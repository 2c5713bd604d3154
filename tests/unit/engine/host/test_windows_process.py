# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The start of Windows and of a process, with the answers of Windows put in its place."""

from __future__ import annotations

from typing import Optional

import pytest
from engine.host import windows_calls, windows_process

MINUTE = 600_000_000


def test_windows_counts_its_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows_calls, "registry", lambda path, name: 41 if name == "BootId" else None)
    assert windows_process.boot_id() == "start 41"


@pytest.mark.parametrize(("started", "word"), [(0, ""), (224007473 * MINUTE + 5, "minute 224007473")])
def test_without_a_counter_the_minute_of_the_start_counts(
    monkeypatch: pytest.MonkeyPatch, started: int, word: str
) -> None:
    monkeypatch.setattr(windows_calls, "registry", lambda path, name: None)
    monkeypatch.setattr(windows_calls, "boot_time", lambda: started)
    assert windows_process.boot_id() == word


@pytest.mark.parametrize(("created", "word"), [(0, ""), (None, None), (134404484375532180, "134404484375532180")])
def test_the_start_of_a_process(monkeypatch: pytest.MonkeyPatch, created: Optional[int], word: Optional[str]) -> None:
    monkeypatch.setattr(windows_calls, "process_created", lambda pid: created)
    assert windows_process.process_start(7) == word
