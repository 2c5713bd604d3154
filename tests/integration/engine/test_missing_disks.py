# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk or volume that is not in the newest image any more: named by every run and rollover, its last image stays, until
somebody agrees to forget it."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
from pathlib import Path
from typing import Any, Dict, List

import pytest
from support.filled import run
from support.imaging import PASSWORD, image, restore, run_verb, verify
from support.independent_reader import IndependentReader

MIB = 1 << 20


class Machine:
    """Disk image files with tables that sfdisk makes; each keeps its id."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.storage = folder / "storage"
        self.storage.mkdir()

    def disk(self, name: str, *parts: str, label: str = "gpt", size_mib: int = 8, table_id: str = "") -> Path:
        path = self.folder / name
        with open(path, "wb") as file:
            file.write(random.Random(name).randbytes(size_mib * MIB))
            file.seek(0)
            file.write(bytes(34 * 512))
        self.table(path, *parts, label=label, table_id=table_id)
        for start in (2048, 8192) if label == "dos" else ():
            # Without a file system that is recognised a file with an MBR is imaged whole.
            run("mke2fs", "-q", "-F", "-t", "ext2", "-E", "offset=%d" % (start * 512), path, "2048k")
        return path

    def table(self, path: Path, *parts: str, label: str = "gpt", table_id: str = "") -> None:
        head = ["label: %s" % label, *(["label-id: %s" % table_id] if table_id else [])]
        run("sfdisk", "--quiet", path, input="\n".join([*head, *parts, ""]).encode())

    def image(self, *disks: Path, keep: int = 2, **settings: Any) -> Dict[str, Any]:
        return image(self.storage, *disks, keep=keep, **settings)

    def rollover(self, keep: int = 2, **settings: Any) -> Dict[str, Any]:
        return run_verb(self.storage, "rollover", keep=keep, **settings)


@pytest.fixture
def machine(tmp_path: Path, need: Any) -> Machine:
    need("sfdisk", "mke2fs")
    return Machine(tmp_path)


ONE = "start=2048, size=4096, uuid=11111111-1111-4111-8111-111111111111"
TWO = "start=8192, size=4096, uuid=22222222-2222-4222-8222-222222222222"
A_ID, B_ID = "AAAAAAAA-0000-4000-8000-00000000000A", "BBBBBBBB-0000-4000-8000-00000000000B"


def missing(result: Dict[str, Any]) -> List[List[str]]:
    return [[one["kind"], one["id"], one["image"]] for one in result["missing_disks"]]


def named(result: Dict[str, Any], what: str) -> List[str]:
    return [text for text in result["warnings"] if what in text and "imaging_forget_disks" in text]


@pytest.mark.parametrize("secrets", [{"password": PASSWORD}, {}], ids=["encrypted", "unencrypted"])
def test_a_dead_disk_is_named_by_every_run_and_its_last_image_stays(machine: Machine, secrets: Dict[str, str]) -> None:
    a = machine.disk("a.raw", ONE, table_id=A_ID)
    b = machine.disk("b.raw", TWO, table_id=B_ID)
    first = machine.image(a, b, secrets=secrets)
    assert first["missing_disks"] == []
    last = machine.image(a, b, secrets=secrets)["image"]
    gone = "gpt:" + B_ID.lower()
    expected = [["missing", gone, last]]
    for dummy in range(4):
        made = machine.image(a, secrets=secrets)
        assert missing(made) == expected
        (warning,) = named(made, gone)
        assert last in warning
        assert "8.4 MB" in warning
    assert made["rollover"]["spared"] == {last: "it is the last image of the disk " + gone}
    assert len(made["images"]) == 3
    # The log in the image says it as well, and check mode foretells it.
    reader = IndependentReader(machine.storage / "pc", made["image"], secrets.get("password"))
    assert gone in reader.document("job.log").decode()
    checked = machine.image(a, secrets=secrets, check=True)
    assert missing(checked) == expected
    assert named(checked, gone)
    assert last not in checked["rollover"]["deleted"]
    # The operator has no device at hand, and perhaps no password.
    for secret in (secrets, {}):
        rolled = machine.rollover(1, secrets=secret)
        assert missing(rolled) == expected
        assert named(rolled, gone)
        assert last in rolled["images"]
    assert verify(machine.storage, image=last, secrets=secrets)["ok"]
    target = machine.folder / "restored.raw"
    run_verb(machine.storage, "restore", image=last, map={"disk1": str(target)}, secrets=secrets)
    place = slice(8192 * 512, (8192 + 4096) * 512)
    assert target.read_bytes()[place] == b.read_bytes()[place]


@pytest.mark.parametrize("spelling", ["gpt:%s", "%s", " GPT:%s "])
@pytest.mark.parametrize("by", ["run", "rollover"])
def test_after_somebody_agreed_the_images_go_by_the_ordinary_count(machine: Machine, spelling: str, by: str) -> None:
    a, b = machine.disk("a.raw", ONE, table_id=A_ID), machine.disk("b.raw", TWO, table_id=B_ID)
    last = machine.image(a, b)["image"]
    for dummy in range(2):
        made = machine.image(a)
    assert last in made["images"]
    forget = [spelling % B_ID]
    if by == "run":
        assert last in machine.image(a, forget_disks=forget, check=True)["rollover"]["deleted"]
        made = machine.image(a, forget_disks=forget)
        assert last in made["rollover"]["deleted"]
        assert made["missing_disks"] == []
        assert not named(made, B_ID.lower())
    else:
        assert machine.rollover(2, forget_disks=forget, check=True)["deleted"] == [last]
        assert machine.rollover(2, forget_disks=forget)["deleted"] == [last]
    assert machine.image(a)["missing_disks"] == []


@pytest.mark.parametrize("before", [{"password": "an earlier password"}, {}], ids=["another key", "unencrypted"])
def test_a_disk_of_images_of_an_earlier_key_is_named_too(machine: Machine, before: Dict[str, str]) -> None:
    a, b = machine.disk("a.raw", ONE, table_id=A_ID), machine.disk("b.raw", TWO, table_id=B_ID)
    last = machine.image(a, b, secrets=before)["image"]
    newer = machine.image(a, secrets=before)["image"]
    expected = [["missing", "gpt:" + B_ID.lower(), last]]
    for dummy in range(3):
        made = machine.image(a, new_key=True)
        assert missing(made) == expected
        assert named(made, B_ID.lower())
    assert last in made["images"]
    assert (newer in made["images"]) == bool(before)
    assert missing(machine.image(a, check=True)) == missing(machine.rollover(1)) == expected


def test_one_that_comes_back_is_missed_no_more(machine: Machine) -> None:
    a, b = machine.disk("a.raw", ONE, table_id=A_ID), machine.disk("b.raw", TWO, table_id=B_ID)
    last = machine.image(a, b)["image"]
    for dummy in range(3):
        machine.image(a)
    made = machine.image(a, b)
    assert made["missing_disks"] == []
    assert last in made["rollover"]["deleted"]


def test_a_restored_disk_is_replaced_not_missing(machine: Machine) -> None:
    """Disks with serial numbers are known by these; what was restored has the old table under another number."""
    a, b = machine.disk("a.raw", ONE, TWO, table_id=A_ID), machine.disk("b.raw", table_id=B_ID)
    first = machine.image(a, b)["image"]
    rename(machine, first, "gpt:" + A_ID.lower(), "serial:OLD", "Drive 500")
    made = machine.image(a, b)
    assert [(one["kind"], one["id"], one["now"]) for one in made["missing_disks"]] == [
        ("replaced", "serial:OLD", "gpt:" + A_ID.lower())
    ]
    (warning,) = named(made, "serial:OLD")
    assert "gpt:" + A_ID.lower() in warning
    assert "Drive 500" in warning
    for dummy in range(2):
        made = machine.image(a, b)
    assert first in made["images"]


def test_a_disk_whose_size_changed(machine: Machine) -> None:
    a = machine.disk("a.raw", ONE.rpartition(",")[0], label="dos", table_id="0x1234abcd")
    first = machine.image(a)["image"]
    with open(a, "r+b") as file:
        file.truncate(12 * MIB)
    for dummy in range(3):
        made = machine.image(a)
    assert missing(made) == [["resized", "mbr:1234abcd", first]]
    assert made["missing_disks"][0]["now"] == str(12 * MIB)
    assert first in made["images"]
    assert first in machine.image(a, forget_disks=["mbr:1234abcd"])["rollover"]["deleted"]


@pytest.mark.parametrize("label", ["gpt", "dos"])
def test_a_partition_that_was_deleted(machine: Machine, label: str) -> None:
    settings = {"label": label, "table_id": A_ID if label == "gpt" else "0x1234abcd"}
    parts = (ONE, TWO) if label == "gpt" else (ONE.rpartition(",")[0], TWO.rpartition(",")[0])
    a = machine.disk("a.raw", *parts, **settings)
    last = machine.image(a)["image"]
    machine.table(a, parts[1], **settings)  # what was partition 2 is the first one now
    for dummy in range(3):
        made = machine.image(a)
    disk = "gpt:" + A_ID.lower() if label == "gpt" else "mbr:1234abcd"
    volume = "%s/%s" % (disk, "11111111-1111-4111-8111-111111111111" if label == "gpt" else 2048 * 512)
    assert missing(made) == [["volume", volume, last]]
    assert named(made, volume)
    assert last in made["images"]
    assert machine.rollover(1, forget_disks=["serial:other"])["deleted"] == [made["images"][1]]
    assert machine.rollover(1, forget_disks=[volume])["deleted"] == [last]
    assert machine.image(a)["missing_disks"] == []


def test_forgetting_a_disk_forgets_its_volumes(machine: Machine) -> None:
    a = machine.disk("a.raw", ONE, TWO, table_id=A_ID)
    machine.image(a)
    machine.table(a, ONE, table_id=A_ID)
    machine.image(a)
    assert machine.image(a, forget_disks=[A_ID])["missing_disks"] == []


def test_each_job_misses_what_it_had_itself(machine: Machine) -> None:
    a, b = machine.disk("a.raw", ONE, table_id=A_ID), machine.disk("b.raw", TWO, table_id=B_ID)
    stick = machine.disk("stick.raw", ONE.rpartition(",")[0], label="dos", table_id="0x00ab00ab")
    jobs = ["daily", "monthly"]
    last = machine.image(a, b, job="monthly", jobs=jobs)["image"]
    with_stick = machine.image(a, stick, job="daily", jobs=jobs)["image"]
    for dummy in range(3):
        made = machine.image(a, job="daily", jobs=jobs, keep=1)
    assert missing(made) == [["missing", "mbr:00ab00ab", with_stick]]
    assert {last, with_stick} < set(made["images"])
    assert machine.image(a, b, job="monthly", jobs=jobs, keep=1)["missing_disks"] == []
    both = machine.rollover(1, jobs=[{"name": name, "keep": 1} for name in jobs])
    assert missing(both) == [["missing", "mbr:00ab00ab", with_stick]]
    machine.image(a, job="monthly", jobs=jobs, keep=1)
    both = machine.rollover(1, jobs=[{"name": name, "keep": 1} for name in jobs])
    assert sorted(one["job"] for one in both["missing_disks"]) == jobs


def test_several_that_went_one_after_the_other(machine: Machine) -> None:
    part = ONE.rpartition(",")[0]
    disks = [
        machine.disk("%d.raw" % number, part, label="dos", table_id="0x0000000%d" % (number + 1)) for number in range(4)
    ]
    made = [machine.image(*disks[: 4 - number], keep=1)["image"] for number in range(4)]
    machine.image(disks[0], keep=1)
    last = machine.image(disks[0], keep=1)
    assert missing(last) == [["missing", "mbr:0000000%d" % (number + 2), made[2 - number]] for number in range(3)]
    assert last["images"] == [*made[:3], last["image"]]


def test_manifests_of_the_first_release_say_nothing_of_volumes_and_are_missed_by_disk(machine: Machine) -> None:
    a, b = machine.disk("a.raw", ONE, TWO, table_id=A_ID), machine.disk("b.raw", table_id=B_ID)
    first = machine.image(a, b)["image"]
    strip(machine, first)
    for dummy in range(3):
        made = machine.image(a)
    assert missing(made) == [["missing", "gpt:" + B_ID.lower(), first]]
    assert verify(machine.storage, image=first)["problems"] == []
    assert restore(machine.storage, machine.folder / "back.raw", image=first)["image"] == first


def rename(machine: Machine, image_name: str, before: str, after: str, model: str) -> None:
    """Give a disk of an image another id, as one that tells its serial number has."""

    def change(document: Dict[str, Any]) -> None:
        for disk in document["disks"]:
            if disk["stable_id"] == before:
                disk.update(stable_id=after, model=model)

    rewrite(machine, image_name, change)


def strip(machine: Machine, image_name: str) -> None:
    """Take out what a manifest of release 0.1.0 does not have."""

    def change(document: Dict[str, Any]) -> None:
        document.pop("job", None)
        for disk in document["disks"]:
            for name in ("model", "table", "volumes"):
                disk.pop(name, None)

    rewrite(machine, image_name, change)


def rewrite(machine: Machine, image_name: str, change: Any) -> None:
    """Change a manifest and authenticate it anew, with what a second reader makes of the password."""
    path = machine.storage / "pc" / image_name / "image.json"
    reader = IndependentReader(machine.storage / "pc", image_name, PASSWORD)
    document = json.loads(path.read_bytes())
    change(document)
    document.pop("authentication")
    data = json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii")
    document["authentication"] = hmac.new(reader._derive("plantops.imaging 1 manifest"), data, "sha256").hexdigest()
    stored = json.dumps(document, sort_keys=True, indent=1).encode("ascii") + b"\n"
    sums, old = path.with_name("SHA256SUMS"), path.read_bytes()
    before, after = (hashlib.sha256(one).hexdigest() for one in (old, stored))
    sums.write_text(sums.read_text().replace(before, after))
    path.write_bytes(stored)
    (path.parent / "copies.tar").unlink()  # the first release made none, and what is in it is the old manifest
