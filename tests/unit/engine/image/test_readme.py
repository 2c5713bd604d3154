# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README of a device's directory: written once, kept right, ignored by every reader, and never a reason to fail."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import List, Optional

import pytest
from engine.errors import StorageFailed, StoragePermissionDenied
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.readme import keep_readme, readme_text
from engine.image.upkeep.rollover import roll_over
from engine.storage.local.storage import DirectoryStorage
from support.plant import NOW, Plant
from support.small_runs import DEVICE, SmallDisk, make_small, run_image
from support.storages import HookedStorage, MemoryStorage

PATH = "%s/%s" % (DEVICE, fmt.README_NAME)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def there(plant: Plant) -> Optional[int]:
    return plant.directory.packs_and_partial_files().readme_bytes


def test_it_is_written_where_it_is_missing_and_found_by_the_listing() -> None:
    plant = Plant(1)
    assert there(plant) is None
    assert keep_readme(plant.directory, there(plant), may_replace=False) == []
    assert plant.storage.files[PATH] == readme_text(DEVICE)
    assert there(plant) == len(readme_text(DEVICE))


def test_a_right_one_costs_no_call_and_another_one_is_replaced() -> None:
    plant = Plant(1)
    keep_readme(plant.directory, None, may_replace=True)
    calls: List[str] = []
    hooked = HookedStorage(plant.storage, lambda dummy_moment, operation, dummy_path: calls.append(operation))
    directory = DeviceDirectory(hooked, DEVICE)
    assert keep_readme(directory, there(plant), may_replace=True) == []
    assert calls == []
    plant.storage.put(PATH, [b"of an earlier release"], replace=True)
    assert keep_readme(directory, there(plant), may_replace=False) == []
    assert calls == [], "an account that may only create leaves it"
    assert keep_readme(directory, there(plant), may_replace=True) == []
    assert plant.storage.files[PATH] == readme_text(DEVICE)


@pytest.mark.parametrize("error", [StoragePermissionDenied, StorageFailed])
def test_a_storage_that_refuses_it_fails_no_run(error: type) -> None:
    def refuse(dummy_moment: str, operation: str, path: str) -> None:
        if operation == "put":
            raise error(storage="x", operation="put", path=path, reason="no")

    directory = DeviceDirectory(HookedStorage(MemoryStorage(), refuse), DEVICE)
    warnings = keep_readme(directory, None, may_replace=True)
    assert len(warnings) == (error is StorageFailed)


def test_a_directory_of_its_name_is_left_alone() -> None:
    plant = Plant(1)
    plant.storage.make_directory(PATH)
    assert keep_readme(plant.directory, None, may_replace=True) == []
    assert PATH in plant.storage.directories


def test_a_directory_of_its_name_in_a_real_directory_warns_nobody(tmp_path: Path) -> None:
    storage = DirectoryStorage(str(tmp_path))
    run_image(storage, SmallDisk(8))
    (tmp_path / PATH).mkdir()
    directory = DeviceDirectory(storage, DEVICE)
    assert keep_readme(directory, directory.packs_and_partial_files().readme_bytes, may_replace=True) == []
    assert (tmp_path / PATH).is_dir()


def test_readers_and_rollovers_pass_it_by() -> None:
    plant = Plant(3)
    keep_readme(plant.directory, None, may_replace=True)
    assert plant.listed() == plant.names
    report = roll_over(plant.storage, DEVICE, 1, openable_key="", now=lambda: NOW)
    assert (report.deleted, report.warnings) == (plant.names[:2], [])
    assert plant.storage.files[PATH] == readme_text(DEVICE)
    plant.check(plant.names[2])


def test_what_it_says_about_verifying_is_true(tmp_path: Path) -> None:
    """The commands of the README, as a person types them."""
    storage = DirectoryStorage(str(tmp_path))
    image = run_image(storage, SmallDisk(8)).image
    text = readme_text(DEVICE).decode("utf-8").replace("\r\n", "\n")
    (example,) = re.findall(r"^  cd (\S+)\n  (sha256sum .*)$", text, re.M)
    command = "cd %s && %s" % (image, example[1])
    done = subprocess.run(
        ["bash", "-c", command], cwd=str(tmp_path / DEVICE), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert all(line.endswith(": OK") for line in done.stdout.splitlines())
    (pack,) = list((tmp_path / DEVICE / "packs").rglob("?" * 64))[:1]
    pack.chmod(0o600)
    pack.write_bytes(pack.read_bytes()[:-1])
    assert subprocess.run(
        ["bash", "-c", command], cwd=str(tmp_path / DEVICE), capture_output=True, check=False
    ).returncode


@pytest.mark.parametrize("name", ["pc", "press-07", "Prüfstand 3", "{brace}"])
def test_it_names_the_device_and_fits_a_window_of_80_columns(name: str) -> None:
    lines = readme_text(name).decode("utf-8").split("\r\n")
    assert name in lines[0]
    assert len(lines[1]) == len(lines[0])
    assert max(map(len, lines)) <= 80
