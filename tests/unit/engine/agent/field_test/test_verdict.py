# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reader of reports: what is right, wrong, unanswered and not asked, and what a wrong answer means for which code."""

from __future__ import annotations

from typing import Any, Dict

from engine.agent.field_test.check import Check, at_least, equals
from engine.agent.field_test.report import Found, Report
from engine.agent.field_test.verdict import NO_ANSWER, NOT_ASKED, RIGHT, WRONG, differences, is_good, judge, words


def check(name: str, **more: Any) -> Check:
    rules = (at_least("x", 1), equals("y", True))
    return Check(
        name, dict, ("Call of " + name,), rules, "page of " + name, ("host/%s.py" % name,), "M " + name, **more
    )


CHECKS = (check("one"), check("two", wine=("y",)), check("three", wine=("",)))
GOOD = {"x": 1, "y": True}


def report(checks: Dict[str, Found], **more: Any) -> Report:
    given: Dict[str, Any] = {"is_administrator": True, "is_wine": False, "is_complete": True, **more}
    return Report((10, 0, 1), "AMD64", "3.13.2", 64, started="2026-11-30T18:00:00Z", checks=checks, **given)


def found(**more: Any) -> Dict[str, Found]:
    return {**{name: Found("answered", GOOD) for name in ("one", "two", "three")}, **more}


def test_all_is_right() -> None:
    told = report(found())
    assert [one.outcome for one in judge(CHECKS, told)] == [RIGHT] * 3
    assert is_good(CHECKS, told)
    assert differences(judge(CHECKS, told)) == set()


def test_a_wrong_answer_names_what_was_expected_its_meaning_and_its_code() -> None:
    told = report(found(one=Found("answered", {"x": 0, "y": True})))
    verdict = judge(CHECKS, told)[0]
    assert (verdict.outcome, verdict.fields) == (WRONG, ("x",))
    assert not is_good(CHECKS, told)
    text = "\n".join(words(CHECKS, told))
    for part in ("x is at least 1", "it is 0", "M one", "host/one.py", "page of one", "Call of one"):
        assert part in text
    assert "M two" not in text


def test_a_missing_field_is_wrong() -> None:
    assert judge(CHECKS, report(found(one=Found("answered", {"x": 1}))))[0].fields == ("y",)


def test_each_way_to_give_no_answer() -> None:
    for one in (
        Found("failed", {}, kind="OSError", number=-2147024891, text="denied"),
        Found("ended", {}, status=-1073741819),
        Found("too_late", {}),
        Found("in_progress", {}),
    ):
        told = report(found(one=one))
        assert judge(CHECKS, told)[0].outcome == NO_ANSWER
        assert differences(judge(CHECKS, told)) == {("one", "")}
        assert not is_good(CHECKS, told)
    assert "0xC0000005" in "\n".join(words(CHECKS, report(found(one=Found("ended", {}, status=-1073741819)))))
    assert "0x80070005" in "\n".join(words(CHECKS, report(found(one=Found("failed", {}, number=-2147024891)))))


def test_an_empty_report_is_not_good() -> None:
    assert not is_good(CHECKS, report({}))
    assert [one.outcome for one in judge(CHECKS, report({}))] == [NO_ANSWER] * 3


def test_what_was_not_asked_contradicts_nothing() -> None:
    told = report(found(one=Found("not_asked", {}, reason="administrator")))
    assert judge(CHECKS, told)[0].outcome == NOT_ASKED
    assert is_good(CHECKS, told)


def test_an_answer_that_wine_is_known_for_counts_on_wine_alone() -> None:
    odd = found(two=Found("answered", {"x": 1, "y": False}), three=Found("failed", {}, kind="OSError"))
    assert not is_good(CHECKS, report(odd))
    assert is_good(CHECKS, report(odd, is_wine=True))
    assert differences(judge(CHECKS, report(odd, is_wine=True))) == {("two", "y"), ("three", "")}
    more = found(two=Found("answered", {"x": 0, "y": False}))
    assert not is_good(CHECKS, report(more, is_wine=True)), "one field is known, the other is not"


def test_a_report_of_another_version_and_one_that_is_cut_off_are_named() -> None:
    told = report(found(four=Found("answered", {})), is_complete=False)
    text = "\n".join(words(CHECKS, told))
    assert "four" in text
    assert "not complete" in text
