# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the field test, and the script that reads a report on a controller."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import pytest
from engine.agent.field_test import __main__ as program
from engine.agent.field_test.catalogue import CHECKS
from engine.agent.field_test.check import Rule
from engine.errors import FieldTestImpossible, FieldTestReportInvalid
from support.paths import ROOT

SCRIPT = ROOT / "scripts" / "read_field_test.py"


def fitting(rule: Rule) -> Any:
    """A value that a rule of the catalogue accepts."""
    examples = ["", [], 0, 10**7, True, False, *(["x" * 18, "C:"]), "O:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"]
    shapes = ["xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", "\\\\?\\Volume{xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx}"]
    devices = ["\\\\?\\GLOBALROOT\\Device\\HarddiskVolume" + end for end in ("1", "ShadowCopy1")]
    wanted = list(rule.wanted) if isinstance(rule.wanted, (tuple, list)) else [rule.wanted]
    for value in [rule.wanted, *wanted, wanted, *examples, *shapes, *devices]:
        if rule.holds({rule.field: value}):
            return value
    raise AssertionError(rule)


def good_report() -> Dict[str, Any]:
    checks: Dict[str, Any] = {}
    for check in CHECKS:
        answer: Dict[str, Any] = {}
        for rule in check.rules:
            held = answer.get(rule.field)
            value = fitting(rule)
            answer[rule.field] = [*held, *value] if isinstance(held, list) and isinstance(value, list) else value
        checks[check.name] = {"state": "answered", "seconds": 0.1, "answer": answer}
    about = {"windows": [10, 0, 19045], "processor": "AMD64", "python": "3.13.2", "python_bits": 64}
    return {
        "format": 1,
        "kind": "plantops-imaging field test",
        "started": "2026-11-30T18:00:00Z",
        "ended": "2026-11-30T18:04:00Z",
        "machine": {**about, "administrator": True, "wine": False},
        "checks": checks,
    }


def read(tmp_path: Path, document: Dict[str, Any]) -> subprocess.CompletedProcess[str]:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return subprocess.run([sys.executable, str(SCRIPT), str(path)], capture_output=True, text=True, check=False)


def test_the_script_reads_a_good_and_a_bad_report(tmp_path: Path) -> None:
    document = good_report()
    done = read(tmp_path, document)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "wrong: 0, no answer: 0, not asked: 0" in done.stdout
    document["checks"]["raw_reads"]["answer"]["unaligned_place"] = 0
    done = read(tmp_path, document)
    assert done.returncode == 1
    assert "unaligned_place is 87; it is 0" in done.stdout
    assert "disk/raw_source.py" in done.stdout
    assert read(tmp_path, {}).returncode == 2


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: str(check.name))
def test_each_rule_of_each_check_is_heard(check: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A field that is missing is told, in each check."""
    path = tmp_path / "report.json"
    for rule in check.rules:
        document = good_report()
        del document["checks"][check.name]["answer"][rule.field]
        path.write_text(json.dumps(document), encoding="utf-8")
        assert program.main(["--read", str(path)]) == 1
        assert "%s; it is missing" % rule.words() in capsys.readouterr().out


def test_an_unusable_report_has_its_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--read", str(tmp_path / "missing")]) == 2
    assert FieldTestReportInvalid.code in capsys.readouterr().err


def test_it_asks_nothing_of_another_system(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--to", str(tmp_path / "report.json")]) == 2
    assert FieldTestImpossible.code in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_on_windows_it_says_what_it_skips_and_where_the_report_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(program.conduct, "machine", lambda: dict(good_report()["machine"], administrator=False))
    monkeypatch.setattr(program.conduct, "_in_a_process", lambda *dummy: {"state": "too_late"})
    path = tmp_path / "report.json"
    assert program.main(["--to", str(path), "--only", "memory", "--only", "service"]) == 0
    told = capsys.readouterr().out
    assert "administrator" in told
    assert str(path) in told
    checks = json.loads(path.read_text())["checks"]
    assert checks["memory"]["state"] == "too_late"
    assert checks["service"]["reason"] == "administrator"
    assert checks["locks"]["reason"] == "not_selected"
    assert len(checks) == len(CHECKS)


def test_a_letter_that_the_console_lacks_does_not_end_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    console = io.TextIOWrapper(io.BytesIO(), encoding="cp437")
    monkeypatch.setattr(sys, "stdout", console)
    program._say("C:\\Users\\\u0141ukasz")
    assert console.buffer.getvalue() == b"C:\\Users\\\\u0141ukasz\n"  # type: ignore[attr-defined]
