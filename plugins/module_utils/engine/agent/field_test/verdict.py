# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares a report with what the code relies on, and says what is right, what is wrong, and what that means for which code."""

from __future__ import annotations

from typing import List, NamedTuple, Sequence, Set, Tuple

from .check import Check
from .report import Found, Report

RIGHT, WRONG, NO_ANSWER, NOT_ASKED = "right", "wrong", "no answer", "not asked"
_WORDS = {
    "too_late": "the call did not return in time",
    "ended": "its process crashed",
    "in_progress": "the test ended in the middle of it: did Windows restart?",
    "administrator": "it needs an administrator",
    "shadow_copies": "shadow copies were not wanted",
    "not_selected": "the test was to ask other checks alone",
}
_NOT_IN_REPORT = "the report does not have it: it is of another version of the test, or was cut off"


class Verdict(NamedTuple):
    """The result of a check in a report. ``fields``: those that are not as the rules want them."""

    check: Check
    outcome: str
    reasons: Tuple[str, ...] = ()
    fields: Tuple[str, ...] = ()
    is_known_of_wine: bool = False


def judge(checks: Sequence[Check], report: Report) -> List[Verdict]:
    """Return a verdict for each check, in their order."""
    return [_verdict(check, report) for check in checks]


def unknown_names(checks: Sequence[Check], report: Report) -> List[str]:
    """The checks of the report that this version does not have."""
    return sorted(set(report.checks) - {check.name for check in checks})


def differences(verdicts: Sequence[Verdict]) -> Set[Tuple[str, str]]:
    """Check and field of each answer that is not as expected; ``""`` for a check without any answer."""
    return {(one.check.name, field) for one in verdicts for field in one.fields} | {
        (one.check.name, "") for one in verdicts if one.outcome == NO_ANSWER
    }


def _verdict(check: Check, report: Report) -> Verdict:
    found = report.checks.get(check.name)
    if found is None:
        return Verdict(check, NO_ANSWER, (_NOT_IN_REPORT,))
    if found.state == "not_asked":
        return Verdict(check, NOT_ASKED, (_WORDS[found.reason],))
    if found.state != "answered":
        return Verdict(check, NO_ANSWER, (_failure(found),), (), report.is_wine and "" in check.wine)
    broken = [rule for rule in check.rules if not rule.holds(found.answer)]
    if not broken:
        return Verdict(check, RIGHT)
    reasons = tuple("%s; it is %s" % (rule.words(), _shown(found, rule.field)) for rule in broken)
    fields = tuple(dict.fromkeys(rule.field for rule in broken))
    return Verdict(check, WRONG, reasons, fields, report.is_wine and set(fields) <= set(check.wine))


def _failure(found: Found) -> str:
    if found.state == "failed":
        number = "" if found.number is None else " %d (0x%08X)" % (found.number, found.number & 0xFFFFFFFF)
        return "it failed with %s%s: %s" % (found.kind, number, found.text)
    if found.state == "ended":
        return "%s with the status 0x%08X" % (_WORDS["ended"], found.status & 0xFFFFFFFF)
    return _WORDS[found.state]


def _shown(found: Found, field: str) -> str:
    return repr(found.answer[field])[:200] if field in found.answer else "missing"


def words(checks: Sequence[Check], report: Report) -> List[str]:
    """The lines for a person: the machine, each check, and what is wrong with its consequences."""
    verdicts = judge(checks, report)
    lines = [
        "%s %d.%d (build %d) for %s, Python %s of %d bits, %s, %s"
        % (
            "Wine as Windows" if report.is_wine else "Windows",
            *report.windows,
            report.processor,
            report.python,
            report.python_bits,
            "as an administrator" if report.is_administrator else "without the rights of an administrator",
            report.started,
        ),
        "",
    ]
    if not report.is_complete:
        lines += ["The report is not complete: the test did not come to its end.", ""]
    for one in verdicts:
        known = " (known of Wine)" if one.is_known_of_wine else ""
        lines.append("%-10s %-26s %s%s" % (one.outcome, one.check.name, one.check.calls[0], known))
    for one in verdicts:
        if one.outcome in (WRONG, NO_ANSWER) and not one.is_known_of_wine:
            lines += ["", "%s: %s" % (one.check.name, one.outcome)]
            lines += ["  expected: %s" % reason if one.outcome == WRONG else "  %s" % reason for reason in one.reasons]
            lines += ["  means: %s" % one.check.means, "  code: %s" % ", ".join(one.check.code)]
            lines.append("  documentation: %s" % one.check.documentation)
    unknown = unknown_names(checks, report)
    if unknown:
        lines += ["", "Checks that this version does not know: %s" % ", ".join(unknown)]
    counts = [(word, sum(one.outcome == word for one in verdicts)) for word in (RIGHT, WRONG, NO_ANSWER, NOT_ASKED)]
    return [*lines, "", ", ".join("%s: %d" % pair for pair in counts)]


def is_good(checks: Sequence[Check], report: Report) -> bool:
    """Whether nothing in the report contradicts the code."""
    return all(one.outcome in (RIGHT, NOT_ASKED) or one.is_known_of_wine for one in judge(checks, report))
