# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Damaged slots, sums and small files of images are made whole by the next run, from their copies or from its own knowledge."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest
from engine.errors import EngineError
from engine.image.access import Passwords
from engine.image.format.manifest import decode
from engine.image.reader import ImageReader
from engine.image.upkeep.verify import verify_image
from engine.restore.restore import restore
from engine.storage.local.storage import DirectoryStorage
from support.small_runs import DEVICE, SmallDisk, make_small, read_image, run_image
from support.storages import MemoryStorage

PASSWORD = "a password for this test"
FLIPS_PER_FILE = 6


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position // 8] ^= 1 << position % 8
    path.write_bytes(data)


def test_damaged_slot_of_the_device_is_found_and_healed_by_the_next_run(memory_path: Path) -> None:
    """The images have copies: one can be restored meanwhile, and the next run goes on with the same key."""
    base = memory_path / "base"
    storage = DirectoryStorage(str(base))
    disk = SmallDisk()
    first = run_image(storage, disk, Passwords(password=PASSWORD))
    (slot,) = (base / DEVICE / "keys").iterdir()
    whole = slot.read_bytes()
    chance = random.Random(12)
    for position in [0, len(whole) * 8 - 1, *(chance.randrange(len(whole) * 8) for dummy in range(FLIPS_PER_FILE))]:
        flip(slot, position)
        for level, password in (("full", PASSWORD), ("storage", "")):
            report = verify_image(storage, DEVICE, first.image, level, password=password, record=False)
            assert ["key slot %s is damaged" % slot.name in problem for problem in report.problems] == [True]
        target = memory_path / "target"
        restore(storage, DEVICE, first.image, {"disk0": str(target)}, password=PASSWORD)
        assert target.read_bytes() == disk.expected()
        target.unlink()
        again = run_image(storage, disk, Passwords(password=PASSWORD))
        assert again.key_id == first.key_id
        assert slot.read_bytes() == whole
        assert verify_image(storage, DEVICE, again.image, "full", password=PASSWORD).ok


@pytest.mark.parametrize("password", ["", PASSWORD], ids=["clear", "encrypted"])
def test_sums_and_slots_of_an_image_are_healed_by_the_next_run(password: str, memory_path: Path) -> None:
    """They follow from other files; a verify has to have found the damage, since runs don't read every image."""
    base = memory_path / "base"
    storage = DirectoryStorage(str(base))
    disk = SmallDisk()
    first = run_image(storage, disk, Passwords(password=password))
    folder = base / DEVICE / first.image
    victims = [folder / "SHA256SUMS", *(folder / "keys").glob("*")]
    assert len(victims) == (2 if password else 1)
    chance = random.Random(13)
    for victim in victims:
        whole = victim.read_bytes()
        for position in [0, len(whole) * 8 - 1, *(chance.randrange(len(whole) * 8) for dummy in range(4)), None]:
            if position is None:
                victim.unlink()
            else:
                flip(victim, position)
            assert not verify_image(storage, DEVICE, first.image, "storage").ok
            disk.write(1)
            again = run_image(storage, disk, Passwords(password=password))
            assert victim.read_bytes() == whole
            told = [warning for warning in again.warnings if "of the image %s was damaged" % first.image in warning]
            assert len(told) == 1, again.warnings
            assert victim.name in told[0]
            assert verify_image(storage, DEVICE, first.image, "full", password=password).ok


def test_damage_without_a_second_source_is_left_as_it_is_and_does_not_stop_the_next_run(memory_path: Path) -> None:
    base = memory_path / "base"
    storage = DirectoryStorage(str(base))
    disk = SmallDisk()
    first = run_image(storage, disk, Passwords(password=PASSWORD))
    folder = base / DEVICE / first.image
    for name in ("disk0.index", "device.json"):
        flip(folder / name, 100)
    (folder / "SHA256SUMS").write_text("nonsense\n")
    (folder / "copies.tar").unlink()  # as an image of an earlier version
    assert not verify_image(storage, DEVICE, first.image, "storage").ok
    again = run_image(storage, disk, Passwords(password=PASSWORD))
    assert (folder / "SHA256SUMS").read_text() == "nonsense\n", "nobody knows which packs it needs"
    assert verify_image(storage, DEVICE, again.image, "full", password=PASSWORD).ok
    assert not verify_image(storage, DEVICE, first.image, "storage").ok


@pytest.mark.parametrize("password", ["", PASSWORD], ids=["clear", "encrypted"])
def test_damaged_small_files_are_healed_from_their_copies_by_the_next_run(password: str, memory_path: Path) -> None:
    base = memory_path / "base"
    storage = DirectoryStorage(str(base))
    disk = SmallDisk()
    first = run_image(storage, disk, Passwords(password=password))
    folder = base / DEVICE / first.image
    for name in ("image.json", "disk0.index", "device.json", "job.log", "copies.tar"):
        whole = (folder / name).read_bytes()
        flip(folder / name, (whole.find(b'"sequence"') + 4) * 8 if name == "image.json" else 100)
        report = verify_image(storage, DEVICE, first.image, "storage")
        assert [name in problem for problem in report.problems] == [True], report.problems
        again = run_image(storage, disk, Passwords(password=password))
        assert (folder / name).read_bytes() == whole
        assert any(name in text and first.image in text for text in again.warnings)
        assert verify_image(storage, DEVICE, first.image, "full", password=password).ok


@pytest.mark.parametrize("sums", ["whole sums", "damaged sums"])
@pytest.mark.parametrize("password", ["", PASSWORD], ids=["clear", "encrypted"])
def test_an_image_whose_manifest_is_damaged_is_read_by_its_copy(password: str, sums: str) -> None:
    """Also where the manifest can still be parsed: then only the key, or that there is none, tells the damage."""
    storage, disk = MemoryStorage(), SmallDisk(12)
    image = run_image(storage, disk, Passwords(password=password)).image
    folder = "%s/%s/" % (DEVICE, image)
    whole = storage.files[folder + "image.json"]
    if sums == "damaged sums":
        storage.files[folder + "SHA256SUMS"] = b"nonsense\n"
    parsed = 0
    for position in range(0, len(whole), 5):
        spoilt = bytearray(whole)
        spoilt[position] ^= 1 << position % 8
        storage.files[folder + "image.json"] = bytes(spoilt)
        with contextlib.suppress(EngineError):
            decode(bytes(spoilt), image)
            parsed += 1
        assert read_image(storage, image, password or None) == disk.expected(), position
        wanted = image if sums == "damaged sums" else "latest"
        assert len(ImageReader(storage, DEVICE, wanted, password or None).warnings) == 1
    assert parsed > 20 or not password
    del storage.files[folder + "copies.tar"]
    with pytest.raises(EngineError):
        read_image(storage, image, password or None)
