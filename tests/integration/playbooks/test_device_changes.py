# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A play shows what changed on the device since its previous image, and the role adds it to the history."""

from __future__ import annotations

import subprocess
from pathlib import Path

from support.playbooks import Site

MIB = 1 << 20
# Other tests run on this machine, with servers and volumes of their own.
OF_OTHERS = ["listening_ports/*", "volumes/*", "kernel_modules/*"]


def partition(disk: Path, sectors: int) -> None:
    """Give the disk one partition of that size, under the same id of the disk."""
    table = "label: gpt\nlabel-id: 0FC63DAF-8483-4772-8E79-3D69D8477DE4\nstart=2048, size=%d\n" % sectors
    subprocess.run(["sfdisk", "--quiet", "--wipe", "always", str(disk)], input=table.encode(), check=True)


def log(repository: Path) -> str:
    return subprocess.run(
        ["git", "-C", str(repository), "log", "--format=%B"], check=True, capture_output=True, text=True
    ).stdout


def test_a_play_shows_the_changes_of_the_device_and_commits_them(tmp_path: Path, need) -> None:
    need("sfdisk")
    need("git")
    disk, repository = tmp_path / "disk.raw", tmp_path / "history.git"
    disk.write_bytes(bytes(8 * MIB))
    partition(disk, 4096)
    subprocess.run(["git", "init", "-q", "--bare", str(repository)], check=True)
    site = Site(
        tmp_path,
        imaging_drives=[str(disk)],
        imaging_history_repository=str(repository),
        imaging_compare_ignore=OF_OTHERS,
    )
    first = site.play("image").result("Make an image")
    assert first["comparison"]["count"] == 0
    assert log(repository).count("first device document") == 1
    partition(disk, 8192)
    tried = site.play("image", "--check", "--diff")
    assert tried.result("Make an image")["comparison"]["count"] > 0
    second = site.play("image", "--diff")
    told = second.result("Make an image")["comparison"]
    assert told["against"] == first["image"]
    assert set(told["sections"]) == {"partitions"}
    assert "size_bytes" in [entry["field"] for entry in told["sections"]["partitions"]["changed"]]
    assert "size_bytes from 2097152 to 4194304" in second.output
    assert "since the image %s" % first["image"] in second.output
    assert "partition 1 size_bytes: 4194304" in second.output
    assert "Image: %s" % second.result("Make an image")["image"] in log(repository)
