# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policies have a rule for every file, by the hash that Windows compares, in the form that their schemas ask for."""

from __future__ import annotations

import csv
import io
import re
from typing import List
from xml.etree import ElementTree

from engine.install.windows import policies
from engine.install.windows.document import File

FILES = [
    File("install.cmd", "a1" * 32, 900, ""),
    File("lib/blake3/blake3.pyd", "b1" * 32, 1000, "b2" * 32),
    File("lib/x.py", "c1" * 32, 10, ""),
    File("python/python.exe", "d1" * 32, 2000, "d2" * 32),
    File("python/python38.dll", "e1" * 32, 3000, "e2" * 32),
]
SIGNABLE = {"B2" * 32, "D2" * 32, "E2" * 32}
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
SI = "{urn:schemas-microsoft-com:sipolicy}"


def test_the_list_has_both_hashes_of_each_file() -> None:
    rows = list(csv.DictReader(io.StringIO(policies.hash_list(FILES).decode("ascii"))))
    assert [row["name"] for row in rows] == [file.name for file in FILES]
    assert [row["sha256"] for row in rows] == [file.sha256 for file in FILES]
    assert [row["authenticode_sha256"] for row in rows] == [file.authenticode for file in FILES]


def test_app_control_allows_every_executable_in_user_mode() -> None:
    root = ElementTree.fromstring(policies.app_control(FILES, "agent 1.0 windows-amd64"))
    assert (root.tag, root.get("PolicyType")) == (SI + "SiPolicy", "Supplemental Policy")
    rules = root.findall("%sFileRules/%sAllow" % (SI, SI))
    assert {rule.get("Hash") for rule in rules} == SIGNABLE
    numbers = [rule.get("ID") or "" for rule in rules]
    assert len(set(numbers)) == 3
    assert all(re.fullmatch(r"ID_ALLOW_[A-Z0-9_]+", number) for number in numbers)
    scenario = root.find("%sSigningScenarios/%sSigningScenario" % (SI, SI))
    assert scenario is not None
    assert scenario.get("Value") == "12", "131 would be drivers"
    references = scenario.findall(".//%sFileRuleRef" % SI)
    assert [one.get("RuleID") for one in references] == numbers
    for name in ("PolicyID", "BasePolicyID", "PlatformID"):
        text = root.findtext(SI + name) or ""
        assert (text[0], text[-1]) == ("{", "}")
        assert GUID.fullmatch(text[1:-1])
    other = ElementTree.fromstring(policies.app_control(FILES, "agent 1.1 windows-amd64"))
    assert other.findtext(SI + "PolicyID") != root.findtext(SI + "PolicyID")


def test_app_locker_lets_only_the_system_and_administrators_run_python() -> None:
    root = ElementTree.fromstring(policies.app_locker(FILES, "agent 1.0"))
    assert (root.tag, root.get("Version")) == ("AppLockerPolicy", "1")
    collections = {one.get("Type"): one for one in root}
    assert set(collections) == {"Exe", "Dll", "Script"}
    numbers: List[str] = []
    for collection in collections.values():
        assert collection.get("EnforcementMode") == "NotConfigured", "it must not begin to block a plant's programs"
        rules = collection.findall("FileHashRule")
        assert {rule.get("UserOrGroupSid") for rule in rules} == {"S-1-5-18", "S-1-5-32-544"}
        numbers += [rule.get("Id") or "" for rule in rules]
        assert all(rule.get("Action") == "Allow" and rule.get("Name") for rule in rules)
    assert len(set(numbers)) == len(numbers)
    assert all(GUID.fullmatch(number) for number in numbers)
    found = {name: hashes(collection) for name, collection in collections.items()}
    assert found["Exe"] == {"0x" + "D2" * 32}
    assert found["Dll"] == {"0x" + "B2" * 32, "0x" + "E2" * 32}
    assert found["Script"] == {"0x" + "A1" * 32}


def hashes(collection: ElementTree.Element) -> set[str]:
    found = collection.findall("FileHashRule/Conditions/FileHashCondition/FileHash")
    assert all(one.get("Type") == "SHA256" and int(one.get("SourceFileLength") or "") > 0 for one in found)
    assert all("/" not in (one.get("SourceFileName") or "/") for one in found)
    return {one.get("Data") or "" for one in found}


def test_the_same_files_give_the_same_policies() -> None:
    for make in (policies.app_control, policies.app_locker):
        assert make(FILES, "agent") == make(list(FILES), "agent")
