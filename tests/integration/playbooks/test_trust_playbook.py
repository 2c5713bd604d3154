# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""imaging_trust from an inventory: of the site, of a job that overrides it, and entries that decide nothing."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any, Callable, Dict, List

from support.filled import MIB, empty, run
from support.playbooks import Site

SIZE = 16 * MIB


def make_claimed_twice(path: Path) -> None:
    """An ext4 volume on which DRBD left its mark, in the last 4 KiB."""
    run("mke2fs", "-q", "-F", "-t", "ext4", empty(path, SIZE))
    with open(path, "r+b") as file:
        file.seek(SIZE - 4096 + 60)
        file.write(struct.pack(">I", 0x8374026B))


def test_a_site_and_its_jobs_decide(tmp_path: Path, need: Callable[..., None]) -> None:
    need("mke2fs")
    disk = tmp_path / "disk"
    make_claimed_twice(disk)
    jobs: List[Dict[str, Any]] = [{"name": "daily"}, {"name": "monthly", "trust": {"disk0": "drbd"}}]
    site = Site(tmp_path, imaging_drives=[str(disk)], imaging_limit_read_rate="0", imaging_jobs=jobs)

    undecided = site.play("image")
    assert undecided.status == 0, undecided.output
    made = undecided.result("Make an image")
    (told,) = made["contested"]
    assert [claim["name"] for claim in told["claims"]] == ["ext4", "DRBD"]
    assert made["bytes_in_use"] == SIZE
    jobs[1]["trust"] = {told["volume"]: told["claims"][1]["trust"]}
    site.settings["imaging_trust"] = {told["volume"]: told["claims"][0]["trust"]}

    for arguments, is_trusted in (
        ([], True),
        (["-e", "imaging_job=daily"], True),
        (["-e", "imaging_job=monthly"], False),
    ):
        played = site.play("image", *arguments)
        assert played.status == 0, played.output
        made = played.result("Make an image")
        assert made["contested"] == []
        assert (made["bytes_in_use"] < SIZE / 2) is is_trusted, arguments
    assert len(list(site.device.glob("*/image.json"))) == 4


def test_an_entry_that_is_not_valid_is_refused(tmp_path: Path, need: Callable[..., None]) -> None:
    need("mke2fs")
    disk = tmp_path / "disk"
    make_claimed_twice(disk)
    site = Site(tmp_path, imaging_drives=[str(disk)], imaging_limit_read_rate="0")
    for trust in ({"disk0": "etx4"}, {"c:": "ext4"}):
        refused = site.play("image", "-e", json.dumps({"imaging_trust": trust}))
        assert refused.status != 0
        assert refused.result("Make an image")["error_code"] == "D131"
    assert list(site.storage.glob("*/*/image.json")) == []
