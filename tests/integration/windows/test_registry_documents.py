# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The device document from the registry of a real PC (Windows 8.1), held against libhivex, which also edits copies of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import jsonschema
import pytest
from engine.device.compare.compare import compare
from engine.device.document import collect as collecting
from engine.device.document.collect import collect
from support.paths import ROOT
from support.windows.hive_files import system_of
from support.windows.real_data import real_file

Document = Dict[str, Any]
pytestmark = pytest.mark.long  # fetches 15 MB
HIVES = ("SOFTWARE", "SYSTEM", "SAM")
SERVICES = r"ControlSet001\Services"
EDITS = {
    "SOFTWARE": r"""
[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\Visu7]
"DisplayName"="Visu 7"
"DisplayVersion"="7.1"

[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages\Package_for_KB5099999~31bf3856ad364e35~amd64~~6.3.1.2]
"CurrentState"=dword:00000070
"Visibility"=dword:00000001
""",
    "SYSTEM": r"""
[HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Services\Spooler]
"Start"=dword:00000004
""",
}


@pytest.fixture(scope="module", autouse=True)
def patience() -> Iterator[None]:
    """A parser in Python takes longer than Windows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collecting, "_SECONDS", 120.0)
        yield


@pytest.fixture(scope="module")
def hives() -> Dict[str, Path]:
    return {name: real_file("dfwinreg", name) for name in HIVES}


@pytest.fixture(scope="module")
def document(hives: Dict[str, Path]) -> Document:
    return collect(windows=system_of(hives))


def exported(hive: Path, root: str, key: str) -> Iterator[Tuple[str, Dict[str, str]]]:
    """The keys below a key and their values, as libhivex prints them."""
    command = ["hivexregedit", "--export", "--prefix", "H", str(hive), key]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.decode("utf-8", "replace")
    for block in text.split("\n\n"):
        head = re.match(r"\[H\\(.+)\]", block.strip())
        if head:
            values = re.findall(r'^"((?:[^"\\]|\\.)*)"=(.*)$', block, re.MULTILINE)
            yield head.group(1)[len(root) + 1 :], {one.lower(): value for one, value in values}


def test_the_document_has_the_form_of_every_document(document: Document) -> None:
    jsonschema.validate(document, json.loads((ROOT / "docs" / "schemas" / "device.json").read_text()))
    assert set(document["unreadable"]) == {"listening_ports"}


def test_services_and_drivers_are_those_that_libhivex_reads(document: Document, hives: Dict[str, Path]) -> None:
    words = ["boot", "system", "automatic", "manual", "disabled"]
    programs, drivers = {}, {}
    for name, values in exported(hives["SYSTEM"], SERVICES, SERVICES):
        kind = int(values.get("type", "dword:0")[6:], 16) if values.get("type", "dword:").startswith("dword:") else 0
        if "\\" in name or not kind:
            continue
        start = words[int(values["start"][6:], 16)]
        delayed = start == "automatic" and values.get("delayedautostart") == "dword:00000001"
        (drivers if kind & 0xB else programs)[name] = start + (", delayed" if delayed else "")
    sections = document["sections"]
    assert len(programs) > 150
    assert {name: item["start"] for name, item in sections["services"].items()} == programs
    assert {name: item["start"] for name, item in sections["drivers"].items()} == drivers


def test_updates_are_those_that_libhivex_reads(document: Document, hives: Dict[str, Path]) -> None:
    key = r"Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages"
    expected = set()
    for name, values in exported(hives["SOFTWARE"], key, key):
        found = re.match(r"Package_for_(KB\d+|RollupFix)~", name)
        installed = (values.get("currentstate"), values.get("visibility")) == ("dword:00000070", "dword:00000001")
        if found and installed and "\\" not in name:
            expected.add(found.group(1))
    assert len(expected) > 200
    assert set(document["sections"]["updates"]) == expected


def test_what_this_pc_is(document: Document) -> None:
    sections = document["sections"]
    system = sections["operating_system"]["system"]
    assert (system["name"], system["host_name"]) == ("Windows 8.1 Enterprise Evaluation", "STUDENT-PC8")
    assert (system["product_type"], system["domain"]) == ("workstation", "internal.greendale.edu")
    assert sections["operating_system"]["kernel"]["version"] == "6.3.9600"
    assert sections["mounts"]["C:"]["source"] == "mbr:d1cecf67, byte 368050176"
    assert sections["users"]["gold_administrator"]["home"] == r"C:\Users\gold_administrator"
    assert "gold_administrator" in sections["groups"]["Administrators"]["members"]
    assert sections["network"]["Ethernet"]["adapter"] == "Intel(R) PRO/1000 MT Desktop Adapter"
    assert len(sections["scheduled_tasks"]) > 100
    expiries = [item["expires"] for item in sections["certificates"].values()]
    assert len(expiries) > 10
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d .* UTC", one) for one in expiries)


def test_an_edit_is_the_only_difference(document: Document, hives: Dict[str, Path], tmp_path: Path) -> None:
    """A program installed, an update added and a service disabled, by another program than the one that reads."""
    copies: Dict[str, Path] = {}
    for name, hive in hives.items():
        copies[name] = tmp_path / name
        shutil.copyfile(hive, copies[name])
        if name in EDITS:
            order = "Windows Registry Editor Version 5.00\n" + EDITS[name]
            command = ["hivexregedit", "--merge", "--prefix", r"HKEY_LOCAL_MACHINE\%s" % name, str(copies[name])]
            subprocess.run(command, input=order.encode(), check=True)
    found = compare(document, collect(windows=system_of(copies)))
    assert differences(found) == [
        ("changed", "services/Spooler.start", "automatic", "disabled"),
        ("added", "software/Visu 7", "", "7.1"),
        ("added", "updates/KB5099999", "", "['6.3.1.2']"),
    ]


def differences(found: Dict[str, Any]) -> List[Tuple[str, str, str, str]]:
    told: List[Tuple[str, str, str, str]] = []
    for section, kinds in sorted(found["sections"].items()):
        for kind, entries in kinds.items():
            for one in entries:
                place = "%s/%s%s" % (section, one["key"], "." + one["field"] if kind == "changed" else "")
                told.append((kind, place, str(one.get("before", "")), str(one.get("after", one.get("version")))))
    return told
