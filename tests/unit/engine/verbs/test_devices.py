# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``devices``: which directories of a storage are devices, and what is reported of each of their images."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import pytest
from engine.errors import TooManyNames
from engine.image.format import constants as fmt
from engine.image.upkeep.rollover import pin
from engine.verbs import devices
from engine.verbs.devices import device_names, list_devices
from engine.verbs.list_images import list_images
from engine.verbs.request import parse
from engine.verbs.request_listing import DevicesRequest, ListRequest
from engine.verbs.run_status import RunStatus
from support.plant import Plant
from support.small_runs import DEVICE, SmallDisk, make_small, run_image
from support.storages import MemoryStorage

NOW = "2026-11-30_20-00-00"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def reported(storage: MemoryStorage) -> Tuple[Dict[str, Any], List[str]]:
    request = parse({"verb": "devices", "storage": {"url": "/x"}, "timestamp": NOW})
    assert isinstance(request, DevicesRequest)
    events: List[Dict[str, Any]] = []
    result = list_devices(storage, request, RunStatus(events.append, lambda: False))
    return result, [event["message"] for event in events]


def listed(storage: MemoryStorage, device: str) -> List[Dict[str, Any]]:
    request = parse({"verb": "list", "device": device, "storage": {"url": "/x"}, "timestamp": NOW})
    assert isinstance(request, ListRequest)
    images: List[Dict[str, Any]] = list_images(storage, request, RunStatus(print, lambda: False))["images"]
    return images


def test_every_device_is_reported_with_its_images_as_list_reports_them() -> None:
    plant = Plant(2)
    pin(plant.storage, DEVICE, plant.names[0], True)
    other = run_image(plant.storage, SmallDisk(8), device="another").image
    result, warnings = reported(plant.storage)
    assert warnings == []
    assert len(result["table"]) == 1 + 1 + 2, "a line of heads and one for each image"
    assert result == {
        "changed": False,
        "table": result["table"],
        "devices": [
            {"device": "another", "images": listed(plant.storage, "another")},
            {"device": DEVICE, "images": listed(plant.storage, DEVICE)},
        ],
    }
    assert [image["image"] for image in result["devices"][0]["images"]] == [other]
    assert [image["pinned"] for image in result["devices"][1]["images"]] == [True, False]


def test_a_directory_that_was_copied_by_hand_is_a_device_of_which_no_image_counts() -> None:
    plant = Plant(1)
    for path, content in list(plant.storage.files.items()):
        copied = "copied" + path[len(DEVICE) :]
        plant.storage.make_directory(copied.rpartition("/")[0])
        plant.storage.put(copied, [content])
    result, warnings = reported(plant.storage)
    assert [(one["device"], len(one["images"])) for one in result["devices"]] == [("copied", 0), (DEVICE, 1)]
    (warning,) = warnings
    assert plant.names[0] in warning
    assert "copied" in warning


def test_images_of_any_password_are_reported_without_it() -> None:
    plant = Plant()
    plant.make(password="geheim")
    result, dummy_warnings = reported(plant.storage)
    (image,) = result["devices"][0]["images"]
    assert (image["image"], image["encrypted"]) == (plant.names[0], True)


def test_an_image_that_can_not_be_read_is_a_warning_and_hides_no_other() -> None:
    plant = Plant(3)
    directory = plant.directory
    for name in (fmt.MANIFEST_NAME, fmt.COPIES_NAME):
        plant.storage.put(directory.path(plant.names[1], name), [b"{}"], replace=True)
    result, warnings = reported(plant.storage)
    assert [image["image"] for image in result["devices"][0]["images"]] == [plant.names[0], plant.names[2]]
    (warning,) = warnings
    assert plant.names[1] in warning
    assert DEVICE in warning


def test_reading_changes_no_file() -> None:
    plant = Plant(1)
    before = dict(plant.storage.files)
    reported(plant.storage)
    assert plant.storage.files == before


def test_a_storage_without_a_device() -> None:
    result, warnings = reported(MemoryStorage())
    assert (result["devices"], warnings) == ([], [])


def test_other_directories_and_files_are_skipped() -> None:
    storage = MemoryStorage()
    for folder in ("pc-1/" + fmt.PACKS, "pc-2", "backups/old", ".snapshot/" + fmt.PACKS, "#recycle"):
        storage.make_directory(folder)
    storage.put("pc-2/" + fmt.DEVICE_ID_NAME, [b"{}"])
    storage.put(fmt.PACKS, [b"a file of the name of a mark"])
    assert device_names(storage) == ["pc-1", "pc-2"], "the one has packs, the other says which machine's it is"


def test_a_flood_of_names_is_refused_and_not_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_MOST_DEVICES", 3)
    storage = MemoryStorage()
    for number in range(3):
        storage.make_directory("pc-%d/%s" % (number, fmt.PACKS))
    assert len(device_names(storage)) == 3
    storage.make_directory("pc-3")
    with pytest.raises(TooManyNames) as caught:
        device_names(storage)
    assert caught.value.fields["most"] == 3
