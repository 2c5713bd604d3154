# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""imaging_exclude as a user meets it: the playbook's result, its warnings, check mode, and the log in the image."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from engine.image.format.constants import LOG_NAME
from engine.image.format.sealed_files import open_file
from support.filled import MIB, contents, empty, mounted, run
from support.playbooks import Site

ONE_FOLDER, BELOW, LINKED, NOTHING = "/var/cache/*.tmp", "/var/log/**", "/data/linked", "/no/such/*"


@pytest.fixture
def volume(tmp_path: Path, need) -> Path:
    need("mke2fs", "losetup")
    path = empty(tmp_path / "disk.raw", 32 * MIB)
    run("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", path)
    with mounted(path, tmp_path / "mnt", "ext4") as folder:
        for name in ("var/cache/deep", "var/log/old/older", "data", "home"):
            (folder / name).mkdir(parents=True)
        for name in ("var/cache/a.tmp", "var/cache/b.TMP", "var/cache/deep/c.tmp", "var/log/x", "var/log/old/older/y"):
            (folder / name).write_bytes(os.urandom(100_000))
        (folder / "data" / "linked").write_bytes(os.urandom(100_000))
        os.link(str(folder / "data" / "linked"), str(folder / "home" / "the same"))
    return path


@pytest.mark.root
def test_what_was_left_out_is_in_the_result_the_warnings_and_the_log(volume: Path, tmp_path: Path) -> None:
    site = Site(
        tmp_path,
        imaging_drives=[str(volume)],
        imaging_exclude=[ONE_FOLDER, BELOW, LINKED, NOTHING],
        imaging_restore_map={"disk0": str(tmp_path / "restored.raw")},
    )
    checked = site.play("image", "--check")
    assert checked.status == 0, checked.output
    played = site.play("image")
    assert played.status == 0, played.output
    made = played.result("Make an image")
    # 100,000 bytes are 25 blocks of 4 KiB
    assert made["left_out"] == [
        {"pattern": ONE_FOLDER, "automatic": False, "files": 1, "saved_bytes": 102_400},
        {"pattern": BELOW, "automatic": False, "files": 2, "saved_bytes": 204_800},
        {"pattern": LINKED, "automatic": False, "files": 0, "saved_bytes": 0},
        {"pattern": NOTHING, "automatic": False, "files": 0, "saved_bytes": 0},
    ]
    assert checked.result("Make an image")["left_out"] == made["left_out"]
    said = " ".join(played.output.split())
    assert "The exclusion %s matches no file." % NOTHING in said
    assert "1 files that match the exclusion %s " % LINKED in said
    sealed = (site.device / made["image"] / LOG_NAME).read_bytes()
    log = open_file(None, made["image"], LOG_NAME, sealed).decode("utf-8")
    assert "%s: 1 files, 102 kB." % ONE_FOLDER in log
    assert "%s: 2 files, 205 kB." % BELOW in log
    assert "The exclusion %s matches no file." % NOTHING in log
    restored = site.play("restore")
    assert restored.status == 0, restored.output
    with mounted(volume, tmp_path / "a", "ext4", read_only=True) as folder:
        before = contents(folder)
    with mounted(tmp_path / "restored.raw", tmp_path / "b", "ext4", read_only=True) as folder:
        after = contents(folder)
    gone = {"var/cache/a.tmp", "var/log/x", "var/log/old/older/y"}
    assert {name for name in before if before[name] != after.get(name)} == gone


@pytest.mark.root
@pytest.mark.parametrize(
    ("pattern", "reason"),
    [("relative/../up", "not a folder name"), ("/a**b", "must stand alone"), ("/", "whole volume")],
)
def test_a_pattern_that_means_nothing_is_refused(pattern: str, reason: str, volume: Path, tmp_path: Path) -> None:
    played = Site(tmp_path, imaging_drives=[str(volume)], imaging_exclude=[pattern]).play("image")
    assert played.status != 0
    assert reason in " ".join(played.output.split())
    assert list((tmp_path / "storage").rglob("image.json")) == []
