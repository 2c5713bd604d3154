# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which priorities Windows lowered, with its answers put in its place."""

from __future__ import annotations

import pytest
from engine.host import windows_calls
from engine.host.windows_priority import lower_priority


@pytest.mark.parametrize("answers", [(True, True, True), (True, False, False), (False, False, False)])
def test_what_took_effect(monkeypatch: pytest.MonkeyPatch, answers: tuple[bool, bool, bool]) -> None:
    names = ("take_idle_class", "take_lowest_input_output", "take_lowest_memory")
    for name, answer in zip(names, answers):
        monkeypatch.setattr(windows_calls, name, lambda answer=answer: answer)
    words = ("idle class", "I/O priority very low", "first to go when memory is short")
    assert lower_priority() == [word for word, answer in zip(words, answers) if answer]
