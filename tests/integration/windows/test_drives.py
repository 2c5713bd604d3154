# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What imaging_drives lists on Windows: each name ends, with an image or with a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import pytest
from support.paths import SUPPORT
from support.windows.device import WindowsDevice

WRONG = {
    "C:": "D104",
    "C:\\": "D104",
    r"C:\windows": "D104",
    r"C:\no such file": "D100",
    r"C:\no such folder\disk.raw": "D100",
    r"Q:\disk.raw": "D100",
    "disk.raw": "D104",
    "/dev/sda": "D104",
    "/": "D104",
    r"\\server\share\disk.raw": "D104",
    r"\\.\PhysicalDrive77": "D100",
    "serial:123": "D104",
    "c:": "D104",
    "C:/": "D104",
    "C": "D104",
    "C:disk.raw": "D104",
    "disk0": "D101",  # Wine has it, and its length is 0
    "disk77": "D104",
    " ": "D104",
    "..": "D104",
    "C:\\*": "D104",
    r"C:\present.raw:hidden": "D104",
    r"C:\nul": "D104",
    r"C:\windows\com1.raw": "D104",
    r"C:\present.raw\disk.raw": "D100",
    "C:\\" + "long" * 60: "D100",
    "C:\\" + "d\\" * 3000: "D100",
    "C:\\\ud800": "D100",
    r"\\.\C": "D104",
    "\\\\.\\": "D104",
    r"\\.\pipe\svcctl": "D104",
    r"\\?\C:\present.raw": "D104",
    r"\\?\Volume{00000000-0000-0000-0000-000000000000}": "D100",
    r"\\?\GLOBALROOT\Device\HarddiskVolume99": "D100",
    r"\\.\PhysicalDrive99999": "D104",
    r"\??\C:\present.raw": "D104",
    "all": "D101",
    "system": "N144",  # Wine tells no place of the volume C:
}


@pytest.fixture
def storage(old_device: WindowsDevice) -> Path:
    folder = old_device.host_path(r"C:\storage")
    folder.mkdir(exist_ok=True)
    old_device.host_path(r"C:\present.raw").write_bytes(bytes(1 << 20))
    old_device.host_path(r"C:\requests.py").write_bytes((SUPPORT / "windows" / "requests.py").read_bytes())
    return folder


def request_of(*drives: str) -> Dict[str, Any]:
    asked = {"verb": "image", "device": "pc", "drives": list(drives), "storage": {"url": r"C:\storage"}}
    return dict(asked, snapshot="none")


@pytest.mark.usefixtures("storage")
def test_the_command_ends_with_a_sentence(old_device: WindowsDevice) -> None:
    told = old_device.ask(request_of("C:"))[-1]
    assert (told["event"], told["code"]) == ("error", "D104")
    assert told["message"].endswith(".")
    assert "C:" in told["message"]


def test_a_name_of_nothing_here_ends_with_a_reason(old_device: WindowsDevice, storage: Path) -> None:
    asked = [request_of(name) for name in WRONG]
    asked.append(request_of(r"C:\present.raw", "C:"))  # one wrong name among right ones
    ran = old_device.python(r"C:\requests.py", given=json.dumps(asked))
    assert ran.status == 0, ran.errors
    assert "a file of the host" not in ran.errors, ran.errors
    answers = [json.loads(line) for line in ran.output.splitlines()]
    codes = [answer.get("code", answer) for answer in answers]
    assert dict(zip(WRONG, codes)) == WRONG
    assert codes[len(WRONG) :] == ["D104"]
    assert all(answer["message"] and answer["hint"] for answer in answers)
    assert not list(storage.rglob("image.json")), "an image was made for a name of nothing"
