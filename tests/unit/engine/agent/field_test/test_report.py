# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report that came back: good ones are read, and one that is cut off, changed or hostile is refused with its code."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, Callable, Dict

import jsonschema
import pytest
from engine.agent.field_test.report import MOST_BYTES, read_report
from engine.errors import FieldTestReportInvalid
from hypothesis import given, settings
from hypothesis import strategies as st
from support.paths import ROOT

SCHEMA = json.loads((ROOT / "docs" / "schemas" / "field-test.json").read_text(encoding="utf-8"))
GOOD: Dict[str, Any] = {
    "format": 1,
    "kind": "plantops-imaging field test",
    "started": "2026-11-30T18:00:00Z",
    "ended": "2026-11-30T18:04:00Z",
    "machine": {
        "windows": [10, 0, 19045],
        "processor": "AMD64",
        "python": "3.13.2",
        "python_bits": 64,
        "administrator": True,
        "wine": False,
    },
    "checks": {
        "version": {"state": "answered", "seconds": 0.1, "answer": {"major": 10, "x": None, "y": ["a", 1], "z": True}},
        "firmware": {"state": "failed", "error": {"kind": "OSError", "number": 5, "text": "denied"}},
        "boot": {"state": "failed", "error": {"kind": "ValueError", "number": None, "text": ""}},
        "memory": {"state": "ended", "status": -1073741819, "seconds": 1},
        "com": {"state": "too_late", "seconds": 60.0},
        "service": {"state": "not_asked", "reason": "administrator"},
        "locks": {"state": "in_progress"},
    },
}


def write(tmp_path: Path, data: bytes) -> str:
    (tmp_path / "report.json").write_bytes(data)
    return str(tmp_path / "report.json")


def test_a_good_report_is_read(tmp_path: Path) -> None:
    jsonschema.validate(GOOD, SCHEMA)
    found = read_report(write(tmp_path, json.dumps(GOOD).encode()))
    assert (found.windows, found.processor, found.is_administrator) == ((10, 0, 19045), "AMD64", True)
    assert found.is_complete
    assert found.checks["version"].answer == {"major": 10, "x": None, "y": ["a", 1], "z": True}
    assert (found.checks["firmware"].number, found.checks["firmware"].text) == (5, "denied")
    assert found.checks["memory"].status == -1073741819


def test_a_report_without_an_end_is_read_as_that(tmp_path: Path) -> None:
    document = {key: value for key, value in GOOD.items() if key != "ended"}
    assert not read_report(write(tmp_path, json.dumps(document).encode())).is_complete


def test_each_report_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    data = json.dumps(GOOD).encode()
    for length in range(0, len(data), 7):
        with pytest.raises(FieldTestReportInvalid):
            read_report(write(tmp_path, data[:length]))


def set_at(*path: Any, value: Any) -> Callable[[Dict[str, Any]], None]:
    def change(document: Dict[str, Any]) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = value

    return change


ANSWER = ("checks", "version", "answer")


@pytest.mark.parametrize(
    "change",
    [
        set_at("format", value=2),
        set_at("format", value=True),
        set_at("kind", value="device"),
        set_at("started", value="yesterday"),
        set_at("ended", value=5),
        set_at("machine", value=[]),
        set_at("machine", "windows", value=[10, 0]),
        set_at("machine", "windows", value=[10, 0, "x"]),
        set_at("machine", "windows", value=[True, 0, 1]),
        set_at("machine", "administrator", value="yes"),
        set_at("machine", "python_bits", value=None),
        set_at("machine", "processor", value="x" * 100_000),
        set_at("checks", value=[]),
        set_at("checks", value={"c%d" % number: {"state": "too_late"} for number in range(501)}),
        set_at("checks", "\x1b[2J", value={"state": "too_late"}),
        set_at("checks", "version", value=None),
        set_at("checks", "version", "state", value="right"),
        set_at("checks", "version", "state", value=["answered"]),
        set_at(*ANSWER, value=None),
        set_at(*ANSWER, "major", value={"deep": 1}),
        set_at(*ANSWER, "major", value=[[1]]),
        set_at(*ANSWER, "major", value=1.5),
        set_at(*ANSWER, "major", value=10**400),
        set_at(*ANSWER, "major", value="x" * 10_000),
        set_at(*ANSWER, "major", value=[0] * 6000),
        set_at(*ANSWER, value={"f%d" % number: 0 for number in range(101)}),
        set_at("checks", "firmware", "error", value="denied"),
        set_at("checks", "firmware", "error", "number", value="5"),
        set_at("checks", "memory", "status", value=None),
        set_at("checks", "service", "reason", value="tired"),
    ],
)
def test_a_report_that_no_test_writes_is_refused(tmp_path: Path, change: Callable[[Dict[str, Any]], None]) -> None:
    document = copy.deepcopy(GOOD)
    change(document)
    with pytest.raises(FieldTestReportInvalid) as raised:
        read_report(write(tmp_path, json.dumps(document).encode()))
    assert "\x1b" not in str(raised.value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[" * 100_000,
        b"\xff\xfe{}",
        b'{"kind": 1, "kind": 1}',
        b'{"format": NaN}',
        json.dumps(GOOD).encode("utf-16"),
        b" " * (MOST_BYTES + 1),
    ],
)
def test_what_is_not_a_report_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(FieldTestReportInvalid):
        read_report(write(tmp_path, data))


def test_a_missing_report_and_a_directory_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(FieldTestReportInvalid):
            read_report(str(path))


def test_texts_do_not_steer_a_terminal(tmp_path: Path) -> None:
    document = copy.deepcopy(GOOD)
    document["checks"]["firmware"]["error"]["text"] = "a\x1b[2J\u202eb\nc"
    document["machine"]["processor"] = "\x1b]0;x\x07"
    found = read_report(write(tmp_path, json.dumps(document).encode()))
    assert found.checks["firmware"].text.isprintable()
    assert found.processor.isprintable()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([("machine",), ("checks",), ("checks", "version"), ANSWER, ("started",)]), _JSON)
def test_any_value_in_any_place_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, path: Any, value: Any
) -> None:
    document = copy.deepcopy(GOOD)
    set_at(*path, value=value)(document)
    try:
        found = read_report(write(tmp_path_factory.mktemp("any"), json.dumps(document).encode()))
    except FieldTestReportInvalid:
        return
    assert all(isinstance(one.answer, dict) for one in found.checks.values())
