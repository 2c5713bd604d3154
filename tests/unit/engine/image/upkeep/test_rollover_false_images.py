# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may create files in a storage and knows no password (a stolen account of a device) can't get good images deleted,
can't keep them shut, and can't stop the next run."""

from __future__ import annotations

import hashlib
from typing import List, Optional

import pytest
from engine.errors import EngineError
from engine.image.access import Passwords
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.format.keys import MasterKey
from engine.image.format.manifest import encode
from engine.image.format.packs import read_table
from engine.image.reader import ImageReader
from engine.image.upkeep.rollover import roll_over
from engine.image.upkeep.verify import verify_image
from engine.image.verify_levels import LEVELS
from engine.image.writing.forecast import forecast
from support.plant import DAY, NOW, Plant
from support.small_runs import DEVICE, make_small, read_image, run_image
from support.storages import MemoryStorage

PASSWORD = "a password for this test"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


@pytest.fixture
def plant() -> Plant:
    plant = Plant()
    for dummy in range(3):
        plant.make(password=PASSWORD)
    return plant


def key_of(plant: Plant) -> MasterKey:
    key = ImageReader(plant.storage, DEVICE, plant.names[0], PASSWORD).key
    assert key is not None
    return key


def put_false_images(plant: Plant, kind: str, count: int = 8, minute: str = "2031-01-01_00-00") -> List[str]:
    """Whole images of another make under names of ``minute``: in clear, under a key of his own, or with our key's id."""
    other = MemoryStorage()
    word = {"own key": "his own", "clear": None, "our key's id": None}[kind]
    made = run_image(other, plant.disk, Passwords(password=word)).image
    model = DeviceDirectory(other, DEVICE).manifest(made)
    forger = MasterKey.new() if kind == "our key's id" else None
    names = []
    for number in range(count):
        name = "%s-%02d" % (minute, number)
        key_id = plant.directory.images()[0].key_id if forger else model.key_id
        manifest = model._replace(image=name, sequence=5000 + number, key_id=key_id)
        signer = forger or ImageReader(other, DEVICE, made, word).key
        for path, data in list(other.files.items()):
            if path.startswith("%s/%s/" % (DEVICE, made)):
                put(plant, path.replace(made, name), data)
            elif "/packs/" in path or "/keys/" in path:
                put(plant, path, data)
        plant.storage.files["%s/%s/%s" % (DEVICE, name, fmt.MANIFEST_NAME)] = encode(manifest, signer)
        names.append(name)
    return names


def put(plant: Plant, path: str, data: bytes) -> None:
    plant.storage.make_directory(path.rpartition("/")[0])
    plant.storage.files[path] = data


def test_a_crowd_of_false_images_does_not_flood_the_warnings(plant: Plant) -> None:
    model, key = plant.directory.images()[0], key_of(plant)
    for number in range(40):
        name = "2020-01-01_00-00-%02d" % number
        false = model._replace(image=name, key_id="", slots=[], changes=None, sequence=1, job="job-%d" % number)
        put(plant, "%s/%s/%s" % (DEVICE, name, fmt.MANIFEST_NAME), encode(false, None))
    report = roll_over(plant.storage, DEVICE, 2, openable_key=key.key_id, key=key, now=lambda: NOW)
    assert report.deleted == [plant.names[0]]
    assert [text for text in report.warnings if "2020-01-01" in text], "they are not silent either"
    assert len(report.warnings) < 10


@pytest.mark.parametrize("kind", ["clear", "own key", "our key's id"])
def test_false_images_push_no_good_one_out(plant: Plant, kind: str) -> None:
    false = put_false_images(plant, kind)
    key = key_of(plant)
    needs = {name: set(plant.directory.sums(name).packs) for name in [*plant.names, *false]}
    for days in (0, 2, 4):
        report = roll_over(
            plant.storage, DEVICE, 2, openable_key=key.key_id, key=key, now=lambda days=days: NOW + days * DAY
        )
        assert set(report.deleted) <= {plant.names[0], *false}
        for name in report.deleted:
            del needs[name]
        left = {*report.trashed_packs, *report.purged_packs}
        assert left.isdisjoint({pack for packs in needs.values() for pack in packs})
        assert set(plant.directory.packs()) == {pack for packs in needs.values() for pack in packs}
    for name in plant.names[1:]:
        assert read_image(plant.storage, name, PASSWORD) == plant.expected[name]
    if kind == "our key's id":
        # An account that makes thousands of them must not fill the log: five are named, and how many more there are.
        told = [warning for warning in report.warnings if any(name in warning for name in false)]
        assert {name for name in false if any(name in warning for warning in told)} == set(false[:5])
        assert set(false) <= needs.keys()


@pytest.mark.parametrize("kind", ["clear", "own key", "our key's id"])
def test_check_mode_foretells_what_the_rollover_deletes_in_spite_of_false_images(plant: Plant, kind: str) -> None:
    put_false_images(plant, kind)
    foreseen = forecast(plant.storage, DEVICE, Passwords(password=PASSWORD), 2)
    plant.make(password=PASSWORD)
    key = key_of(plant)
    done = roll_over(plant.storage, DEVICE, 2, openable_key=key.key_id, key=key, dry_run=True, now=lambda: NOW)
    assert foreseen.deleted == done.deleted
    assert foreseen.spared == done.spared


@pytest.mark.parametrize("kind", ["clear", "own key", "our key's id"])
def test_latest_is_the_newest_that_the_password_proves(plant: Plant, kind: str) -> None:
    (false,) = put_false_images(plant, kind, 1)
    reader = ImageReader(plant.storage, DEVICE, "latest", PASSWORD)
    assert reader.image == plant.names[-1]
    assert any(false in warning for warning in reader.warnings)
    assert read_image(plant.storage, plant.names[-1], PASSWORD) == plant.expected[plant.names[-1]]
    for level in LEVELS:
        report = verify_image(plant.storage, DEVICE, "latest", level, password=PASSWORD, record=False)
        assert (report.image, report.ok) == (plant.names[-1], True)
        with pytest.raises(EngineError) as caught:
            verify_image(plant.storage, DEVICE, false, level, password=PASSWORD, record=False)
        assert caught.value.code == {"clear": "K102", "own key": "K104", "our key's id": "I101"}[kind]


@pytest.mark.parametrize("sequence", [fmt.MAX_SEQUENCE, fmt.MAX_SEQUENCE - 1, 1 << 60])
@pytest.mark.parametrize("kind", ["clear", "our key's id"])
def test_a_false_number_drives_no_run_beyond_the_bound(plant: Plant, kind: str, sequence: int) -> None:
    (false,) = put_false_images(plant, kind, 1)
    path = "%s/%s/%s" % (DEVICE, false, fmt.MANIFEST_NAME)
    manifest = plant.directory.manifest(false)._replace(sequence=sequence)
    plant.storage.files[path] = encode(manifest, MasterKey.new() if kind != "clear" else None)
    name = plant.make(password=PASSWORD)
    made = plant.directory.manifest(name, key_of(plant))
    assert made.sequence == 4
    plant.check(name, password=PASSWORD)
    warnings = ImageReader(plant.storage, DEVICE, name, PASSWORD).document(fmt.LOG_NAME).decode()
    assert false in warnings


@pytest.mark.parametrize("kind", ["clear", "own key", "our key's id"])
def test_a_false_image_of_tonight_moves_no_name(plant: Plant, kind: str) -> None:
    """Its name is plausible; the runs go on with theirs, and their numbers follow one another."""
    tonight = plant.names[-1][:-5] + "55"
    (false,) = put_false_images(plant, kind, 1, tonight)
    made = [plant.make(password=PASSWORD) for dummy in range(2)]
    assert plant.names[2] < made[0] < made[1] < false
    assert [plant.directory.manifest(name, key_of(plant)).sequence for name in made] == [4, 5]
    assert ImageReader(plant.storage, DEVICE, "latest", PASSWORD).image == made[1]
    plant.check(*made, password=PASSWORD)


def test_what_leaves_while_a_false_image_is_the_newest_can_be_found_in_the_trash(plant: Plant) -> None:
    """A name in the trash with a number beyond its room would be seen by nobody."""
    put_false_images(plant, "clear", 1)
    key = key_of(plant)
    roll_over(plant.storage, DEVICE, 1, openable_key=key.key_id, key=key, now=lambda: NOW)
    entries = plant.directory.trash()
    stamps = [one for one in plant.storage.list("%s/%s" % (DEVICE, fmt.TRASH)) if one.name.endswith(".stamp")]
    assert len(entries) + len(stamps) == len(plant.storage.list("%s/%s" % (DEVICE, fmt.TRASH)))
    assert {entry.sequence for entry in entries if entry.sequence is not None} <= {3}


@pytest.mark.parametrize("slots", [40, 400])
def test_slots_heaped_up_keep_no_image_shut(plant: Plant, slots: int) -> None:
    """A reader looks at 32 slots: those that came with the image are the first of them."""
    made = 0
    number = 0
    while made < slots:
        data = b'{"format": "plantops.imaging key slot", "number": %d}\n' % number
        name = hashlib.sha256(data).hexdigest()
        number += 1
        if name < "8":
            put(plant, "%s/%s/%s.json" % (DEVICE, fmt.KEYS, name), data)
            made += 1
    for name in plant.names:
        assert read_image(plant.storage, name, PASSWORD) == plant.expected[name]
    with pytest.raises(EngineError) as caught:
        ImageReader(plant.storage, DEVICE, "latest", "mistyped")
    assert caught.value.code == "K100"


@pytest.mark.parametrize("password", [None, PASSWORD], ids=["clear", "encrypted"])
@pytest.mark.parametrize("salt", [bytes(32), None], ids=["another salt", "the same salt"])
def test_a_pack_whose_table_lies_gets_no_chunk_believed_to_be_stored(
    password: Optional[str], salt: Optional[bytes]
) -> None:
    """Ids stand in clear in the tables of packs: anybody can make a pack that says it holds those chunks."""
    plant = Plant()
    plant.make(password=password)
    for name, size_bytes in plant.directory.packs().items():
        path = fmt.pack_path(DEVICE, name)
        genuine = plant.storage.files[path]
        table = read_table(plant.storage, path, size_bytes)
        head = genuine[:48] if salt is None else fmt.PACK_MAGIC + salt
        entries = genuine[table[-1].offset + table[-1].stored_bytes :]
        false = head + bytes(table[-1].offset + table[-1].stored_bytes - 48) + entries
        put(plant, fmt.pack_path(DEVICE, hashlib.sha256(false).hexdigest()), false)
    half = len(plant.disk.data) // 2
    plant.disk.data[:] = plant.disk.data[half:] + plant.disk.data[:half]  # every chunk lies elsewhere now
    plant.disk.used = set(range(plant.disk.chunks))
    image = run_image(plant.storage, plant.disk, Passwords(password=password)).image
    assert verify_image(plant.storage, DEVICE, image, "full", password=password, record=False).ok
    assert read_image(plant.storage, image, password) == plant.disk.expected()
