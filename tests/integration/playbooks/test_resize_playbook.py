# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook restore onto a larger and a smaller target: check mode shows the plan, a run carries it out."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.plain_disks import PASSWORD
from support.playbooks import Site
from support.resizing import check_target, make_scene
from support.whole_disks import Part

pytestmark = pytest.mark.root


def test_settings_of_the_role_grow_and_shrink(tmp_path: Path, need) -> None:
    need("sgdisk", "resize2fs", "e2fsck")
    scene = make_scene(tmp_path / "scene", "gpt", [Part("root", "ext", 40, ("-t", "ext4"))], files=10)
    site = Site(tmp_path, imaging_drives=[str(scene.disk.path)], imaging_password=PASSWORD)
    assert site.play("image").status == 0
    for wishes, more, action in (
        ({"imaging_restore_grow": 1, "imaging_restore_shrink": False}, 32, "grown"),
        ({"imaging_restore_grow": "", "imaging_restore_shrink": True}, -12, "shrunk"),
    ):
        target = scene.target(more)
        site.settings.update(wishes, imaging_restore_map={"disk0": str(target)})
        foretold = site.play("restore", "--check").result("Restore an image")
        assert not target.read_bytes().strip(b"\0")
        played = site.play("restore")
        assert played.status == 0, played.output
        plan = played.result("Restore an image")["restore_plan"]
        assert plan["disks"][0]["partitions"] == foretold["restore_plan"]["disks"][0]["partitions"]
        assert [one["action"] for one in plan["disks"][0]["partitions"]] == [action]
        check_target(scene, target)
