# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine asks Windows about itself and the machine, and what it never tells: a word of the host of the double."""

from __future__ import annotations

import json
import platform
import re
from pathlib import Path
from typing import Any, Dict

import pytest
from support.paths import SUPPORT
from support.windows.device import WindowsDevice


@pytest.fixture(scope="module")
def facts(device: WindowsDevice) -> Dict[str, Any]:
    device.host_path(r"C:\host_facts.py").write_bytes((SUPPORT / "windows" / "host_facts.py").read_bytes())
    ran = device.python(r"C:\host_facts.py")
    assert ran.status == 0, ran.errors
    return dict(json.loads(ran.output))


def test_a_process_that_runs_and_one_that_has_ended(facts: Dict[str, Any]) -> None:
    """A lease tells by this that its holder is dead, instead of waiting for it."""
    assert re.fullmatch(r"(start|minute) \d+", facts["boot_id"])
    assert re.fullmatch(r"1\d{17}", facts["own_start"])
    assert facts["ended_start"] == ""


def test_a_lock_holds_until_its_file_is_closed(facts: Dict[str, Any]) -> None:
    assert facts["locks"] == [True, True, False, False, True]
    assert facts["readable"] == "run-1\n", "the lock keeps nobody from reading who has it"


def test_the_identity_of_the_machine(facts: Dict[str, Any], device: WindowsDevice) -> None:
    registry = (device.prefix / "system.reg").read_text(encoding="utf-8", errors="replace")
    guid = re.search(r'"MachineGuid"="([0-9a-f-]{36})"', registry)
    assert guid is not None
    assert facts["machine_id"] == guid.group(1)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|", facts["smbios_uuid"])


def test_the_priority_and_the_memory(facts: Dict[str, Any]) -> None:
    """Wine lowers no more than the class; a real Windows answers for the other two."""
    assert "idle class" in facts["priority"]
    assert facts["memory_bytes"] > 1 << 30


def test_the_volumes_and_the_claim_on_a_disk(facts: Dict[str, Any]) -> None:
    """The questions about disks themselves have no answer here."""
    assert facts["on_system"] in facts["volumes"]
    assert facts["mount_points"] == ["C:\\"]
    assert (facts["paging_files"], facts["starting_device"]) == (["C:\\pagefile.sys"], "")
    assert facts["claims"] == [True, False, True, True]


def test_the_document_is_of_windows_and_tells_no_word_of_the_host(facts: Dict[str, Any], device: WindowsDevice) -> None:
    document = facts["document"]
    system = document["sections"]["operating_system"]
    assert system["system"]["family"] == "windows"
    assert system["kernel"]["version"].startswith({"win7": "6.1.", "win10": "10.0."}[device.kind.windows])
    assert document["sections"]["hardware"]["memory"]["size_mib"] > 1024
    assert set(document["unreadable"]) == {"listening_ports"}
    release = platform.freedesktop_os_release()
    words = {release["ID"], release["NAME"], platform.release()}
    assert not [word for word in words if word.lower() in json.dumps(document).lower()]
    assert not Path(device.drive / "proc").exists()
