# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A storage that release 0.1.0 made is read, continued, deduplicated, rolled over and restored by this version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pytest
from engine.errors import EngineError
from support import first_release, imaging
from support.first_release import FIRST_PASSWORD, MIB, MILL_PASSWORD, SECOND_PASSWORD, sha256_of
from support.independent_reader import IndependentReader

PINNED, UNPINNED, MIDDLE, NEWEST = (
    "2026-11-10_22-00-00",
    "2026-11-12_22-00-00",
    "2026-11-13_22-00-00",
    "2026-11-14_22-00-00",
)


class Plant:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.expected = first_release.unpack(folder)
        self.storage = folder / "storage"

    def run(self, verb: str, device: str, password: Optional[str], **settings: Any) -> Dict[str, Any]:
        secrets = {} if password is None else {"password": password}
        if verb == "image":
            settings = dict({"limit_read_rate": 0, "adopt": True}, **settings)
        return imaging.run_verb(self.storage, verb, device=device, secrets=secrets, **settings)

    def restored(self, device: str, password: Optional[str], image: str) -> Path:
        target = self.folder / ("%s-%s.raw" % (device, image))
        self.run("restore", device, password, image=image, map={"disk0": str(target)})
        return target

    def pack_bytes(self, device: str) -> int:
        return sum(path.stat().st_size for path in (self.storage / device / "packs").glob("*/*"))

    def disks(self, device: str) -> List[str]:
        """The disks that 0.1.0 imaged: files that are gone, whose last images stay until somebody agrees."""
        manifests = [json.loads(path.read_text("ascii")) for path in (self.storage / device).glob("20*/image.json")]
        return sorted({disk["stable_id"] for manifest in manifests for disk in manifest["disks"]})

    def images(self, device: str, password: Optional[str]) -> Dict[str, Dict[str, Any]]:
        return {one["image"]: one for one in self.run("list", device, password)["images"]}


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(tmp_path)


IMAGES: List[Tuple[str, Optional[str], str]] = [
    ("press-07", FIRST_PASSWORD, PINNED),
    ("press-07", SECOND_PASSWORD, PINNED),
    ("press-07", SECOND_PASSWORD, UNPINNED),
    ("press-07", FIRST_PASSWORD, NEWEST),
    ("press-07", SECOND_PASSWORD, NEWEST),
    ("gate-01", None, "2026-11-10_23-00-00"),
    ("gate-01", None, "2026-11-11_23-00-00"),
]


@pytest.mark.parametrize(("device", "password", "image"), IMAGES)
def test_images_are_verified_and_restored(plant: Plant, device: str, password: Optional[str], image: str) -> None:
    for level in ("quick", "storage", "full"):
        found = plant.run("verify", device, password, image=image, level=level)
        assert (found["ok"], found["problems"]) == (True, [])
    restored = plant.restored(device, password, image)
    assert sha256_of(restored) == plant.expected[device][image]
    if (password, image) != (SECOND_PASSWORD, PINNED):  # made before there was a second password
        read = IndependentReader(plant.storage / device, image, password).disk(0)
        assert read.data == restored.read_bytes()


def test_a_wrong_or_missing_password_opens_and_makes_nothing(plant: Plant) -> None:
    disk = plant.restored("press-07", SECOND_PASSWORD, NEWEST)
    before = sorted(plant.storage.rglob("*"))
    for password, code in (("mistyped", "K100"), (None, "K101")):
        with pytest.raises(EngineError) as caught:
            plant.run("image", "press-07", password, drives=[str(disk)])
        assert caught.value.code == code
    assert [path for path in sorted(plant.storage.rglob("*")) if path.name != "run.json"] == before


def test_a_run_goes_on_with_what_is_stored(plant: Plant) -> None:
    disk = plant.restored("press-07", SECOND_PASSWORD, NEWEST)
    before = plant.pack_bytes("press-07")
    made = plant.run("image", "press-07", SECOND_PASSWORD, drives=[str(disk)], keep=9)["image"]
    assert plant.pack_bytes("press-07") - before < 4096, "the disk was sent again"
    assert sha256_of(plant.restored("press-07", SECOND_PASSWORD, made)) == sha256_of(disk)
    images = plant.images("press-07", SECOND_PASSWORD)
    assert images[made]["sequence"] == images[NEWEST]["sequence"] + 1
    assert list(images) == [PINNED, UNPINNED, MIDDLE, NEWEST, made]


def test_pins_hold(plant: Plant) -> None:
    """Also that of an image with a record that 0.1.0 took for the end of its pin: only deleting a pin ends it."""
    images = plant.images("press-07", SECOND_PASSWORD)
    assert [name for name, facts in images.items() if facts["pinned"]] == [PINNED, UNPINNED]
    disk, gone = plant.restored("press-07", SECOND_PASSWORD, NEWEST), plant.disks("press-07")
    settings = {"drives": [str(disk)], "keep": 1, "forget_disks": gone}
    made = plant.run("image", "press-07", SECOND_PASSWORD, **settings)["image"]
    assert list(plant.images("press-07", SECOND_PASSWORD)) == [PINNED, UNPINNED, made]
    plant.run("pin", "press-07", SECOND_PASSWORD, image=PINNED, state="unpinned")
    plant.run("pin", "press-07", SECOND_PASSWORD, image=UNPINNED, state="unpinned")
    plant.run("rollover", "press-07", SECOND_PASSWORD, keep=1, forget_disks=gone)
    assert list(plant.images("press-07", SECOND_PASSWORD)) == [made]
    assert plant.run("verify", "press-07", SECOND_PASSWORD, level="full")["ok"]
    assert sha256_of(plant.restored("press-07", SECOND_PASSWORD, made)) == sha256_of(disk)


def test_a_clear_device_goes_on(plant: Plant) -> None:
    disk = plant.restored("gate-01", None, "2026-11-11_23-00-00")
    before = plant.pack_bytes("gate-01")
    settings = {"drives": [str(disk)], "keep": 1, "forget_disks": plant.disks("gate-01")}
    made = plant.run("image", "gate-01", None, **settings)["image"]
    assert plant.pack_bytes("gate-01") - before < 4096
    assert list(plant.images("gate-01", None)) == [made]
    assert sha256_of(plant.restored("gate-01", None, made)) == plant.expected["gate-01"]["2026-11-11_23-00-00"]


def test_an_interrupted_run_counts(plant: Plant) -> None:
    disk = plant.folder / "mill.raw"
    first_release.write_mill_disk(disk)
    before = plant.pack_bytes("mill-03")
    made = plant.run("image", "mill-03", MILL_PASSWORD, drives=[str(disk)])["image"]
    added = plant.pack_bytes("mill-03") - before
    assert added < 80 * 1024, "17 of 18 pieces of 16 KiB were stored by the killed run"
    with open(disk, "rb") as imaged, open(plant.restored("mill-03", MILL_PASSWORD, made), "rb") as restored:
        for segment in range(18):
            imaged.seek(segment * 256 * MIB)
            restored.seek(segment * 256 * MIB)
            assert imaged.read(128 * 1024) == restored.read(128 * 1024)
