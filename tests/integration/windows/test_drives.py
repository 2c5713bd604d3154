# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What imaging_drives lists on Windows: each name ends, with an image or with a reason."""

from __future__ import annotations

import json

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
    "all": "D106",
    "system": "D106",
}


def test_a_name_of_nothing_here_ends_with_a_reason(old_device: WindowsDevice) -> None:
    storage = old_device.host_path(r"C:\storage")
    storage.mkdir()
    old_device.host_path(r"C:\requests.py").write_bytes((SUPPORT / "windows" / "requests.py").read_bytes())
    asked = [
        {"verb": "image", "device": "pc", "drives": [name], "storage": {"url": r"C:\storage"}, "snapshot": "none"}
        for name in WRONG
    ]
    ran = old_device.python(r"C:\requests.py", given=json.dumps(asked))
    assert ran.status == 0, ran.errors
    codes = [json.loads(line).get("code", line) for line in ran.output.splitlines()]
    assert dict(zip(WRONG, codes)) == WRONG
    assert not list(storage.rglob("image.json")), "an image was made for a name of nothing"
