# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook ``retire`` as an operator uses it: asked, refused, done, repeated, and its line at the end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, List

from engine.image.upkeep.rollover import pin
from engine.storage.local.storage import DirectoryStorage
from support import imaging
from support.filled import MIB
from support.playbooks import Site

TASK = "Delete the images"
YES = ("-e", "imaging_retire=t_pc-1")


def made(storage: Path, drive: Path, images: int, **more: Any) -> List[str]:
    """Images of the device, made without a play."""
    names = []
    for number in range(images):
        drive.write_bytes(bytes([number + 1]) * MIB)
        names.append(imaging.image(storage, drive, **dict({"device": "t_pc-1", "keep": 9}, **more))["image"])
    return names


def test_a_device_is_retired(tmp_path: Path) -> None:
    results = tmp_path / "results"
    site = Site(tmp_path, imaging_password=imaging.PASSWORD, imaging_results_directory=str(results))
    names = made(site.storage, tmp_path / "drive", 2)
    (site.storage / "t_pc-2").mkdir()

    for arguments, named in (((), ""), (("-e", "imaging_retire=pc-1"), "pc-1")):
        refused = site.play("retire", *arguments)
        assert (refused.status, refused.result(TASK)["error_code"]) == (2, "J189")
        assert "t_pc-1" in refused.result(TASK)["msg"]
        assert repr(named) in refused.result(TASK)["msg"]

    asked = site.play("retire", "--check", "--diff", *YES)
    assert (asked.status, asked.result(TASK)["changed"], asked.result(TASK)["deleted"]) == (0, True, names)
    assert "would delete 2 images: %s" % ", ".join(names) in asked.output
    assert "-%s\n" % names[0] in asked.output

    pin(DirectoryStorage(str(site.storage)), "t_pc-1", names[0], True)
    kept = site.play("retire", *YES, "-e", "imaging_retire_image=%s" % names[0])
    assert (kept.status, kept.result(TASK)["error_code"]) == (2, "I122")

    done = site.play("retire", *YES)
    result = done.result(TASK)
    assert (done.status, result["deleted"], list(result["spared"]), result["is_gone"]) == (
        0,
        names[1:],
        names[:1],
        False,
    )
    line = next(line for line in done.output.splitlines() if "deleted image" in line)
    assert names[1] in line
    assert "1 stays: %s" % names[0] in line
    assert "repeat retire then" in line
    assert "t_pc-1 is still in the inventory" in " ".join(done.output.split())
    document = json.loads(sorted(results.rglob("*-retire.json"))[-1].read_text(encoding="utf-8"))
    assert (document["verb"], document["state"]) == ("retire", "ok")
    assert document["rollover"]["deleted"] == names[1:]
    assert imaging.verify(site.storage, device="t_pc-1", image=names[0])["ok"] is True

    pin(DirectoryStorage(str(site.storage)), "t_pc-1", names[0], False)
    last = site.play("retire", *YES, "-e", "imaging_purge_trash=true")
    assert (last.result(TASK)["deleted"], last.result(TASK)["is_gone"]) == (names[:1], True)
    assert last.result(TASK)["freed_bytes"] > 0
    assert [path.name for path in site.storage.iterdir()] == ["t_pc-2"]
    again = site.play("retire", *YES)
    assert (again.status, again.result(TASK)["changed"]) == (0, False)


def test_each_storage_of_a_job_is_retired_and_another_host_of_the_play_is_not(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    site = Site(
        tmp_path,
        imaging_password=imaging.PASSWORD,
        imaging_jobs=[{"name": "daily"}, {"name": "far", "storage": {"url": str(elsewhere)}}],
    )
    made(site.storage, tmp_path / "drive", 1, job="daily")
    made(elsewhere, tmp_path / "drive", 1, job="far")
    (other,) = made(site.storage, tmp_path / "drive", 1, device="t_pc-2")
    two = {"pc-1": {"ansible_connection": "local"}, "pc-2": {"ansible_connection": "local"}}
    inventory = {"all": {"hosts": two, "vars": site.settings}}
    site.inventory = lambda: inventory  # type: ignore[method-assign]
    done = site.play("retire", *YES, "-e", "imaging_purge_trash=true")
    assert done.status == 2, "the other host does not have this name"
    assert [path.name for path in site.storage.iterdir()] == ["t_pc-2"]
    assert imaging.verify(site.storage, device="t_pc-2", image=other)["ok"] is True
    assert list(elsewhere.iterdir()) == []


def test_a_job_does_not_narrow_it_and_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path, imaging_password=imaging.PASSWORD, imaging_jobs=[{"name": "daily"}, {"name": "monthly"}])
    names = [
        *made(site.storage, tmp_path / "drive", 1, job="daily"),
        *made(site.storage, tmp_path / "drive", 1, job="monthly"),
    ]
    done = site.play("retire", *YES, "-e", "imaging_job=monthly")
    assert done.status == 2
    words = " ".join(done.output.split())
    assert "imaging_job is monthly" in words
    assert "imaging_forget_jobs" in words
    one = site.play("retire", *YES, "-e", "imaging_job=monthly", "-e", "imaging_retire_image=%s" % names[1])
    assert one.result(TASK)["deleted"] == names[1:]
    assert imaging.verify(site.storage, device="t_pc-1", image=names[0])["ok"] is True
