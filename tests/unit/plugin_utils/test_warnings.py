# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible drops a warning that it has shown before, so each begins with its device's name."""

from __future__ import annotations

from typing import Any, Dict

import pytest
from ansible_collections.plantops.imaging.plugins.plugin_utils._warnings import named, unnamed


def test_equal_warnings_of_many_devices_differ() -> None:
    shown = {
        text for device in ("press-1", "press-2") for text in named(device, {"warnings": ["It is full."]})["warnings"]
    }
    assert shown == {"press-1: It is full.", "press-2: It is full."}


def test_a_name_is_given_once_and_taken_back() -> None:
    result: Dict[str, Any] = {"changed": True, "warnings": ["It is full.", "press-1: the clock is slow."]}
    once = named("press-1", result)
    assert named("press-1", once) == once
    assert result["warnings"][0] == "It is full.", "a result that others hold stays as it is"
    assert unnamed("press-1", once) == {"changed": True, "warnings": ["It is full.", "the clock is slow."]}
    assert unnamed("press-2", once) == once


@pytest.mark.parametrize("result", [{}, {"warnings": []}, {"warnings": None}, {"warnings": "no list"}])
def test_without_warnings_nothing_happens(result: Dict[str, Any]) -> None:
    assert named("press-1", result) == result
    assert unnamed("press-1", result) == result
