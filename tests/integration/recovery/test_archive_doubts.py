# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an archive does not believe: false records that would end its numbering, and packs that are there already."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, Dict, List

import pytest
from engine.errors import EngineError, StorageExists, StoragePermissionDenied
from engine.image.archive import proved_packs as memory
from engine.image.archive.account import may_give_back
from engine.image.copying.packs import PackCopier, store_file
from engine.image.device_directory import DeviceDirectory
from engine.storage.local.storage import DirectoryStorage
from engine.verbs import archive as verb
from support.archiving import NAMES, assert_whole, check_in, make_images, records, secrets, versions, warned
from support.imaging import image, run_verb, verify
from support.plain_disks import make_disk
from support.storages import HookedStorage

KINDS = ["encrypted", "clear"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Storages with three images, and archives with the first of them as version 1. They are only read."""
    folder = tmp_path_factory.mktemp("made")
    for kind in KINDS:
        disk = folder / (kind + ".raw")
        make_disk(disk, 16, 3, 1)
        list(make_images(folder / kind, disk, 512, secrets=secrets(kind == "encrypted")))
        (folder / (kind + "-archive")).mkdir()
        check_in(folder / kind, folder / (kind + "-archive"), image=NAMES[0], secrets=secrets(kind == "encrypted"))
    return folder


class Place:
    """A storage and its archive, to be changed."""

    def __init__(self, made: Path, folder: Path, kind: str) -> None:
        self.secrets = secrets(kind == "encrypted")
        self.storage, self.archive = folder / "storage", folder / "archive"
        shutil.copytree(made / kind, self.storage)
        shutil.copytree(made / (kind + "-archive"), self.archive)
        self.warnings: List[str] = []

    def check_in(self, **settings: Any) -> Dict[str, Any]:
        events: List[Dict[str, Any]] = []
        done = check_in(self.storage, self.archive, events, secrets=self.secrets, **settings)
        self.warnings = warned(events, done) if "warnings" in done else []
        return done

    def plant(self, number: int, image_name: str = NAMES[0], *, in_archive: bool, previous: int = 1) -> List[Path]:
        """A record that no check-in wrote, by an account that may create files but has no password."""
        before = records(self.archive)[previous]
        false = {key: value for key, value in before.items() if key not in ("authentication", "sha256")}
        false.update(version=number, previous_version=previous, previous=before["sha256"], image=image_name, key_id="")
        data = json.dumps(dict(false, comment="approved")).encode()
        digest = hashlib.sha256(data).hexdigest()
        top = (self.archive if in_archive else self.storage) / "pc"
        paths = [top / "records" / image_name / ("archived-%s.json" % digest)]
        if in_archive:
            paths.append(top / "versions" / str(number) / ("%s.%s.json" % (image_name, digest)))
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return paths

    def wrong(self) -> List[int]:
        return [one["version"] for one in self.check_in(state="verified")["versions"] if not one["ok"]]


# -- numbers ----------------------------------------------------------------------------------------------------------


def test_numbers_that_a_thief_of_the_account_took_are_skipped(made: Path, tmp_path: Path) -> None:
    place = Place(made, tmp_path, "encrypted")
    for number in range(2, 203):
        folder = place.archive / "pc" / "versions" / str(number)
        folder.mkdir()
        (folder / ("%s.%064x.json" % (NAMES[1], number))).write_bytes(b"{}")
    assert place.check_in(image=NAMES[1])["version"] == 203
    record = json.loads(next((place.archive / "pc" / "versions" / "203").iterdir()).read_bytes())
    assert (record["image"], record["previous_version"]) == (NAMES[1], 1)
    assert versions(place.archive, secrets=place.secrets) == {1: NAMES[0], 203: NAMES[1]}


@pytest.mark.parametrize("number", [999_999, 5000, 300])
@pytest.mark.parametrize("kind", KINDS)
def test_a_false_note_in_the_storage_ends_no_numbering_and_is_named(
    kind: str, number: int, made: Path, tmp_path: Path
) -> None:
    place = Place(made, tmp_path, kind)
    (path,) = place.plant(number, in_archive=False)
    first, second = place.check_in(image=NAMES[1]), place.check_in(image=NAMES[2])
    assert any(str(path.relative_to(place.storage)) in warning for warning in place.warnings)
    # One that could be true keeps its number; one that is far off is passed by, with a password each.
    expected = number + 1 if kind == "clear" and number == 300 else 2
    assert [first["version"], second["version"]] == [expected, expected + 1]
    assert place.wrong() == [number]
    assert any(path.name in problem for problem in place.check_in(state="verified")["problems"])
    path.unlink()  # the operator follows the message, and all is well
    assert place.wrong() == []
    assert_whole(place.archive)


def test_a_false_record_of_the_highest_number_in_a_clear_archive_has_a_way_out(made: Path, tmp_path: Path) -> None:
    place = Place(made, tmp_path, "clear")
    paths = place.plant(999_999, in_archive=True)
    with pytest.raises(EngineError) as caught:
        place.check_in(image=NAMES[1])
    assert caught.value.code == "A336"
    named = [str(caught.value.fields[name]) for name in ("path", "copy")]
    assert sorted(named) == sorted(str(path.relative_to(place.archive)) for path in paths)
    for name in named:
        (place.archive / name).unlink()
    assert place.check_in(image=NAMES[1])["version"] == 2
    assert place.wrong() == []
    assert_whole(place.archive)


@pytest.mark.parametrize("number", [999_999, 2])
def test_with_a_password_a_false_record_in_the_archive_is_passed_by_and_never_vouched_for(
    number: int, made: Path, tmp_path: Path
) -> None:
    place = Place(made, tmp_path, "encrypted")
    place.plant(number, in_archive=True)
    assert place.wrong() == [number]
    made_version = place.check_in(image=NAMES[1])["version"]
    assert made_version == (2 if number != 2 else 3)
    assert place.wrong() == [number]
    assert records(place.archive)[made_version]["previous_version"] == 1
    listed = {one["version"]: one for one in place.check_in(state="verified")["versions"]}
    assert listed[made_version]["authenticated"]


# -- the account of the archive ---------------------------------------------------------------------------------------


def only_creates(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on no account may replace or delete in an archive."""
    opened = verb.open_storage

    def refuse(moment: str, operation: str, path: str) -> None:
        if moment == "before" and operation in ("delete", "rename", "remove_directory"):
            raise StoragePermissionDenied(storage="test", operation=operation, path=path)

    monkeypatch.setattr(verb, "open_storage", lambda *arguments: HookedStorage(opened(*arguments), refuse))


def left_to_try(place: Place) -> List[str]:
    return sorted(path.name for path in (place.archive / "pc").glob("check-*"))


def test_check_ins_of_an_account_that_may_only_create_leave_one_file_for_each_image(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(made, tmp_path, "encrypted")
    only_creates(monkeypatch)
    for name in NAMES * 2:
        place.check_in(image=name)
    assert left_to_try(place) == ["check-%s.partial" % name for name in NAMES]
    assert sorted(records(place.archive)) == [1, 2, 3]
    monkeypatch.undo()
    place.check_in(image=NAMES[0])  # an account that may delete tidies up
    assert left_to_try(place) == ["check-%s.partial" % name for name in NAMES[1:]]


def test_a_storage_that_was_copied_from_its_archive_is_not_taken_for_it(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(made, tmp_path, "encrypted")
    only_creates(monkeypatch)
    place.check_in(image=NAMES[0])
    (left,) = left_to_try(place)
    shutil.copy(place.archive / "pc" / left, place.storage / "pc" / left)
    assert place.check_in(image=NAMES[0])["version"] == 1
    monkeypatch.undo()
    directory = DeviceDirectory(DirectoryStorage(str(place.storage)), "pc")
    for dummy in range(2):  # where the file of an earlier check-in is, and where none is
        with pytest.raises(EngineError) as caught:
            may_give_back(directory, directory, NAMES[0])
        assert caught.value.code == "A332"
        (place.storage / "pc" / left).unlink(missing_ok=True)


@pytest.mark.parametrize("what", ["directory", "empty file"])
def test_what_is_in_the_place_of_the_file_stops_no_check_in(what: str, made: Path, tmp_path: Path) -> None:
    place = Place(made, tmp_path, "encrypted")
    path = place.archive / "pc" / ("check-%s.partial" % NAMES[1])
    if what == "directory":
        path.mkdir()
    else:
        path.touch()
    assert place.check_in(image=NAMES[1])["version"] == 2
    assert left_to_try(place) == ([path.name] if what == "directory" else [])


@pytest.mark.parametrize("moment", ["before", "during", "after"])
@pytest.mark.parametrize("is_storage", [False, True])
def test_another_check_in_may_tidy_up_while_this_one_tries_its_account(
    moment: str, is_storage: bool, tmp_path: Path
) -> None:
    """The other one deletes what looks like debris, half-written files included, whenever this one touches the fixed name
    or begins to write a file."""
    (tmp_path / "archive" / "pc").mkdir(parents=True)
    (tmp_path / "storage" / "pc").mkdir(parents=True)
    fixed, taken = "pc/check-%s.partial" % NAMES[0], set[str]()

    def tidies(now: str, dummy: str, path: str) -> None:
        if now != moment or (path in taken if now == "during" else path != fixed):
            return
        taken.add(path)
        for file in (tmp_path / "archive" / "pc").glob("%s*" % Path(path).name):
            file.unlink()

    archive = DeviceDirectory(HookedStorage(DirectoryStorage(str(tmp_path / "archive")), tidies), "pc")
    place = "archive" if is_storage else "storage"
    storage = DeviceDirectory(DirectoryStorage(str(tmp_path / place)), "pc")
    if is_storage:
        with pytest.raises(EngineError) as caught:
            may_give_back(archive, storage, NAMES[0])
        assert caught.value.code == "A332"
    else:
        assert may_give_back(archive, storage, NAMES[0])
    assert list((tmp_path / "archive" / "pc").iterdir()) == []


@pytest.mark.parametrize("theirs", [b"the same", b"another"])
def test_another_check_in_may_store_the_record_at_the_same_moment(theirs: bytes, tmp_path: Path) -> None:
    (tmp_path / "pc").mkdir()

    def stores(moment: str, operation: str, path: str) -> None:
        if (moment, operation) == ("during", "put"):
            (tmp_path / path).write_bytes(theirs)

    storage = HookedStorage(DirectoryStorage(str(tmp_path)), stores)
    if theirs == b"the same":
        assert not store_file(storage, "pc/record", b"the same", replace=False)
    else:
        with pytest.raises(StorageExists):
            store_file(storage, "pc/record", b"the same", replace=False)
    assert (tmp_path / "pc" / "record").read_bytes() == theirs


# -- packs ------------------------------------------------------------------------------------------------------------


def own_pack(storage: Path, name: str, others: List[str]) -> Path:
    """A pack that one image needs and others do not."""

    def packs(image_name: str) -> List[str]:
        lines = (storage / "pc" / image_name / "SHA256SUMS").read_text(encoding="ascii").splitlines()
        return [line.partition("../packs/")[2] for line in lines if "../packs/" in line]

    known = {pack for other in others for pack in packs(other)}
    return storage / "pc" / "packs" / next(pack for pack in packs(name) if pack not in known)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pack_that_is_there_with_other_content_of_its_size_is_named_and_no_version_counts_on_it(
    kind: str, made: Path, tmp_path: Path
) -> None:
    place = Place(made, tmp_path, kind)
    pack = own_pack(place.storage, NAMES[1], [NAMES[0]])
    planted = place.archive / pack.relative_to(place.storage)
    planted.parent.mkdir(parents=True, exist_ok=True)
    planted.write_bytes(bytes(pack.stat().st_size))
    assert place.check_in(image=NAMES[1])["version"] == 2
    assert any(pack.name in warning for warning in place.warnings)
    assert planted.read_bytes() == pack.read_bytes()
    assert verify(place.archive, image="v2", check=True, secrets=place.secrets)["ok"]


def test_a_pack_of_a_version_that_has_shrunk_is_replaced_when_its_image_is_checked_in_again(
    made: Path, tmp_path: Path
) -> None:
    place = Place(made, tmp_path, "encrypted")
    pack = own_pack(place.storage, NAMES[0], [])
    there = place.archive / pack.relative_to(place.storage)
    there.write_bytes(there.read_bytes()[:-1])
    done = place.check_in(image=NAMES[0])
    assert (done["version"], done["changed"]) == (1, True)
    assert any(pack.name in warning for warning in place.warnings)
    assert there.read_bytes() == pack.read_bytes()


def test_what_was_proved_is_not_read_again(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pack is read in the archive once: after it is written, or where no version relies on it yet."""
    place = Place(made, tmp_path, "encrypted")
    hashed: List[str] = []
    keep = PackCopier.keep

    def watched(self: PackCopier, name: str) -> bool:
        hashed.append(name)
        return keep(self, name)

    monkeypatch.setattr(PackCopier, "keep", watched)
    pack = own_pack(place.storage, NAMES[1], [NAMES[0]])
    left = place.archive / pack.relative_to(place.storage)
    left.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(pack, left)  # an interrupted check-in left it
    done = place.check_in(image=NAMES[1])
    assert hashed == [pack.name]
    assert done["bytes_kept"] > 0
    assert place.check_in(image=NAMES[2])["version"] == 3
    assert hashed == [pack.name]
    # Without the proof of a version all that is there is hashed: here the records are gone.
    for folder in ("records", "versions"):
        shutil.rmtree(place.archive / "pc" / folder)
        shutil.rmtree(place.storage / "pc" / folder, ignore_errors=True)
    place.check_in(image=NAMES[2])
    assert len(set(hashed)) > 1


def test_versions_without_proof_vouch_for_no_pack(made: Path, tmp_path: Path) -> None:
    """An attacker who may create files in the archive plants a version of the next image, with a false pack."""
    place = Place(made, tmp_path, "encrypted")
    pack = own_pack(place.storage, NAMES[1], [NAMES[0]])
    shutil.copytree(place.storage / "pc" / NAMES[1], place.archive / "pc" / NAMES[1])
    planted = place.archive / pack.relative_to(place.storage)
    planted.parent.mkdir(parents=True, exist_ok=True)
    planted.write_bytes(bytes(pack.stat().st_size))
    place.plant(2, NAMES[1], in_archive=True)
    place.check_in(image=NAMES[1])
    assert planted.read_bytes() == pack.read_bytes()


def test_lists_of_versions_are_read_only_as_long_as_that_saves_reading(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(made, tmp_path, "encrypted")
    for name in NAMES[1:]:
        place.check_in(image=name)
    read: List[str] = []
    packs_of = memory._packs_of

    def watched(directory: Any, version: Any) -> Any:
        read.append(version.name)
        return packs_of(directory, version)

    monkeypatch.setattr(memory, "_packs_of", watched)
    disk = tmp_path / "disk.raw"
    shutil.copy(made / "encrypted.raw", disk)
    image(place.storage, disk, timestamp="2026-11-23_10-00-00")
    assert place.check_in()["version"] == 4
    assert read == ["v3"]


def test_the_archive_lists_what_it_had(made: Path, tmp_path: Path) -> None:
    place = Place(made, tmp_path, "clear")
    for name in NAMES[1:]:
        place.check_in(image=name)
    assert versions(place.archive, secrets={}) == dict(enumerate(NAMES, 1))
    assert run_verb(place.archive, "list", image="v2", secrets={})["images"][0]["image"] == NAMES[1]
