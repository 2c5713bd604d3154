# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rest of a directory without images: all that the engine creates goes, nothing else does."""

from __future__ import annotations

from typing import Any, List

import pytest
from engine.errors import StorageFailed, StoragePermissionDenied
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.upkeep.alone import alone
from engine.image.upkeep.remains import is_empty, remove_directory, remove_put_aside, remove_remains
from support.storages import HookedStorage, MemoryStorage

IMAGE = "2026-11-22_13-45-10"


@pytest.fixture
def directory() -> DeviceDirectory:
    """Everything that runs leave beside images and packs."""
    made = DeviceDirectory(MemoryStorage(), "pc")
    made.create()
    for folder in ("packs/ab", "records/%s" % IMAGE, "@eaDir"):
        made.storage.make_directory("pc/" + folder)
    files = (fmt.DEVICE_ID_NAME, fmt.README_NAME, fmt.ENCRYPTED_NAME, fmt.RUN_STATUS_NAME)
    for name in (*files, "keys/%s.json" % ("a" * 64), "trash/1800000000.3.stamp", "@eaDir/thumb.jpg"):
        made.storage.put("pc/" + name, [b"x"])
    return made


def removed(directory: DeviceDirectory) -> List[str]:
    warnings: List[str] = []
    with alone(directory) as lease:
        is_done = remove_remains(directory, lease, warnings)
    assert is_done == (not warnings)
    return warnings


def test_all_that_the_engine_creates_goes(directory: DeviceDirectory) -> None:
    assert not is_empty(directory)
    assert removed(directory) == []
    assert is_empty(directory)
    assert remove_directory(directory, [])
    assert not directory.storage.exists("pc")
    assert remove_directory(directory, []), "another host was quicker"


@pytest.mark.parametrize("path", ["pc/notes.txt", "pc/packs/ab/mine/notes.txt", "pc/versions/1/version.json"])
def test_a_foreign_entry_stays_with_the_document_of_the_owner(directory: DeviceDirectory, path: str) -> None:
    directory.storage.make_directory(path.rpartition("/")[0])
    directory.storage.put(path, [b"mine"])
    assert len(removed(directory)) == 1
    assert directory.storage.get(path) == b"mine"
    assert directory.storage.exists(directory.path(fmt.DEVICE_ID_NAME))
    warnings: List[str] = []
    assert not remove_directory(directory, warnings)
    assert len(warnings) == 1


@pytest.mark.parametrize("kind", [StorageFailed, StoragePermissionDenied])
def test_a_file_that_is_open_or_forbidden_on_a_share_is_told(directory: DeviceDirectory, kind: Any) -> None:
    def is_open(moment: str, operation: str, path: str) -> None:
        if (moment, operation, path) == ("before", "remove_directory", "pc/trash"):
            raise kind(storage="memory", operation="removing", path=path, reason="it is in use")

    warnings = removed(DeviceDirectory(HookedStorage(directory.storage, is_open), "pc"))
    assert len(warnings) == 1
    assert directory.storage.exists(directory.path(fmt.DEVICE_ID_NAME))
    assert removed(directory) == []


def test_what_runs_left_in_the_trash_goes_when_it_is_old(directory: DeviceDirectory) -> None:
    for name, file in (("%s.100" % IMAGE, "disk0.index"), ("%s.300" % IMAGE, "disk0.index")):
        directory.storage.make_directory("pc/trash/" + name)
        directory.storage.put("pc/trash/%s/%s" % (name, file), [b"x"])
    whole = "2026-11-22_13-45-11.100"
    directory.storage.make_directory("pc/trash/" + whole)
    directory.storage.put("pc/trash/%s/%s" % (whole, fmt.MANIFEST_NAME), [b"x"])
    warnings: List[str] = []
    remove_put_aside(directory, lambda since_seconds: since_seconds < 200, warnings)
    assert [one.file_name for one in directory.put_aside()] == ["%s.300" % IMAGE, whole]
    assert warnings == []


@pytest.mark.parametrize("times", [1, 2])
def test_a_folder_of_the_storages_system_that_comes_late_goes(directory: DeviceDirectory, times: int) -> None:
    left = [times]

    def late(moment: str, operation: str, path: str) -> None:
        if (moment, operation, path) == ("before", "remove_directory", "pc") and left[0]:
            left[0] -= 1
            directory.storage.make_directory("pc/@eaDir")
            directory.storage.put("pc/@eaDir/thumb.jpg", [b"x"], replace=True)

    assert removed(directory) == []
    warnings: List[str] = []
    assert remove_directory(DeviceDirectory(HookedStorage(directory.storage, late), "pc"), warnings)
    assert warnings == []
    assert not directory.storage.exists("pc")


def test_a_folder_that_comes_again_and_again_ends_the_removal(directory: DeviceDirectory) -> None:
    def late(moment: str, operation: str, path: str) -> None:
        if (moment, operation, path) == ("before", "remove_directory", "pc"):
            directory.storage.make_directory("pc/@eaDir")

    assert removed(directory) == []
    warnings: List[str] = []
    assert not remove_directory(DeviceDirectory(HookedStorage(directory.storage, late), "pc"), warnings)
    assert len(warnings) == 1
    assert is_empty(directory), "so that the next call continues"
    assert remove_directory(directory, [])
