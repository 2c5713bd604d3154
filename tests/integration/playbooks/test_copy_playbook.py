# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook ``copy`` and the module ``recovery_program``, as a site runs them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import yaml
from support.bundles import WHEEL_CACHE
from support.imaging import PASSWORD
from support.plain_disks import make_disk
from support.playbooks import Site
from support.recovery import checksums, program, run_program, stand_in

PLATFORM = "linux-x86_64-glibc-cp311"


def test_copy_by_the_playbook_and_restore_by_the_program(tmp_path: Path) -> None:
    disk, stick = tmp_path / "disk.raw", tmp_path / "stick"
    make_disk(disk, 16, 4, 1)
    site = Site(tmp_path, imaging_drives=[str(disk)], imaging_password=PASSWORD)
    site.settings.update(imaging_copy_directory=str(stick), imaging_copy_program=str(program()))
    made = site.play("image")
    assert made.status == 0, made.output
    planned = site.play("copy", "--check")
    assert planned.status == 0, planned.output
    result = planned.result("Copy an image with all that a recovery needs")
    assert (result["changed"], result["packs_to_copy"]) == (True, result["packs"])
    assert not stick.exists()
    done = site.play("copy")
    assert done.status == 0, done.output
    result = done.result("Copy an image with all that a recovery needs")
    assert (result["authenticated"], result["target"], result["changed"]) == (True, str(stick), True)
    assert PASSWORD not in done.output
    again = site.play("copy").result("Copy an image with all that a recovery needs")
    assert (again["changed"], again["packs_copied"]) == (False, 0)
    assert checksums(stick) == []
    shutil.rmtree(site.storage)
    target = tmp_path / "restored.raw"
    restored = run_program(
        stick / "plantops-recovery.pyz", "restore", stick, "t_pc-1", "--to", "disk0=%s" % target, "--yes"
    )
    assert restored.status == 0, restored.errors
    assert target.read_bytes() == disk.read_bytes()


def test_a_copy_to_another_storage_and_a_refusal(tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    make_disk(disk, 8, 2, 1)
    site = Site(tmp_path, imaging_drives=[str(disk)], imaging_copy_program=str(stand_in()))
    assert site.play("image").status == 0
    refused = site.play("copy")
    assert refused.status != 0
    assert refused.result("Copy an image with all that a recovery needs")["error_code"] == "J100"
    (tmp_path / "other").mkdir()
    site.settings["imaging_copy_storage"] = {"url": str(tmp_path / "other")}
    done = site.play("copy")
    assert done.status == 0, done.output
    result = done.result("Copy an image with all that a recovery needs")
    assert (result["authenticated"], result["target"]) == (None, str(tmp_path / "other"))
    site.settings["imaging_copy_storage"] = {"url": str(tmp_path / "other"), "usrname": "x"}
    assert "username" in site.play("copy").output


def test_the_program_is_built_once(tmp_path: Path) -> None:
    site = Site(tmp_path)
    book = tmp_path / "book.yml"
    task = {
        "name": "Build it",
        "plantops.imaging.recovery_program": {
            "destination": str(tmp_path / "out"),
            "platforms": [PLATFORM],
            "cache_folder": str(WHEEL_CACHE),
        },
    }
    book.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [task]}]), encoding="utf-8")
    planned = site.play_file(book, "--check", "--diff").result("Build it")
    assert planned["changed"]
    assert not (tmp_path / "out").exists()
    built = site.play_file(book).result("Build it")
    assert (built["changed"], built["platforms"], built["replaced"]) == (True, [PLATFORM], None)
    again = site.play_file(book).result("Build it")
    assert (again["changed"], again["sha256"]) == (False, built["sha256"])
    Path(built["path"]).write_bytes(b"another file")
    mended = site.play_file(book).result("Build it")
    assert (mended["changed"], mended["sha256"]) == (True, built["sha256"])
    task["plantops.imaging.recovery_program"]["platforms"] = ["linux-riscv64-glibc-cp311"]
    book.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}]), encoding="utf-8")
    assert site.play_file(book).result("Build it")["error_code"] == "A200"
