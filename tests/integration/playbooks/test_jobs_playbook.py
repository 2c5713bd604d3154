# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two jobs in one storage, a third in its own, a job that was renamed and a disk that died: by the playbooks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import List

import pytest
from support import imaging, plain_disks
from support.plain_disks import PASSWORD
from support.playbooks import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    for name in ("c", "d"):
        plain_disks.make_disk(tmp_path / name, 6, noise_mib=1, seed=name)
    return Site(
        tmp_path,
        imaging_drives=[str(tmp_path / "c")],
        imaging_password=PASSWORD,
        imaging_keep=2,
        imaging_jobs=[
            {"name": "daily"},
            {"name": "monthly", "keep": 3, "drives": [str(tmp_path / "c"), str(tmp_path / "d")]},
            {"name": "elsewhere", "keep": 1, "storage": {"url": str(tmp_path / "other")}},
        ],
    )


def before(site: Site, job: str, *drives: str, storage: str = "storage") -> str:
    """An image that was made earlier, with nothing rolled over."""
    (site.folder / storage).mkdir(exist_ok=True)
    made = imaging.image(
        site.folder / storage,
        *(site.folder / drive for drive in drives),
        device="pc-1",
        alias="t",
        job=job,
        keep=99,
        secrets={"password": PASSWORD},
    )
    return str(made["image"])


def jobs_in(folder: Path) -> List[str]:
    manifests = sorted((folder / "t_pc-1").glob("2*/image.json"))
    return [json.loads(path.read_bytes()).get("job", "") for path in manifests]


def test_two_jobs_in_one_storage_and_one_in_its_own(site: Site) -> None:
    monthly = [before(site, "monthly", "c", "d") for dummy in "12"]
    plain = [before(site, "", "c") for dummy in "123"]
    daily = [before(site, "daily", "c") for dummy in "12"]
    elsewhere = [before(site, "elsewhere", "c", storage="other") for dummy in "12"]
    played = site.play("image", "-e", "imaging_job=daily")
    made = played.result("Make an image")
    assert (made["job"], made["rollover"]["deleted"], made["missing_disks"]) == ("daily", daily[:1], [])
    assert "not defined" not in played.output
    assert jobs_in(site.storage) == ["monthly", "monthly", "", "", "", "daily", "daily"]
    target = {"imaging_restore_map": {"disk1": str(site.folder / "restored")}}
    restored = site.play("restore", "-e", "imaging_job=monthly", "-e", json.dumps(target))
    assert restored.result("Restore an image")["image"] == monthly[-1]
    assert (site.folder / "restored").read_bytes() == (site.folder / "d").read_bytes()
    assert site.play("verify").result("Verify an image")["image"] == made["image"]

    # One rollover for all jobs, each with its own number and in its own storage.
    site.settings["imaging_jobs"][1]["keep"] = 1
    rolled = site.play("rollover")
    assert rolled.status == 0, rolled.output
    assert rolled.result("Delete the oldest images")["deleted"] == [monthly[0], plain[0]]
    assert jobs_in(site.storage) == ["monthly", "", "", "daily", "daily"]
    (own,) = rolled.result("jobs with a separate storage")["results"]
    assert own["deleted"] == elsewhere[:1]
    rollover = rolled.result("Leave the result")["document"]["rollover"]
    assert rollover["deleted"] == [monthly[0], plain[0], elsewhere[0]]
    assert rollover["jobs"]["elsewhere"]["deleted"] == elsewhere[:1]
    assert PASSWORD not in rolled.output


def test_a_renamed_job_and_a_dead_disk_are_named_until_forgotten(site: Site) -> None:
    old = before(site, "before", "c")
    both = before(site, "monthly", "c", "d")
    site.settings["imaging_jobs"][1] = {"name": "monthly", "keep": 1}
    played = site.play("image", "-e", "imaging_job=monthly")
    made = played.result("Make an image")
    disk = "path:%s" % (site.folder / "d")
    assert [(one["kind"], one["id"], one["image"]) for one in made["missing_disks"]] == [("missing", disk, both)]
    assert (made["rollover"]["deleted"], list(made["rollover"]["spared"])) == ([], [both])
    output = " ".join(played.output.split())
    assert "The job before is not defined" in output
    assert "imaging_forget_disks" in output
    # Forgetting is undone by nobody: what is still defined is refused.
    forget = {"imaging_forget_jobs": ["before", "daily"], "imaging_forget_disks": [disk]}
    assert site.play("rollover", "-e", json.dumps(forget)).result("oldest images")["error_code"] == "J122"
    forget["imaging_forget_jobs"].pop()
    site.settings["imaging_jobs"].pop()
    agreed = site.play("rollover", "-e", json.dumps(forget)).result("Delete the oldest images")
    assert agreed["deleted"] == [old, both]
    assert jobs_in(site.storage) == ["monthly"]


def test_two_jobs_of_one_name_are_refused(site: Site) -> None:
    site.settings["imaging_jobs"].append({"name": "daily", "keep": 30})
    played = site.play("image", "-e", "imaging_job=daily")
    assert played.status != 0
    assert "two jobs of the same name" in " ".join(played.output.split())
    assert jobs_in(site.storage) == []
