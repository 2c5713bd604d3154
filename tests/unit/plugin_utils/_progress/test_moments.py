# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moments of the engine on the clock of the controller."""

from __future__ import annotations

import time

import pytest
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.moments import local_moment


def test_a_moment_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert local_moment("2026-11-30T16:10:00Z") == "2026-12-01 01:10"
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("words", ["", "soon", "2026-11-30", "9999-99-99T00:00:00Z"])
def test_other_words_stay(words: str) -> None:
    assert local_moment(words) == words
