# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tool of the unified write filter says of the current session is read; another language is not guessed."""

from __future__ import annotations

import pytest
from engine.host.windows_preflight import uwf_state

FILTER = """Unified Write Filter Configuration Utility version 10.0.19041.1

Current Session Settings

FILTER SETTINGS
    Filter state:     %s
    Pending commit:   N/A

Next Session Settings

FILTER SETTINGS
    Filter state:     %s
"""
VOLUME = """Current Session Settings for Volume C:
    Volume state:    %s
    Volume ID:       7a1e0f6c-0000-0000-0000-100000000000

Next Session Settings for Volume C:
    Volume state:    %s
"""


@pytest.mark.parametrize(
    ("state", "volume", "protects"),
    [
        (("ON", "OFF"), ("Protected", "Un-protected"), True),
        (("ON", "ON"), ("Un-protected", "Protected"), False),
        (("OFF", "ON"), ("Protected", "Protected"), False),
        (("ON", "ON"), None, True),
    ],
)
def test_the_current_session_counts(state: object, volume: object, protects: bool) -> None:
    assert uwf_state(FILTER % state, VOLUME % volume if volume else "") is protects


@pytest.mark.parametrize("text", ["", "Filterstatus:  EIN", "Next Session Settings\nFilter state: ON"])
def test_what_is_not_understood_is_no_answer(text: str) -> None:
    assert uwf_state(text, "") is None
