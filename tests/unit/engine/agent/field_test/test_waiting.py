# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A question is asked at least once, until its answer is yes or the time is over."""

from __future__ import annotations

from typing import Iterator, List, Optional

import pytest
from engine.agent.field_test.waiting import within


@pytest.mark.parametrize(
    ("answers", "seconds", "expected"),
    [([True], 0.0, True), ([False, None, True], 5.0, True), ([False] * 99, 0.1, False)],
)
def test_a_question_is_asked_until_its_answer_is_yes(
    answers: List[Optional[bool]], seconds: float, expected: bool
) -> None:
    left: Iterator[Optional[bool]] = iter(answers)
    assert within(seconds, lambda: next(left), 0.01) is expected
    assert (next(left, None) is None) is expected, "it is asked no more than needed"
