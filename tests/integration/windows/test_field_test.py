# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The field test under Wine: it comes to its end, writes to no disk, and what differs from Windows is exactly the known list."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, NamedTuple, Set

import jsonschema
import pytest
from engine.agent.field_test.catalogue import CHECKS, known_of_wine
from engine.agent.field_test.report import Report, read_report
from engine.agent.field_test.verdict import NOT_ASKED, differences, is_good, judge, words
from support.paths import ROOT
from support.windows.device import Ran, WindowsDevice

SCHEMA = json.loads((ROOT / "docs" / "schemas" / "field-test.json").read_text(encoding="utf-8"))
REPORT = r"C:\report.json"
# Wine passes on what the firmware of its host says, which is nothing in some virtual machines.
OF_THE_HOST = {("firmware", "size_bytes"), ("firmware", "uuid_shape")}


class Outcome(NamedTuple):
    device: WindowsDevice
    ran: Ran
    path: Path
    names_before: Set[str]

    @property
    def report(self) -> Report:
        return read_report(str(self.path))


def names(device: WindowsDevice) -> Set[str]:
    found = {path.relative_to(device.drive).as_posix() for path in device.drive.rglob("*")}
    return {name for name in found if not name.startswith("windows/") or name.startswith("windows/temp/")}


@pytest.fixture(scope="module")
def tested(one_device: WindowsDevice) -> Outcome:
    before = names(one_device)
    ran = one_device.python("-m", "engine.agent.field_test", "--to", REPORT, seconds=900)
    return Outcome(one_device, ran, one_device.host_path(REPORT), before)


def test_it_comes_to_its_end_and_the_report_is_of_its_schema(tested: Outcome) -> None:
    assert tested.ran.status == 0, tested.ran
    document: Dict[str, Any] = json.loads(tested.path.read_text(encoding="ascii"))
    jsonschema.validate(document, SCHEMA)
    assert set(document["checks"]) == {check.name for check in CHECKS}
    report = tested.report
    assert report.is_complete
    assert report.is_wine
    assert report.is_administrator
    assert report.windows[:2] == ((6, 1) if tested.device.kind.windows == "win7" else (10, 0))


def test_it_differs_from_windows_in_what_is_known_of_wine_and_in_nothing_else(tested: Outcome) -> None:
    found = differences(judge(CHECKS, tested.report)) - OF_THE_HOST
    assert (sorted(found - known_of_wine()), sorted(known_of_wine() - found)) == ([], []), "\n".join(
        words(CHECKS, tested.report)
    )
    assert is_good([check for check in CHECKS if check.name != "firmware"], tested.report)
    assert [one.check.name for one in judge(CHECKS, tested.report) if one.outcome == NOT_ASKED] == []


def test_it_leaves_no_file_but_its_report(tested: Outcome) -> None:
    left = names(tested.device) - tested.names_before
    assert {name for name in left if "__pycache__" not in name and not name.startswith("users/")} == {"report.json"}
    assert [name for name in left if "plantops-field-test-" in name] == []


def test_its_service_is_gone(tested: Outcome) -> None:
    asked = "from engine.host import windows_services as s; print(s.query('plantops-imaging-field-test'))"
    tested.device.host_path(r"C:\ask.py").write_text(asked + "\n")
    assert tested.device.python(r"C:\ask.py").output == "None\n"


def test_the_report_names_neither_the_machine_nor_its_user(tested: Outcome) -> None:
    text = tested.path.read_text(encoding="ascii").lower()
    asked = "import os; print(os.environ['COMPUTERNAME']); print(os.environ['USERPROFILE'])"
    tested.device.host_path(r"C:\ask.py").write_text(asked + "\n")
    computer, profile = tested.device.python(r"C:\ask.py").output.lower().splitlines()
    assert computer not in text
    assert json.dumps(profile)[1:-1] not in text
