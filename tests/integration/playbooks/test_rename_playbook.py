# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook ``rename`` as an operator uses it: planned, done, repeated, refused, and a directory moved by hand repaired."""

from __future__ import annotations

import json
from pathlib import Path

from support import imaging
from support.filled import MIB
from support.playbooks import Site
from support.recovery import stand_in

TASK = "Rename the directory"
TO = ("-e", "imaging_rename_to=hall2")


def test_a_device_gets_another_name(tmp_path: Path) -> None:
    results = tmp_path / "results"
    site = Site(tmp_path, imaging_password=imaging.PASSWORD, imaging_results_directory=str(results))
    drive = tmp_path / "drive"
    drive.write_bytes(b"1" * MIB)
    name = imaging.image(site.storage, drive, device="t_pc-1")["image"]

    asked = site.play("rename", "--check", "--diff", *TO)
    assert (asked.status, asked.result(TASK)["changed"], asked.result(TASK)["moved"]) == (0, True, True)
    assert "would rename the directory t_pc-1 to t_hall2: image %s" % name in asked.output
    assert "-t_pc-1\n+t_hall2\n" in asked.output
    assert [path.name for path in site.storage.iterdir()] == ["t_pc-1"]

    refused = site.play("rename", *TO, "-e", "imaging_password=wrong")
    assert (refused.status, refused.result(TASK)["error_code"]) == (2, "J190")

    done = site.play("rename", *TO)
    result = done.result(TASK)
    assert (done.status, result["changed"], result["device"], result["former"]) == (0, True, "t_hall2", "t_pc-1")
    assert "renamed the directory t_pc-1 to t_hall2: image %s" % name in done.output
    assert [path.name for path in site.storage.iterdir()] == ["t_hall2"]
    document = json.loads(sorted(results.rglob("*-rename.json"))[-1].read_text(encoding="utf-8"))
    assert (document["verb"], document["state"]) == ("rename", "ok")

    drive.write_bytes(b"1" * MIB + b"2" * MIB)
    second = imaging.image(site.storage, drive, device="t_hall2")
    shown = site.play("show", "-e", "imaging_device_name=hall2").result("List the images")
    assert [one["image"] for one in shown["devices"][0]["images"]] == [name, second["image"]]
    for image in (name, second["image"]):
        assert imaging.verify(site.storage, device="t_hall2", image=image)["ok"] is True
    copy = {"directory": str(tmp_path / "copy"), "program": str(stand_in())}
    assert imaging.run_verb(site.storage, "copy", device="t_hall2", image=name, **copy)["image"] == name
    assert imaging.verify(tmp_path / "copy", device="t_hall2", image=name)["ok"] is True
    imaging.restore(site.storage, tmp_path / "restored", device="t_hall2", image=name)
    assert (tmp_path / "restored").read_bytes() == b"1" * MIB

    (site.storage / "t_hall2").rename(site.storage / "t_hall3")
    by_hand = site.play("rename", "-e", "imaging_device_name=hall2", "-e", "imaging_rename_to=hall3")
    assert (by_hand.status, by_hand.result(TASK)["changed"], by_hand.result(TASK)["moved"]) == (0, True, False)
    assert "repaired the directory of t_hall2, now called t_hall3" in by_hand.output
    for image in (name, second["image"]):
        assert imaging.verify(site.storage, device="t_hall3", image=image)["ok"] is True
    again = site.play("rename", "-e", "imaging_device_name=hall2", "-e", "imaging_rename_to=hall3")
    assert (again.status, again.result(TASK)["changed"]) == (0, False)
