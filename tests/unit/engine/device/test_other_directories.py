# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine is recognised by its other directories: swapped addresses, a new name, a directory that was moved."""

from __future__ import annotations

from typing import List

import pytest
from engine.device.identity import MachineIdentity, claim_directory, prove_directory
from engine.device.other_directories import directories_of, second_directory_warnings
from engine.errors import DeviceMismatch, DeviceSwapped, DirectoryMoved, StoragePermissionDenied, StorageUnreachable
from support.storages import HookedStorage, MemoryStorage

PRESS = MachineIdentity("4c4c4544-0031-3010-8052-b4c04f4e3732", "a" * 32)
MILL = MachineIdentity("00112233-4455-6677-8899-aabbccddeeff", "b" * 32)
NEW = MachineIdentity("99112233-4455-6677-8899-aabbccddeeff", "c" * 32)


@pytest.fixture
def plant() -> MemoryStorage:
    storage = MemoryStorage()
    claim_directory(storage, "press-07", PRESS, False)
    claim_directory(storage, "mill-02", MILL, False)
    return storage


def test_swapped_addresses_name_the_machine_that_it_is(plant: MemoryStorage) -> None:
    with pytest.raises(DeviceSwapped) as caught:
        prove_directory(plant, "press-07", MILL, False)
    error = caught.value.as_dict()
    assert (error["code"], caught.value.fields["others"]) == ("I110", "mill-02")
    assert error["hint"].index("ansible_host") < error["hint"].index("imaging_adopt")


def test_an_unknown_machine_is_the_failure_of_before(plant: MemoryStorage) -> None:
    with pytest.raises(DeviceMismatch) as caught:
        prove_directory(plant, "press-07", NEW, False)
    assert caught.value.__class__ is DeviceMismatch
    hint = caught.value.as_dict()["hint"]
    assert hint.index("ansible_host") < hint.index("imaging_adopt")


def test_a_new_name_of_a_known_machine_is_told(plant: MemoryStorage) -> None:
    (warning,) = second_directory_warnings(plant, PRESS, "press-7b")
    assert warning.startswith("press-7b: ")
    assert "imaging_device_name: press-07" in warning
    assert second_directory_warnings(plant, NEW, "lathe-1") == []
    assert second_directory_warnings(plant, MachineIdentity("", ""), "lathe-1") == []


def test_a_directory_that_was_moved_says_what_it_was(plant: MemoryStorage) -> None:
    plant.rename("press-07", "press-7b")
    with pytest.raises(DirectoryMoved) as caught:
        prove_directory(plant, "press-7b", PRESS, False)
    error = caught.value.as_dict()
    assert (error["code"], caught.value.fields["named"]) == ("I110", "press-07")
    assert "imaging_adopt" not in error["hint"]
    assert directories_of(plant, PRESS, "x") == [], "a moved one is not a directory to go on with"


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[" * 70_000, b'{"format": "plantops.imaging device"}'])
def test_other_files_of_its_name_are_skipped(plant: MemoryStorage, content: bytes) -> None:
    plant.make_directory("other")
    plant.put("other/device-id.json", [content])
    plant.make_directory("empty")
    plant.put("a-file", [b""])
    assert directories_of(plant, PRESS, "x") == ["press-07"]


def test_an_account_that_may_not_look_knows_none_and_an_outage_is_one(plant: MemoryStorage) -> None:
    refused: List[type] = [StoragePermissionDenied]

    def refuse(dummy_moment: str, operation: str, path: str) -> None:
        if operation in ("list", "list_some") or path.startswith("mill-02"):
            raise refused[0](storage="x", operation=operation, path=path, reason="away")

    storage = HookedStorage(plant, refuse)
    assert directories_of(storage, MILL, "press-07") == []
    refused[0] = StorageUnreachable
    with pytest.raises(StorageUnreachable):
        directories_of(storage, MILL, "press-07")
