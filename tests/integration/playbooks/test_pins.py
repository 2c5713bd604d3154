# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pins as an operator sets them: by a job, and by the module in a play."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import pytest
from engine.errors import ImageNotFound
from support import imaging
from support.filled import MIB
from support.plain_disks import make_disk
from support.playbooks import Site


def test_a_pinned_image_stays_until_it_is_not_pinned_any_more(tmp_path: Path) -> None:
    storage, drive = tmp_path / "storage", tmp_path / "drive"
    names = []
    for number in range(3):
        drive.write_bytes(bytes([number + 1]) * MIB)
        names.append(imaging.image(storage, drive, keep=9)["image"])
    assert imaging.run_verb(storage, "pin", image=names[0], check=True)["changed"] is True
    for changed in (True, False):
        done = imaging.run_verb(storage, "pin", image=names[0])
        assert (done["changed"], done["image"], done["pinned"]) == (changed, names[0], True)
    listed = imaging.run_verb(storage, "list")["images"]
    assert [one["pinned"] for one in listed] == [True, False, False]
    report = imaging.run_verb(storage, "rollover", keep=1)
    assert (report["deleted"], report["spared"]) == ([names[1]], {names[0]: "it is pinned"})
    assert imaging.verify(storage, image=names[0])["ok"]
    assert imaging.run_verb(storage, "pin", image="latest", state="unpinned")["changed"] is False
    gone = imaging.run_verb(storage, "pin", image=names[0], state="unpinned")
    assert gone["diff"] == {"before": "%s is pinned\n" % names[0], "after": "%s is not pinned\n" % names[0]}
    assert imaging.run_verb(storage, "rollover", keep=1)["deleted"] == [names[0]]
    with pytest.raises(ImageNotFound):
        imaging.run_verb(storage, "pin", image=names[0])


def task(**more: Any) -> Dict[str, Any]:
    where = {"storage": "{{ imaging_storage }}", "device_name": "{{ inventory_hostname }}"}
    module = dict(where, device_alias="{{ imaging_device_alias }}", **more)
    return {"name": "Pin", "plantops.imaging.image_pin": module, "delegate_to": "localhost"}


def test_the_module(tmp_path: Path) -> None:
    make_disk(tmp_path / "disk.raw", 8, noise_mib=1, seed=1)
    site = Site(tmp_path, imaging_drives=[str(tmp_path / "disk.raw")], imaging_keep=1)
    name = site.play("image").result("Make an image")["image"]
    play = [{"hosts": "all", "gather_facts": False, "tasks": [task(image=name)]}]
    (tmp_path / "pin.yml").write_text(json.dumps(play), encoding="utf-8")
    command = site.command("image")
    command[command.index("plantops.imaging.image")] = str(tmp_path / "pin.yml")
    site.command = lambda playbook, *arguments: [*command, *arguments]  # type: ignore[method-assign]
    foretold = site.play("pin", "--check", "--diff")
    assert foretold.result("Pin")["changed"] is True
    assert "is not pinned" in foretold.output
    assert site.play("pin").result("Pin")["changed"] is True
    again = site.play("pin").result("Pin")
    assert (again["changed"], again["image"], again["pinned"]) == (False, name, True)
