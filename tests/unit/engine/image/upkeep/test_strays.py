# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is not ours in a directory is left alone and told; what a storage puts into every folder by itself goes with the folder."""

from __future__ import annotations

import pytest
from engine.image.format import constants as fmt
from engine.image.upkeep.strays import is_stray_folder
from support.plant import DAY, NOW, Plant
from support.small_runs import make_small


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def test_foreign_directories_and_files_are_left_alone() -> None:
    plant = Plant(3)
    foreign = {
        "pc/notes/readme.txt": b"mine",
        "pc/2026-11-23/image.json": b"{}",
        "pc/2026-11-23_20-00-00 copy/image.json": b"{}",
        "pc/packs/readme": b"mine",
        "pc/packs/ab/" + "x" * 64: b"mine",
        "pc/packs/other/" + "0" * 64: b"mine",
        "pc/trash/something": b"mine",
        "pc/trash/old/thing": b"mine",
        "pc/records/notes/readme.txt": b"mine",
        "pc/keys/readme.txt": b"mine",
        "pc/readme.txt": b"mine",
        "pc2/2026-11-23_20-00-00/image.json": b"{}",
        "elsewhere/file": b"mine",
    }
    for path, data in foreign.items():
        plant.storage.make_directory(path.rpartition("/")[0])
        plant.storage.put(path, [data])
    for days in range(0, 8, 2):
        plant.roll(1, NOW + days * DAY)
        plant.make()
    assert {path: plant.storage.files.get(path) for path in foreign} == foreign


def test_a_foreign_directory_inside_an_image_stays_and_stops_nothing() -> None:
    plant = Plant(3)
    inside = plant.directory.path(plant.names[0], "notes")
    plant.storage.make_directory(inside)
    plant.storage.put(inside + "/readme.txt", [b"mine"])
    report = plant.roll(1)
    assert [text for text in report.warnings if plant.names[0] in text]
    assert plant.listed() == plant.names[2:]
    for days in (2, 4):
        plant.make()
        plant.roll(1, NOW + days * DAY)
    found = [path for path in plant.storage.files if path.endswith("notes/readme.txt")]
    assert len(found) == 1
    plant.check(*plant.listed())


@pytest.mark.parametrize("kind", ["directory", "records"])
def test_what_a_person_put_there_is_told_but_not_for_ever(kind: str) -> None:
    plant = Plant(3)
    plant.directory.add_record(plant.names[0], "verified", {"level": "full", "ok": True})
    image = plant.names[0] if kind == "directory" else "%s/%s" % (fmt.RECORDS, plant.names[0])
    plant.storage.make_directory(plant.directory.path(image, "notes"))
    plant.storage.put(plant.directory.path(image, "notes", "readme.txt"), [b"mine"])
    told = []
    for days in range(0, 16, 2):
        told.append([text for text in plant.roll(1, NOW + days * DAY).warnings if plant.names[0] in text])
        plant.make()
    assert told[0]
    assert told[3:] == [[]] * 5
    assert [data for path, data in plant.storage.files.items() if path.endswith("notes/readme.txt")] == [b"mine"]
    plant.check(*plant.listed())


def test_what_a_nas_puts_into_every_folder_goes_with_the_image() -> None:
    plant = Plant(3)
    plant.directory.add_record(plant.names[0], "verified", {"level": "full", "ok": True})
    strays = [
        ".DS_Store",
        "Thumbs.db",
        "desktop.ini",
        "@eaDir/image.json@SynoEAStream",
        "@eaDir/deeper/SYNOPHOTO_THUMB_M.jpg",
        "keys/@eaDir/slot@SynoResource",
        "#recycle/desktop.ini",
        ".@__thumb/default.jpg",
        ".AppleDouble/.Parent",
    ]
    for folder in (plant.names[0], "%s/%s" % (fmt.RECORDS, plant.names[0])):
        for stray in strays:
            path = plant.directory.path(folder, stray)
            plant.storage.make_directory(path.rpartition("/")[0])
            plant.storage.put(path, [b"a nas made this"])
    for place in ("", fmt.PACKS, fmt.TRASH, fmt.RECORDS, fmt.KEYS, plant.names[-1]):
        plant.storage.make_directory(plant.directory.path(place, "@eaDir").replace("//", "/"))
    for days in range(0, 8, 2):
        assert plant.roll(1, NOW + days * DAY).warnings == []
        assert [path for path in plant.storage.files if plant.names[0] in path] == []
        plant.make()
    assert not plant.storage.exists(plant.directory.path(plant.names[0]))
    assert [name for name in plant.storage.list(plant.directory.path(fmt.TRASH)) if plant.names[0] in name.name] == []
    plant.check(*plant.listed()[-1:])


@pytest.mark.parametrize(
    "name", ["@eaDir", "#recycle", ".@__thumb", ".AppleDouble", ".Trash-1000", "$RECYCLE.BIN", "@Recycle"]
)
def test_folders_that_systems_of_storages_make(name: str) -> None:
    assert is_stray_folder(name)


@pytest.mark.parametrize(
    "name", ["packs", "eaDir", "x@eaDir", "@eaDir2", ".Trash-", ".trash-12345678901", "recycle", "backup"]
)
def test_folders_that_a_person_may_have_made(name: str) -> None:
    assert not is_stray_folder(name)
