# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two jobs share a storage: each keeps its own number of images, is compared with itself, and is forgotten by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest
from engine.errors import ForgottenJobDefined, ImageDamaged, JobNameInvalid, JobNamesTwice, JobWithoutImage
from support.imaging import PASSWORD, image, restore, run_verb, verify
from support.independent_reader import IndependentReader, Refused

MIB = 1 << 20
BOTH = ["daily", "monthly"]
CLEAR: Dict[str, Any] = {"secrets": {}}
# Other tests run on this machine, with servers and volumes of their own.
OF_OTHERS = ["listening_ports/*", "volumes/*", "kernel_modules/*"]


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(range(256)) * 4096 + bytes(MIB))
    return path


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    (tmp_path / "storage").mkdir()
    return tmp_path / "storage"


def told(result: Dict[str, Any]) -> List[str]:
    """The warnings, but for the one that nothing was recognised on the disk."""
    return [text for text in result["warnings"] if "is imaged whole" not in text]


def jobs_of(storage: Path, **settings: Any) -> List[str]:
    return [one["job"] for one in run_verb(storage, "list", **settings)["images"]]


@pytest.mark.parametrize("secrets", [{"password": PASSWORD}, {}], ids=["encrypted", "unencrypted"])
def test_each_job_keeps_its_own_images(disk: Path, storage: Path, secrets: Dict[str, str]) -> None:
    monthly = [image(storage, disk, job="monthly", keep=12, jobs=BOTH, secrets=secrets)["image"] for dummy in "12"]
    plain = image(storage, disk, keep=1, jobs=BOTH, secrets=secrets)
    assert (plain["job"], plain["rollover"]["deleted"]) == ("", [])
    for number in range(5):
        made = image(storage, disk, job="daily", keep=2, jobs=BOTH, secrets=secrets)
        assert made["job"] == "daily"
        assert made["rollover"]["spared"] == {}
        assert len(made["rollover"]["deleted"]) == (number >= 2)
        assert told(made) == []
    assert jobs_of(storage) == ["monthly", "monthly", "", "daily", "daily"]
    for name in [*monthly, "latest"]:
        assert verify(storage, image=name, secrets=secrets)["ok"]
    # The default job's and monthly's own numbers count for them alone.
    assert image(storage, disk, keep=1, jobs=BOTH, secrets=secrets)["rollover"]["deleted"] == [plain["image"]]
    last = image(storage, disk, job="monthly", keep=1, jobs=BOTH, secrets=secrets)
    assert last["rollover"]["deleted"] == monthly
    assert jobs_of(storage) == ["daily", "daily", "", "monthly"]
    assert jobs_of(storage, job="daily") == ["daily", "daily"]


def test_check_mode_counts_per_job(disk: Path, storage: Path) -> None:
    monthly = [image(storage, disk, job="monthly", keep=12)["image"] for dummy in "12"]
    daily = [image(storage, disk, job="daily", keep=12)["image"] for dummy in "12"]
    for job, gone in (("daily", daily), ("monthly", monthly)):
        foreseen = image(storage, disk, job=job, keep=1, check=True)
        assert foreseen["job"] == job
        assert foreseen["rollover"]["deleted"] == gone
        rolled = run_verb(storage, "rollover", job=job, keep=1, check=True)
        assert rolled["deleted"] == gone[:1]
    assert image(storage, disk, keep=1, check=True)["rollover"]["deleted"] == []


def test_the_operators_rollover_of_all_jobs_with_their_own_numbers(disk: Path, storage: Path) -> None:
    for job in ("", "monthly", "daily", "other", "monthly", "daily", "", "monthly", "daily"):
        image(storage, disk, job=job, keep=12)
    jobs = [{"name": "daily", "keep": 1}, {"name": "monthly", "keep": 2}, "other"]
    for secrets in ({}, {"password": PASSWORD}):
        foreseen = run_verb(storage, "rollover", keep=1, jobs=jobs, secrets=secrets, check=True)
        assert len(foreseen["deleted"]) == 4
    rolled = run_verb(storage, "rollover", keep=1, jobs=jobs)
    assert rolled["deleted"] == foreseen["deleted"]
    assert rolled["warnings"] == []
    assert jobs_of(storage) == ["other", "monthly", "", "monthly", "daily"]
    assert run_verb(storage, "rollover", keep=1, jobs=jobs)["deleted"] == []


def test_images_of_a_job_that_is_not_defined_are_named_and_go_when_told(disk: Path, storage: Path) -> None:
    old = [image(storage, disk, job="renamed", keep=5, jobs=["renamed"])["image"] for dummy in "123"]
    pinned = old[0]
    run_verb(storage, "pin", image=pinned)
    for dummy in range(2):
        made = image(storage, disk, job="new name", keep=1, jobs=["new name"])
        assert [text for text in made["warnings"] if "renamed" in text and "imaging_forget_jobs" in text]
        assert not set(old) & set(made["rollover"]["deleted"])
    for request in ({"jobs": ["new name"]}, {"jobs": []}):
        rolled = run_verb(storage, "rollover", job="new name", keep=1, **request)
        assert [text for text in rolled["warnings"] if "renamed" in text]
        checked = image(storage, disk, job="new name", keep=1, check=True, **request)
        assert [text for text in checked["warnings"] if "renamed" in text]
    # A request of a release that knows no list of jobs says nothing of what is defined.
    assert told(image(storage, disk, job="new name", keep=1)) == []
    rolled = run_verb(storage, "rollover", job="new name", keep=1, jobs=["new name"], forget_jobs=["renamed"])
    assert rolled["deleted"] == old[1:]
    assert rolled["spared"] == {pinned: "it is pinned"}
    made = image(storage, disk, job="new name", keep=9, jobs=["new name"], forget_jobs=["renamed"])
    assert [text for text in made["warnings"] if "renamed" in text] == []


def test_the_default_jobs_images_go_when_told(disk: Path, storage: Path) -> None:
    """Who ran without a job before, and with named ones since."""
    image(storage, disk, keep=5)
    with pytest.raises(ForgottenJobDefined):
        image(storage, disk, keep=5, jobs=BOTH, forget_jobs=[""])
    made = image(storage, disk, job="daily", keep=5, jobs=BOTH, forget_jobs=[""])
    assert len(made["rollover"]["deleted"]) == 1
    assert jobs_of(storage) == ["daily"]


def test_the_only_image_stays_although_its_job_is_forgotten(disk: Path, storage: Path) -> None:
    for dummy in "12":
        image(storage, disk, job="gone", keep=5)
    rolled = run_verb(storage, "rollover", job="daily", keep=1, jobs=["daily"], forget_jobs=["gone"])
    assert len(rolled["deleted"]) == 1
    assert list(rolled["spared"]) == rolled["images"]
    assert verify(storage)["ok"]


def test_latest_is_the_devices_newest_or_that_of_the_chosen_job(disk: Path, tmp_path: Path, storage: Path) -> None:
    before = disk.read_bytes()
    monthly = image(storage, disk, job="monthly", keep=12)["image"]
    disk.write_bytes(before[::-1])
    daily = image(storage, disk, job="daily", keep=2)["image"]
    assert verify(storage)["image"] == daily
    assert verify(storage, job="monthly")["image"] == monthly
    target = tmp_path / "target.raw"
    assert restore(storage, target, job="monthly")["image"] == monthly
    assert target.read_bytes() == before
    assert restore(storage, target, job="monthly", image=daily, overwrite=True)["image"] == daily
    for verb in ("verify", "list", "pin"):
        with pytest.raises(JobWithoutImage):
            run_verb(storage, verb, job="weekly", image="latest")


def test_what_changed_is_told_against_the_same_jobs_image(disk: Path, tmp_path: Path, storage: Path) -> None:
    other = tmp_path / "other.raw"
    other.write_bytes(bytes(3 * MIB))
    first = image(storage, disk, job="monthly", keep=12)["image"]
    assert image(storage, other, job="daily", keep=12)["device_changes"] == []
    made = image(storage, disk, job="monthly", keep=12, compare_ignore=OF_OTHERS)
    assert (made["device_changes"], made["comparison"]["count"], made["comparison"]["sections"]) == ([], 0, {})
    assert made["comparison"]["against"] == first
    assert told(made) == []


def test_a_manifest_says_its_job_only_where_it_is_not_the_default(disk: Path, storage: Path) -> None:
    plain, named = (image(storage, disk, keep=9, job=job)["image"] for job in ("", "Täglich, Linie 3"))
    for name in (plain, named):
        manifest = json.loads((storage / "pc" / name / "image.json").read_bytes())
        assert manifest.get("job") == ("Täglich, Linie 3" if name == named else None)
        reader = IndependentReader(storage / "pc", name, PASSWORD)
        assert reader.job == manifest.get("job", "")
        assert reader.disk(0).data == disk.read_bytes()
    # It is authenticated like the rest.
    path = storage / "pc" / named / "image.json"
    path.write_bytes(path.read_bytes().replace(b"Linie 3", b"Linie 4"))
    with pytest.raises(Refused):
        IndependentReader(storage / "pc", named, PASSWORD)
    with pytest.raises(ImageDamaged):
        verify(storage, image=named)


@pytest.mark.parametrize(
    ("request_keys", "error"),
    [
        ({"job": "a\nb"}, JobNameInvalid),
        ({"job": "x" * 65}, JobNameInvalid),
        ({"job": " daily"}, JobNameInvalid),
        ({"job": "right\u202eleft"}, JobNameInvalid),
        ({"job": ["daily"]}, JobNameInvalid),
        ({"job": "\ud800"}, JobNameInvalid),
        ({"job": "a", "jobs": ["a", "a"]}, JobNamesTwice),
        ({"job": "a", "jobs": [{"name": "a", "keep": 1}, "a"]}, JobNamesTwice),
        ({"job": "a", "jobs": ["\u00e9", "e\u0301"]}, JobNamesTwice),
        ({"job": "a", "jobs": ["a", "b"], "forget_jobs": ["b"]}, ForgottenJobDefined),
        ({"job": "a", "forget_jobs": ["a"]}, ForgottenJobDefined),
    ],
)
def test_names_that_can_not_be_meant_are_refused_before_anything(
    disk: Path, storage: Path, request_keys: Dict[str, Any], error: type
) -> None:
    for verb, more in (("image", {"drives": [str(disk)]}), ("rollover", {})):
        with pytest.raises(error):
            run_verb(storage, verb, **more, **request_keys)
    assert list(storage.iterdir()) == []
