# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the field test: each kind accepts what it is for, and nothing of another type."""

from __future__ import annotations

from typing import Any

import pytest
from engine.agent.field_test.check import Rule, among, at_least, at_most, contains, each_among, equals, matches

HOSTILE = [None, "", "x", -1, 1.5, [], [[]], {"a": 1}, [None], ["1"], float("nan")]


@pytest.mark.parametrize(
    ("rule", "right", "wrong"),
    [
        (equals("x", True), True, 1),
        (equals("x", 0), 0, False),
        (equals("x", []), [], [0]),
        (at_least("x", 512), 512, 511),
        (at_least("x", 0), 0, True),
        (at_most("x", 0), 0, 1),
        (among("x", 5, 32), 32, 33),
        (among("x", "", "C:\\"), "", "c:\\"),
        (matches("x", r"[A-Z]:"), "C:", "C:\n"),
        (each_among("x", 512, 4096), [512, 4096], [512, 520]),
        (contains("x", "a", "b"), ["b", "c", "a"], ["a"]),
    ],
)
def test_a_rule_tells_right_from_wrong(rule: Rule, right: Any, wrong: Any) -> None:
    assert rule.holds({"x": right})
    assert not rule.holds({"x": wrong})
    assert not rule.holds({})
    for value in HOSTILE:
        if value != right:
            assert not rule.holds({"x": value}) or rule.kind in ("at_most", "each_among"), value


def test_a_rule_is_worded() -> None:
    assert equals("errors", []).words() == "errors is empty"
    assert each_among("sectors", 512, 4096).words() == "sectors has nothing but 512, 4096"
