# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image whose SHA256SUMS is damaged is judged all the same: its files by the manifest, its packs by what is left of the list,
or by the roots of its indexes."""

from __future__ import annotations

from typing import List, Optional, Tuple

import pytest
from engine.image.access import Passwords
from engine.image.format import constants as fmt
from engine.image.upkeep.verify import verify_image
from support.small_runs import DEVICE, SmallDisk, make_small, run_image
from support.storages import MemoryStorage

PASSWORD = "a password for this test"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


class Plant:
    """A device with one image of several packs, and the list of it that gets damaged."""

    def __init__(self, password: str) -> None:
        self.storage, self.disk = MemoryStorage(), SmallDisk(24)
        self.password = password
        self.image = run_image(self.storage, self.disk, Passwords(password=password)).image
        self.sums = "%s/%s/%s" % (DEVICE, self.image, fmt.SUMS_NAME)
        self.packs = sorted(path for path in self.storage.files if path.startswith("%s/packs/" % DEVICE))
        assert len(self.packs) > 2

    def damage_sums(self, how: str) -> None:
        data = self.storage.files[self.sums]
        lines = data.splitlines(keepends=True)
        if how == "missing":
            del self.storage.files[self.sums]
        else:
            first_pack = next(number for number, line in enumerate(lines) if b"../packs/" in line)
            flipped = bytes([data[-5] ^ 1])
            self.storage.files[self.sums] = {
                "nonsense": b"nonsense\n",
                "empty": b"",
                "cut off": data[:-40],
                "a pack less": b"".join(lines[:first_pack] + lines[first_pack + 1 :]),
                "no packs": b"".join(lines[:first_pack]),
                "one bit": data[:-5] + flipped + data[-4:],
            }[how]

    def verify(self, level: str, password: Optional[str]) -> Tuple[List[str], List[str]]:
        report = verify_image(self.storage, DEVICE, self.image, level, password=password)
        assert not report.ok
        return report.problems, report.bad_packs


HOW = ["missing", "nonsense", "empty", "cut off", "a pack less", "no packs", "one bit"]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("password", ["", PASSWORD], ids=["clear", "encrypted"])
def test_packs_are_judged_without_the_list(password: str, how: str) -> None:
    plant = Plant(password)
    plant.damage_sums(how)
    problems, bad = plant.verify("storage", password)
    assert [fmt.SUMS_NAME in problem for problem in problems] == [True] * len(problems)
    assert bad == []
    for path in plant.packs[:2]:  # the one that "a pack less" does not list, and another
        whole = plant.storage.files[path]
        pack = path.rsplit("/", 1)[-1]
        plant.storage.files[path] = whole[:-1] + bytes([whole[-1] ^ 1])
        problems, bad = plant.verify("storage", password)
        assert bad == [pack]
        assert any(fmt.SUMS_NAME in problem for problem in problems)
        assert any(pack in problem for problem in problems)
        assert path not in plant.storage.files, "it is out of use, so that the next run heals it"
        for level in ("quick", "storage"):
            problems, bad = plant.verify(level, password)
            assert any(pack in problem and "missing" in problem for problem in problems), problems
        plant.storage.files[path] = whole


@pytest.mark.parametrize("password", ["", PASSWORD], ids=["clear", "encrypted"])
def test_the_next_run_heals_packs_and_list(password: str) -> None:
    plant = Plant(password)
    whole = plant.storage.files[plant.sums]
    plant.damage_sums("nonsense")
    path = max(plant.packs, key=lambda one: len(plant.storage.files[one]))
    content = plant.storage.files[path]
    plant.storage.files[path] = content[:1000] + bytes([content[1000] ^ 1]) + content[1001:]  # inside of a chunk
    plant.verify("storage", password)
    run_image(plant.storage, plant.disk, Passwords(password=password))
    assert plant.storage.files[plant.sums] == whole
    assert verify_image(plant.storage, DEVICE, plant.image, "full", password=password).ok


@pytest.mark.parametrize("name", ["disk0.index", "device.json", "job.log"])
def test_files_are_judged_without_the_list(name: str) -> None:
    plant = Plant(PASSWORD)
    plant.damage_sums("missing")
    path = "%s/%s/%s" % (DEVICE, plant.image, name)
    plant.storage.files[path] = plant.storage.files[path][:-1] + b"?"
    problems, dummy_bad = plant.verify("storage", PASSWORD)
    assert any(problem.startswith(name) for problem in problems), problems


def test_without_the_password_it_is_said_that_packs_are_not_known() -> None:
    plant = Plant(PASSWORD)
    plant.damage_sums("missing")
    problems, bad = plant.verify("storage", None)
    assert len(problems) == 2
    assert "password" in problems[1]
    assert bad == []


def test_one_false_read_of_the_list_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    plant = Plant(PASSWORD)
    data = plant.storage.files[plant.sums]
    plant.storage.files[plant.sums] = b"nonsense\n"
    monkeypatch.setattr(plant.storage, "forget_cache", lambda path: plant.storage.files.update({plant.sums: data}))
    assert verify_image(plant.storage, DEVICE, plant.image, "storage", password=PASSWORD).ok
