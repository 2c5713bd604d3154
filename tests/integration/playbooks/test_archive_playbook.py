# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive as a site uses it: images are checked in after a run, listed, verified, and restored by their version."""

from __future__ import annotations

import shutil
from pathlib import Path

from support.imaging import PASSWORD
from support.plain_disks import make_disk
from support.playbooks import Site
from support.recovery import program, run_program

CHECK_IN = "Check the image in to the archive"
BY_HAND = "Check an image in to the archive"


def test_a_run_checks_its_image_in_and_the_program_restores_the_version(tmp_path: Path) -> None:
    disk, archive = tmp_path / "disk.raw", tmp_path / "archive"
    make_disk(disk, 16, 4, 1)
    archive.mkdir()
    site = Site(tmp_path, imaging_drives=[str(disk)], imaging_password=PASSWORD, imaging_transfer="archive")
    site.settings.update(imaging_archive={"url": str(archive)}, imaging_archive_comment="as delivered")
    planned = site.play("image", "--check", "--diff")
    assert planned.status == 0, planned.output
    foreseen = planned.result(CHECK_IN)
    assert (foreseen["changed"], foreseen["version"], foreseen["image"]) == (True, 1, None)
    assert list(archive.iterdir()) == []
    made = site.play("image")
    assert made.status == 0, made.output
    first = made.result(CHECK_IN)
    assert (first["changed"], first["version"], first["authenticated"]) == (True, 1, True)
    assert (first["comment"], bool(first["author"])) == ("as delivered", True)
    assert PASSWORD not in made.output
    original = disk.read_bytes()
    with open(disk, "r+b") as file:
        file.seek(4 << 20)
        file.write(b"changed" * 100)
    # With a rhythm the second image stays in the storage alone, until it is checked in by hand.
    again = site.play("image", "-e", "imaging_archive_every=30d")
    assert again.status == 0, again.output
    assert (again.result(CHECK_IN)["not_due"], again.result(CHECK_IN)["changed"]) == (True, False)
    second = site.play("archive", "--diff")
    assert second.status == 0, second.output
    assert (second.result(BY_HAND)["version"], second.result(BY_HAND)["changed"]) == (2, True)
    assert "+v2" in second.output
    # The storage is gone: the archive alone restores.
    shutil.rmtree(site.storage)
    target, other = tmp_path / "restored.raw", tmp_path / "by-play.raw"
    for command in (("images", archive), ("show", archive, "t_pc-1", "--image", "v1")):
        shown = run_program(program(), *command)
        assert shown.status == 0, shown.errors
        assert "as delivered" in shown.output
    restored = run_program(
        program(), "restore", archive, "t_pc-1", "--image", "v1", "--to", "disk0=%s" % target, "--yes"
    )
    assert restored.status == 0, restored.errors
    assert target.read_bytes() == original
    played = site.play("restore", "-e", "imaging_image=v2", "-e", '{"imaging_restore_map": {"disk0": "%s"}}' % other)
    assert played.status == 0, played.output
    assert other.read_bytes() == disk.read_bytes()


def test_a_job_has_its_own_archive_and_a_version_that_was_removed_fails_the_play(tmp_path: Path) -> None:
    disk, archive = tmp_path / "disk.raw", tmp_path / "archive"
    make_disk(disk, 8, 2, 1)
    archive.mkdir()
    job = {"name": "monthly", "transfer": "archive", "archive": {"url": str(archive)}}
    site = Site(tmp_path, imaging_drives=[str(disk)], imaging_password=PASSWORD, imaging_jobs=[job])
    made = site.play("image", "-e", "imaging_job=monthly")
    assert made.status == 0, made.output
    assert made.result(CHECK_IN)["version"] == 1
    shutil.rmtree(archive / "t_pc-1")
    verified = site.play("archive", "-e", "imaging_job=monthly", "-e", "imaging_archive_state=verified")
    assert verified.status != 0
    result = verified.result(BY_HAND)
    assert result["ok"] is False
    assert [one["version"] for one in result["versions"] if not one["ok"]] == [1]
    assert ": v1" in verified.output


def test_a_site_that_names_no_archive_makes_no_image(tmp_path: Path) -> None:
    site = Site(tmp_path, imaging_drives=["/dev/null"], imaging_transfer="archive")
    unset = site.play("image")
    assert unset.status != 0
    assert "imaging_archive" in unset.output
    assert not site.device.exists()
