# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a report that came back from a device. It may be hostile: its size, depth, names and types are checked first."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

from ...errors import FieldTestReportInvalid
from ...moments import MOMENT
from ...tame import tame
from .conduct import FORMAT, KIND, MOST_TEXT

MOST_BYTES = 1 << 20
_MOST_CHECKS, _MOST_FIELDS, _MOST_ITEMS = 500, 100, 5000
_NAME = re.compile(r"[a-z0-9_]{1,64}", re.ASCII)
STATES = ("answered", "failed", "too_late", "ended", "not_asked", "in_progress")
REASONS = ("administrator", "shadow_copies", "not_selected")
_MOST_NUMBER = 1 << 64


class Found(NamedTuple):
    """The outcome of a check on a device. ``number`` and ``text`` are those of a failure, ``status`` of a crash."""

    state: str
    answer: Mapping[str, Any]
    reason: str = ""
    kind: str = ""
    number: Optional[int] = None
    text: str = ""
    status: int = 0


class Report(NamedTuple):
    """A report whose every value has the right type. ``is_complete``: the test came to its end."""

    windows: Tuple[int, int, int]
    processor: str
    python: str
    python_bits: int
    is_administrator: bool
    is_wine: bool
    started: str
    is_complete: bool
    checks: Dict[str, Found]


class _Wrong(Exception):
    """The fault of a report."""


def read_report(path: str) -> Report:
    """:raises FieldTestReportInvalid:"""
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise FieldTestReportInvalid(path=path, reason=error.strerror or str(error)) from error
    try:
        return parse(data)
    except _Wrong as error:
        raise FieldTestReportInvalid(path=path, reason=str(error)) from error


def parse(data: bytes) -> Report:
    """Return the report in ``data``, with every text tamed."""
    if len(data) > MOST_BYTES:
        raise _Wrong("it has more than %d bytes" % MOST_BYTES)
    try:
        document = json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
        document = tame(document)
    except (UnicodeDecodeError, RecursionError) as error:
        raise _Wrong("it is not JSON") from error
    except ValueError as error:
        raise _Wrong("it is not JSON: %s" % str(error)[:MOST_TEXT]) from error
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise _Wrong("it does not come from the field test")
    if not _is_number(document.get("format")) or document["format"] != FORMAT:
        raise _Wrong("its format is %s, not %d" % (_short(document.get("format")), FORMAT))
    return _report(document)


def _report(document: Dict[str, Any]) -> Report:
    started = _text(document, "started")
    if not MOMENT.fullmatch(started) or not MOMENT.fullmatch(str(document.get("ended", started))):
        raise _Wrong("it does not say when it was made")
    machine = document.get("machine")
    if not isinstance(machine, dict):
        raise _Wrong("it does not describe the machine")
    version = machine.get("windows")
    if not isinstance(version, list) or len(version) != 3 or not all(_is_number(one) for one in version):
        raise _Wrong("it does not say which Windows it comes from")
    checks = document.get("checks")
    if not isinstance(checks, dict) or len(checks) > _MOST_CHECKS:
        raise _Wrong("it has no checks, or more than %d" % _MOST_CHECKS)
    return Report(
        (version[0], version[1], version[2]),
        _text(machine, "processor"),
        _text(machine, "python"),
        _number(machine, "python_bits"),
        _flag(machine, "administrator"),
        _flag(machine, "wine"),
        started,
        "ended" in document,
        {_name(name): _found(name, one) for name, one in checks.items()},
    )


def _found(name: str, one: object) -> Found:
    if not isinstance(one, dict) or one.get("state") not in STATES:
        raise _Wrong("the check %s has no state that is known" % _short(name))
    state = str(one["state"])
    if state == "answered":
        return Found(state, _answer(name, one.get("answer")))
    if state == "failed":
        error = one.get("error")
        if not isinstance(error, dict):
            raise _Wrong("the check %s failed without an error" % _short(name))
        number = error.get("number")
        if number is not None and not _is_number(number):
            raise _Wrong("the error of the check %s has no number" % _short(name))
        return Found(state, {}, kind=_text(error, "kind"), number=number, text=_text(error, "text"))
    if state == "not_asked":
        if one.get("reason") not in REASONS:
            raise _Wrong("the check %s was not asked for an unknown reason" % _short(name))
        return Found(state, {}, reason=str(one["reason"]))
    return Found(state, {}, status=_number(one, "status") if state == "ended" else 0)


def _answer(name: str, answer: object) -> Dict[str, Any]:
    if not isinstance(answer, dict) or len(answer) > _MOST_FIELDS:
        raise _Wrong("the check %s has no answer, or too long a one" % _short(name))
    for field, value in answer.items():
        _name(field)
        items = value if isinstance(value, list) else [value]
        if len(items) > _MOST_ITEMS or not all(_is_plain(item) for item in items):
            raise _Wrong("the field %s of the check %s is not plain" % (_short(field), _short(name)))
    return answer


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= 10 * MOST_TEXT
    return value is None or isinstance(value, bool) or _is_number(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MOST_NUMBER


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise _Wrong("the name %s is not one" % _short(name))
    return name


def _text(document: Mapping[str, Any], name: str) -> str:
    found = document.get(name)
    if not isinstance(found, str) or len(found) > 10 * MOST_TEXT:
        raise _Wrong("%s is missing, or not a text" % name)
    return found


def _number(document: Mapping[str, Any], name: str) -> int:
    found = document.get(name)
    if not isinstance(found, int) or not _is_number(found):
        raise _Wrong("%s is missing, or not a number" % name)
    return found


def _flag(document: Mapping[str, Any], name: str) -> bool:
    found = document.get(name)
    if not isinstance(found, bool):
        raise _Wrong("%s is missing, or not true or false" % name)
    return found


def _once(pairs: Any) -> Dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError("%s is not a number" % name)


def _short(value: object) -> str:
    return repr(value)[:60]
