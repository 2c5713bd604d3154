# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rule 6: a wrong, mistyped or missing password starts no key and makes no clear image; a new one is one more slot."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Set, Tuple

import pytest
from engine.errors import EngineError
from engine.image.access import Passwords
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.format import keys
from engine.image.reader import ImageReader
from engine.image.upkeep.verify import verify_image
from engine.image.verify_levels import LEVELS
from engine.restore.restore import restore
from engine.storage.local.storage import DirectoryStorage
from support import refusing
from support.imaging import image as image_job
from support.imaging import run_verb
from support.refusing import Derivations, everything, slot_files
from support.small_runs import CHUNK, DEVICE, SmallDisk, make_small, read_image, run_image

OLD = "the first password"
NEW = "the second password"
WRONG = "the first passwort"
ZEROS = 2 * CHUNK  # in use and all zero: nothing of it is ever stored
# A password as one keyboard types it (one character for ö), and another (o, then the dots).
COMPOSED = unicodedata.normalize("NFC", "größe 5")
DECOMPOSED = unicodedata.normalize("NFD", "größe 5")


@pytest.fixture(autouse=True)
def derivations(monkeypatch: pytest.MonkeyPatch) -> Iterator[Derivations]:
    make_small(monkeypatch)
    counted = Derivations(monkeypatch)
    counted.start()
    yield counted
    keys._derive.cache_clear()


@pytest.fixture
def storage(memory_path: Path) -> DirectoryStorage:
    return DirectoryStorage(str(memory_path / "storage"))


@pytest.fixture
def disk() -> SmallDisk:
    return SmallDisk(chunks=12)


def refused(storage: DirectoryStorage, code: str, work: Callable[[], object]) -> EngineError:
    return refusing.refused(storage, code, work, unsaid=(OLD, NEW, WRONG))


def key_ids(storage: DirectoryStorage) -> Set[str]:
    return {slot.key_id for slot in DeviceDirectory(storage, DEVICE).key_slots()}


def slot_count(storage: DirectoryStorage) -> int:
    return len(DeviceDirectory(storage, DEVICE).key_slots())


# -- writing ----------------------------------------------------------------------------------------------------------


REFUSED_RUNS = [
    pytest.param(Passwords(WRONG), "K100", (WRONG,), id="mistyped"),
    pytest.param(Passwords(OLD + " "), "K100", (OLD + " ",), id="with a blank behind it"),
    pytest.param(Passwords(OLD.upper()), "K100", (OLD.upper(),), id="in capitals"),
    pytest.param(Passwords(NEW, previous=WRONG), "K100", (NEW, WRONG), id="previous mistyped"),
    pytest.param(Passwords(NEW, previous=NEW), "K100", (NEW,), id="previous is the new one"),
    pytest.param(Passwords(WRONG, allow_clear=True), "K100", (WRONG,), id="mistyped, clear allowed"),
    pytest.param(Passwords(), "K101", (), id="missing"),
    pytest.param(Passwords(""), "K101", (), id="empty"),
    pytest.param(Passwords(previous=OLD), "K101", (), id="only the previous"),
    pytest.param(Passwords(new_key=True), "K101", (), id="a new key without a password"),
]


@pytest.mark.parametrize(("given", "code", "tried"), REFUSED_RUNS)
def test_run_is_refused_and_changes_nothing(
    given: Passwords,
    code: str,
    tried: Tuple[str, ...],
    storage: DirectoryStorage,
    disk: SmallDisk,
    derivations: Derivations,
) -> None:
    made = run_image(storage, disk, Passwords(OLD))
    derivations.start()
    refused(storage, code, lambda: run_image(storage, disk, given))
    derivations.check(*tried)
    assert {password: len(derivations.of(password)) for password in tried} == dict.fromkeys(tried, 1)
    assert read_image(storage, made.image, OLD) == disk.expected()


def test_refused_run_tries_each_of_many_slots_once(
    storage: DirectoryStorage, disk: SmallDisk, derivations: Derivations
) -> None:
    run_image(storage, disk, Passwords(OLD))
    for number in range(3):
        run_image(storage, disk, Passwords("another %d" % number, previous=OLD))
    run_image(storage, disk, Passwords("of a second key", new_key=True))
    assert (slot_count(storage), len(key_ids(storage))) == (5, 2)
    derivations.start()
    error = refused(storage, "K100", lambda: run_image(storage, disk, Passwords(WRONG)))
    assert (error.fields["slots"], error.fields["device"]) == (5, "pc")
    derivations.check(WRONG)
    assert len(derivations.of(WRONG)) == 5
    derivations.start()
    refused(storage, "K100", lambda: run_image(storage, disk, Passwords(WRONG, previous=NEW)))
    derivations.check(WRONG, NEW)
    assert (len(derivations.of(WRONG)), len(derivations.of(NEW))) == (5, 5)


def test_changed_password_is_a_slot_of_the_same_key(
    storage: DirectoryStorage, disk: SmallDisk, derivations: Derivations
) -> None:
    first = run_image(storage, disk, Passwords(OLD))
    expected = disk.expected()
    disk.write(2)
    before = everything(storage)
    derivations.start()
    second = run_image(storage, disk, Passwords(NEW, previous=OLD))
    derivations.check(OLD, NEW)
    assert (len(derivations.of(OLD)), len(derivations.of(NEW))) == (1, 2)  # the old slot, and sealing the new one
    assert second.key_id == first.key_id
    assert second.reused_bytes > ZEROS
    after = everything(storage)
    assert {name: after.get(name) for name in before} == before  # what was committed is untouched
    assert slot_count(storage) == 2
    for password in (OLD, NEW):
        assert read_image(storage, first.image, password) == expected
        assert read_image(storage, second.image, password) == disk.expected()
        assert verify_image(storage, DEVICE, first.image, "full", password=password, record=False).ok
    refused(storage, "K100", lambda: ImageReader(storage, DEVICE, first.image, WRONG))
    assert run_image(storage, disk, Passwords(OLD)).key_id == first.key_id  # settings that were not changed yet go on


def test_previous_password_left_in_the_settings_adds_no_more_slots(
    storage: DirectoryStorage, disk: SmallDisk, derivations: Derivations
) -> None:
    run_image(storage, disk, Passwords(OLD))
    for dummy in range(3):
        derivations.start()
        run_image(storage, disk, Passwords(NEW, previous=OLD))
    derivations.check(NEW)  # the new one opens its slot: the old one is not tried any more
    assert slot_count(storage) == 2


def test_slots_of_a_committed_image_are_enough(storage: DirectoryStorage, disk: SmallDisk) -> None:
    """``keys/`` is lost: each image brings its own slots, so the next run neither refuses nor starts a key."""
    run_image(storage, disk, Passwords(OLD))
    made = run_image(storage, disk, Passwords(NEW, previous=OLD))
    for path in (Path(storage.description) / DEVICE / "keys").iterdir():
        path.unlink()
    assert read_image(storage, made.image, NEW) == disk.expected()
    refused(storage, "K100", lambda: run_image(storage, disk, Passwords(WRONG)))
    refused(storage, "K101", lambda: run_image(storage, disk))
    assert run_image(storage, disk, Passwords(OLD)).key_id == made.key_id


@pytest.mark.parametrize("given", [Passwords(OLD), Passwords(WRONG)], ids=["right", "wrong"])
def test_all_slots_lost_starts_no_key(given: Passwords, storage: DirectoryStorage, disk: SmallDisk) -> None:
    run_image(storage, disk, Passwords(OLD))
    for path in slot_files(storage):
        path.unlink()
    refused(storage, "K100", lambda: run_image(storage, disk, given))
    refused(storage, "K101", lambda: run_image(storage, disk))


@pytest.mark.parametrize("given", [Passwords(OLD), Passwords(WRONG)], ids=["right", "wrong"])
def test_all_slots_damaged_starts_no_key(
    given: Passwords, storage: DirectoryStorage, disk: SmallDisk, derivations: Derivations
) -> None:
    made = run_image(storage, disk, Passwords(OLD))
    for path in slot_files(storage):
        path.write_bytes(path.read_bytes().replace(b"scrypt", b"Scrypt"))
    derivations.start()
    refused(storage, "K103", lambda: run_image(storage, disk, given))
    refused(storage, "K103", lambda: ImageReader(storage, DEVICE, made.image, given.password))
    refused(storage, "K101", lambda: run_image(storage, disk))
    assert derivations.done == []


def test_slot_that_asks_for_absurd_memory_is_refused_before_it_is_derived(
    storage: DirectoryStorage, disk: SmallDisk, derivations: Derivations
) -> None:
    made = run_image(storage, disk, Passwords(OLD))
    for path in slot_files(storage):
        document = json.loads(path.read_bytes())
        document["kdf"]["n"] = 1 << 40
        data = json.dumps(document).encode("ascii")
        path.unlink()
        (path.parent / (hashlib.sha256(data).hexdigest() + ".json")).write_bytes(data)
    derivations.start()
    refused(storage, "K103", lambda: run_image(storage, disk, Passwords(OLD)))
    refused(storage, "K103", lambda: ImageReader(storage, DEVICE, made.image, OLD))
    assert derivations.done == []


def test_unreadable_manifest_does_not_make_the_device_a_clear_one(storage: DirectoryStorage, disk: SmallDisk) -> None:
    made = run_image(storage, disk, Passwords(OLD))
    manifest = Path(storage.description) / DEVICE / made.image / "image.json"
    manifest.write_bytes(manifest.read_bytes()[:-9])
    refused(storage, "K101", lambda: run_image(storage, disk))
    refused(storage, "K100", lambda: run_image(storage, disk, Passwords(WRONG)))
    for path in slot_files(storage):
        path.write_bytes(b"{}")
    refused(storage, "K101", lambda: run_image(storage, disk))


# -- the explicit yes -------------------------------------------------------------------------------------------------


def test_new_key_starts_over_and_old_images_stay_readable(
    storage: DirectoryStorage, disk: SmallDisk, derivations: Derivations
) -> None:
    first = run_image(storage, disk, Passwords(OLD))
    derivations.start()
    second = run_image(storage, disk, Passwords(NEW, new_key=True))
    derivations.check(OLD, NEW)
    assert second.key_id != first.key_id
    assert second.reused_bytes == ZEROS  # nothing of the other key can be shared
    assert read_image(storage, first.image, OLD) == read_image(storage, second.image, NEW) == disk.expected()
    for password, made in ((OLD, first), (NEW, second)):  # each goes on with its own key
        assert run_image(storage, disk, Passwords(password)).key_id == made.key_id


def test_new_key_left_in_the_settings_starts_one_key_only(storage: DirectoryStorage, disk: SmallDisk) -> None:
    run_image(storage, disk, Passwords(OLD))
    made = {run_image(storage, disk, Passwords(NEW, new_key=True)).key_id for dummy in range(3)}
    assert len(made) == 1
    assert len(key_ids(storage)) == 2


@pytest.mark.parametrize("password", [NEW, OLD], ids=["of the first key", "of the second key"])
def test_password_of_another_start_is_said_to_be_that(
    password: str, storage: DirectoryStorage, disk: SmallDisk, derivations: Derivations, memory_path: Path
) -> None:
    first = run_image(storage, disk, Passwords(OLD))
    second = run_image(storage, disk, Passwords(NEW, new_key=True))
    image = {NEW: first.image, OLD: second.image}[password]
    target = memory_path / "target"
    works: List[Callable[[], object]] = [
        lambda: ImageReader(storage, DEVICE, image, password),
        lambda: verify_image(storage, DEVICE, image, "full", password=password),
        lambda: restore(storage, DEVICE, image, {"disk0": str(target)}, password=password),
    ]
    for work in works:
        derivations.start()
        error = refused(storage, "K104", work)
        assert {NEW: first, OLD: second}[password].key_id[:16] in str(error)
        derivations.check(password)
        assert len(derivations.done) == 2
    assert not target.exists()


@pytest.mark.parametrize("has_copy", [True, False], ids=["second copy", "no second copy"])
def test_a_flipped_byte_in_the_key_id_is_told_as_damage(
    has_copy: bool, storage: DirectoryStorage, disk: SmallDisk, memory_path: Path
) -> None:
    """The manifest names a key that does not exist then; the password proves that the key of the others made it."""
    names = [run_image(storage, disk, Passwords(OLD)).image for dummy in range(2)]
    folder = Path(storage.description) / DEVICE / names[1]
    data = bytearray((folder / fmt.MANIFEST_NAME).read_bytes())
    place = data.index(b'"key_id": "') + len('"key_id": "') + 7
    data[place] = ord("0") if data[place] != ord("0") else ord("1")
    (folder / fmt.MANIFEST_NAME).write_bytes(data)
    if not has_copy:
        (folder / fmt.COPIES_NAME).unlink()
    for level in LEVELS:
        refused(storage, "I101", lambda level=level: verify_image(storage, DEVICE, names[1], level, password=OLD))
    if has_copy:
        assert read_image(storage, names[1], OLD) == disk.expected()
        assert ImageReader(storage, DEVICE, "latest", OLD).image == names[1]
    else:
        refused(storage, "I101", lambda: ImageReader(storage, DEVICE, names[1], OLD))
        target = memory_path / "target"
        refused(storage, "I101", lambda: restore(storage, DEVICE, names[1], {"disk0": str(target)}, password=OLD))
        assert ImageReader(storage, DEVICE, "latest", OLD).image == names[0]
    made = run_image(storage, disk, Passwords(OLD))
    assert (made.sequence, made.earlier) == (3, names) if has_copy else (2, names[:1])
    assert [names[1] in warning for warning in made.warnings] == ([] if has_copy else [True])


def test_clear_image_next_to_encrypted_ones_takes_a_yes_each_time(
    storage: DirectoryStorage, disk: SmallDisk, derivations: Derivations
) -> None:
    run_image(storage, disk, Passwords(OLD))
    derivations.start()
    clear = run_image(storage, disk, Passwords(allow_clear=True))
    assert derivations.done == []
    assert clear.key_id == ""
    assert read_image(storage, clear.image) == disk.expected()
    refused(storage, "K101", lambda: run_image(storage, disk))
    refused(storage, "K100", lambda: run_image(storage, disk, Passwords(WRONG)))


def test_first_password_of_a_device_with_clear_images(storage: DirectoryStorage, disk: SmallDisk) -> None:
    clear = run_image(storage, disk)
    sealed = run_image(storage, disk, Passwords(OLD))
    assert sealed.key_id
    assert sealed.reused_bytes == ZEROS
    assert read_image(storage, clear.image) == read_image(storage, sealed.image, OLD) == disk.expected()
    refused(storage, "K101", lambda: run_image(storage, disk))


# -- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made_with", "given", "code"),
    [
        (OLD, WRONG, "K100"),
        (OLD, "", "K101"),
        ("", OLD, "K102"),
    ],
    ids=["wrong", "missing", "unused"],
)
def test_reading_is_refused(
    made_with: str,
    given: str,
    code: str,
    storage: DirectoryStorage,
    disk: SmallDisk,
    derivations: Derivations,
    memory_path: Path,
) -> None:
    made = run_image(storage, disk, Passwords(made_with))
    target = memory_path / "target"
    target.write_bytes(b"what was there")
    works: List[Callable[[], object]] = [
        lambda: ImageReader(storage, DEVICE, made.image, given),
        lambda: verify_image(storage, DEVICE, made.image, "full", password=given),
        lambda: restore(storage, DEVICE, made.image, {"disk0": str(target)}, password=given, overwrite=True),
    ]
    for work in works:
        derivations.start()
        error = refused(storage, code, work)
        assert DEVICE in str(error)
        assert len(derivations.done) == (1 if code == "K100" else 0)
    assert target.read_bytes() == b"what was there"


def test_one_password_from_two_keyboards_is_one(storage: DirectoryStorage, disk: SmallDisk) -> None:
    assert COMPOSED != DECOMPOSED
    first = run_image(storage, disk, Passwords(COMPOSED))
    second = run_image(storage, disk, Passwords(DECOMPOSED))
    assert first.key_id == second.key_id
    assert slot_count(storage) == 1
    assert read_image(storage, second.image, COMPOSED) == disk.expected()


def test_manifest_that_names_another_key_is_refused(storage: DirectoryStorage, disk: SmallDisk) -> None:
    """Whoever can write to the storage can change the clear fields of a manifest: its copy is read, or nothing."""
    made = run_image(storage, disk, Passwords(OLD))
    path = Path(storage.description) / DEVICE / made.image / "image.json"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(made.key_id.encode("ascii"), b"ab" * 32))
    assert read_image(storage, made.image, OLD) == disk.expected()
    path.with_name(fmt.COPIES_NAME).unlink()
    refused(storage, "I101", lambda: ImageReader(storage, DEVICE, made.image, OLD))
    path.write_bytes(whole)
    assert read_image(storage, made.image, OLD) == disk.expected()


# -- through jobs, as the command line runs them ----------------------------------------------------------------------


def secrets(password: str = "", previous: str = "") -> Dict[str, str]:
    return {"password": password, "password_previous": previous}


@pytest.fixture
def drive(memory_path: Path, disk: SmallDisk) -> Path:
    path = memory_path / "drive.img"
    path.write_bytes(bytes(disk.data))
    return path


@pytest.mark.parametrize(
    ("given", "code", "count"),
    [(secrets(WRONG), "K100", 1), (secrets(NEW, WRONG), "K100", 2), (secrets(), "K101", 0)],
    ids=["wrong", "previous wrong", "missing"],
)
def test_refused_image_job(
    given: Dict[str, str], code: str, count: int, storage: DirectoryStorage, drive: Path, derivations: Derivations
) -> None:
    root = Path(storage.description)
    image_job(root, drive, secrets=secrets(OLD))
    derivations.start()
    refused(storage, code, lambda: image_job(root, drive, secrets=given))
    assert len(derivations.done) == count


def test_jobs_with_the_right_password_derive_once(
    storage: DirectoryStorage, drive: Path, derivations: Derivations, memory_path: Path
) -> None:
    root = Path(storage.description)
    image_job(root, drive, secrets=secrets(OLD))
    jobs: List[Callable[[], object]] = [
        lambda: image_job(root, drive, secrets=secrets(OLD)),
        lambda: run_verb(root, "verify", level="full", secrets=secrets(OLD)),
        lambda: run_verb(root, "restore", map={"disk0": str(memory_path / "target")}, secrets=secrets(OLD)),
    ]
    for work in jobs:
        derivations.start()
        work()
        assert len(derivations.done) == 1
    assert (memory_path / "target").read_bytes() == drive.read_bytes()


def test_change_of_the_password_through_a_job(storage: DirectoryStorage, drive: Path, derivations: Derivations) -> None:
    root = Path(storage.description)
    first = image_job(root, drive, secrets=secrets(OLD))
    derivations.start()
    second = image_job(root, drive, secrets=secrets(NEW, OLD))
    derivations.check(OLD, NEW)
    assert len(derivations.done) == 3  # each password on the old slot, and sealing the new one
    for made in (first, second):
        for password in (OLD, NEW):
            assert run_verb(root, "verify", image=made["image"], level="full", secrets=secrets(password))["ok"]
