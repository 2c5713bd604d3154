# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of docs/ten_minutes_with_windows.md and the JSON Schema of a report, from the checks of the field test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Iterable, List

from engine.agent.field_test.catalogue import CHECKS, NOT_ASKED
from engine.agent.field_test.check import Check
from engine.agent.field_test.conduct import FORMAT, KIND
from engine.agent.field_test.report import REASONS, STATES

PAGE = Path(__file__).resolve().parent.parent / "docs" / "ten_minutes_with_windows.md"


def tables() -> str:
    """The checks, and the interfaces that the test does not ask."""
    lines = ["| check | calls | expected | documentation | if it is wrong |", "|---|---|---|---|---|"]
    lines += [_row(check) for check in CHECKS]
    lines += ["", "Not asked:", "", "| interface | reason |", "|---|---|"]
    lines += [
        _cells((_code(name), reason)) for name, reason in sorted(NOT_ASKED.items(), key=lambda one: one[0].lower())
    ]
    return "\n".join(lines) + "\n"


def _row(check: Check) -> str:
    marks = ["administrator"] * check.needs_administrator + ["shadow copy"] * check.makes_shadow_copy
    name = _code(check.name) + (" (%s)" % ", ".join(marks) if marks else "")
    calls = "; ".join(map(_code, check.calls))
    rules = "; ".join(_code(rule.words()) for rule in check.rules)
    means = "%s (%s)" % (check.means, ", ".join(map(_code, check.code)))
    return _cells((name, calls, rules, check.documentation, means))


def _code(text: str) -> str:
    return "`%s`" % text


def _cells(cells: Iterable[str]) -> str:
    return "| %s |" % " | ".join(cell.replace("|", "\\|") for cell in cells)


def _needs(*names: str, **properties: Any) -> Dict[str, Any]:
    return {"required": list(names), "properties": properties}


def schema() -> str:
    """The schema of a report."""
    text, number, flag = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
    plain: List[Any] = [{"type": ["string", "integer", "boolean", "null"]}]
    plain.append({"type": "array", "items": {"type": ["string", "integer", "boolean", "null"]}})
    moment = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"}
    error = dict(
        _needs("kind", "number", "text", kind=text, number={"type": ["integer", "null"]}, text=text), type="object"
    )
    names = {"pattern": "^[a-z0-9_]{1,64}$"}
    answer = {"type": "object", "propertyNames": names, "additionalProperties": {"anyOf": plain}}
    by_state = {
        "answered": _needs("answer", answer=answer),
        "failed": _needs("error", error=error),
        "ended": _needs("status", status=number),
        "not_asked": _needs("reason", reason={"enum": list(REASONS)}),
    }
    check = {
        "type": "object",
        "required": ["state"],
        "properties": {"state": {"enum": list(STATES)}, "seconds": {"type": "number"}},
        "allOf": [
            {"if": {"properties": {"state": {"const": state}}}, "then": wanted} for state, wanted in by_state.items()
        ],
    }
    version = {"type": "array", "items": number, "minItems": 3, "maxItems": 3}
    about = {
        "windows": version,
        "processor": text,
        "python": text,
        "python_bits": number,
        "administrator": flag,
        "wine": flag,
    }
    made = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Report of the field test of plantops.imaging",
        "description": "See docs/ten_minutes_with_windows.md. A report without `ended` is of a test that did not come to its end.",
        "type": "object",
        **_needs("format", "kind", "started", "machine", "checks"),
    }
    made["properties"] = {
        "format": {"const": FORMAT},
        "kind": {"const": KIND},
        "started": moment,
        "ended": moment,
        "machine": dict(_needs(*about, **about), type="object"),
        "checks": {"type": "object", "propertyNames": names, "additionalProperties": check},
    }
    return json.dumps(made, indent=2) + "\n"
