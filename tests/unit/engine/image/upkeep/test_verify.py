# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A flipped bit in any stored file: full finds it, storage finds it without the password, restore writes nothing."""

from __future__ import annotations

import contextlib
import random
import shutil
from pathlib import Path
from typing import List

import pytest
from engine.errors import EngineError
from engine.image.access import Passwords
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.format.manifest import decode
from engine.image.format.packs import read_table
from engine.image.reader import ImageReader
from engine.image.upkeep.verify import verify_image
from engine.restore.restore import restore
from engine.storage.local.storage import DirectoryStorage
from support import imaging
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


def found_by(storage: DirectoryStorage, image: str, level: str, password: str) -> bool:
    try:
        return not verify_image(storage, DEVICE, image, level, password=password, record=False).ok
    except EngineError:
        return True


def stored_files(root: Path, image: str) -> List[Path]:
    files = [path for path in (root / DEVICE / image).rglob("*") if path.is_file()]
    return sorted(files + [path for path in (root / DEVICE / "packs").rglob("*") if path.is_file()])


@pytest.mark.parametrize("password", ["", PASSWORD], ids=["clear", "encrypted"])
def test_flipped_bit_is_found_everywhere(password: str, memory_path: Path) -> None:
    base = memory_path / "base"
    storage = DirectoryStorage(str(base))
    disk = SmallDisk()
    image = run_image(storage, disk, Passwords(password=password)).image
    names = {path.name for path in stored_files(base, image)}
    assert {"image.json", "SHA256SUMS", "disk0.index", "device.json", "job.log"} <= names
    chance = random.Random(11)
    flips = 0
    for path in stored_files(base, image):
        size = path.stat().st_size
        whole = path.read_bytes()
        positions = (
            {0, size * 8 - 1} | {chance.randrange(size * 8) for dummy in range(FLIPS_PER_FILE)} if size else set()
        )
        for position in sorted(positions):
            flip(path, position)
            where = "%s bit %d" % (path.relative_to(base), position)
            assert found_by(storage, image, "full", password), where
            assert found_by(storage, image, "storage", ""), where
            target = memory_path / "target"
            if path.name == "copies.tar":  # nothing that a restore needs
                restore(storage, DEVICE, image, {"disk0": str(target)}, password=password)
                assert target.read_bytes() == disk.expected()
                target.unlink()
            else:
                with pytest.raises(EngineError):
                    restore(storage, DEVICE, image, {"disk0": str(target)}, password=password)
            assert not target.exists(), where
            path.write_bytes(whole)
            flips += 1
    assert flips > 60
    assert not found_by(storage, image, "full", password)


def test_flipped_bit_beside_the_image_is_found_and_its_file_named(memory_path: Path) -> None:
    """In all that is stored of a device but what changes while runs work, and what is on its way out."""
    drive, base = memory_path / "drive", memory_path / "storage"
    drive.write_bytes(bytes(range(256)) * 4096)
    imaging.image(base, drive)
    assert imaging.verify(base)["ok"]
    beside = [path for path in (base / "pc").rglob("*") if path.is_file() and "packs" not in path.parts]
    beside = [path for path in beside if path.name not in ("lease.json", "run.json")]
    assert {"device-id.json", "encrypted", "copies.tar", "image.json"} <= {path.name for path in beside}
    assert [path for path in beside if path.name.startswith("verified-")]
    chance = random.Random(13)
    for path in beside:
        whole = path.read_bytes()
        for position in [0, len(whole) * 8 - 1, *(chance.randrange(len(whole) * 8) for dummy in range(6))]:
            flip(path, position)
            for level in ("storage", "full"):
                try:
                    problems = imaging.verify(base, level, check=True)["problems"]
                except EngineError as error:
                    problems = [str(error)]
                assert any(path.name in problem for problem in problems), (path.name, position, level, problems)
            path.write_bytes(whole)
    assert imaging.verify(base)["ok"]


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


def test_missing_and_truncated_files_are_found_by_quick(memory_path: Path) -> None:
    base = memory_path / "base"
    storage = DirectoryStorage(str(base))
    image = run_image(storage, SmallDisk(), Passwords(password=PASSWORD)).image
    for path in stored_files(base, image):
        if path.name in ("image.json", "copies.tar"):
            continue  # without its manifest there is no image; earlier versions made no copies
        whole = path.read_bytes()
        path.unlink()
        assert found_by(storage, image, "quick", ""), path
        path.write_bytes(whole)
        if "packs" in path.parts or path.suffix == ".index":
            path.write_bytes(whole[:-1])
            assert found_by(storage, image, "quick", ""), path
            path.write_bytes(whole)


def damage(base: Path, storage: DirectoryStorage, kind: int) -> str:
    """Flip a bit inside a blob of ``kind`` in some pack; return the pack's name."""
    for name, size_bytes in sorted(DeviceDirectory(storage, DEVICE).packs().items()):
        for entry in read_table(storage, fmt.pack_path(DEVICE, name), size_bytes):
            if entry.kind == kind:
                flip(base / DEVICE / "packs" / name[:2] / name, (entry.offset + entry.stored_bytes // 2) * 8)
                return name
    raise AssertionError("no pack holds such a blob")


@pytest.mark.parametrize("password", ["", PASSWORD], ids=["clear", "encrypted"])
def test_next_run_heals_a_damaged_pack_for_all_images(password: str, memory_path: Path) -> None:
    """The content is still on the disk: the pack comes back byte for byte, so older images are whole again."""
    base = memory_path / "base"
    storage = DirectoryStorage(str(base))
    disk = SmallDisk()
    first = run_image(storage, disk, Passwords(password=password))
    expected = disk.expected()
    pack = damage(base, storage, fmt.KIND_CHUNK)
    report = verify_image(storage, DEVICE, first.image, "storage")
    assert report.bad_packs == [pack]
    assert not (base / DEVICE / "packs" / pack[:2] / pack).exists()
    disk.write(39)
    second = run_image(storage, disk, Passwords(password=password))
    assert second.healed_packs == [pack]
    assert any(first.image in sentence for sentence in second.warnings)
    for image, data in ((first.image, expected), (second.image, disk.expected())):
        assert verify_image(storage, DEVICE, image, "full", password=password).ok
        assert read_image(storage, image, password) == data


def test_content_that_is_gone_from_the_disk_is_not_healed_but_the_next_image_is_whole(memory_path: Path) -> None:
    base = memory_path / "base"
    storage = DirectoryStorage(str(base))
    disk = SmallDisk()
    first = run_image(storage, disk, Passwords(password=PASSWORD))
    damage(base, storage, fmt.KIND_CHUNK)
    verify_image(storage, DEVICE, first.image, "storage")
    disk.write(*range(40))
    second = run_image(storage, disk, Passwords(password=PASSWORD))
    assert second.healed_packs == []
    assert verify_image(storage, DEVICE, second.image, "full", password=PASSWORD).ok
    assert not verify_image(storage, DEVICE, first.image, "quick").ok


def test_damaged_index_segment_does_not_stop_the_next_run(memory_path: Path) -> None:
    base = memory_path / "base"
    storage = DirectoryStorage(str(base))
    disk = SmallDisk()
    first = run_image(storage, disk, Passwords(password=PASSWORD))
    damage(base, storage, fmt.KIND_SEGMENT)
    verify_image(storage, DEVICE, first.image, "storage")
    disk.write(3)
    second = run_image(storage, disk, Passwords(password=PASSWORD))
    assert verify_image(storage, DEVICE, second.image, "full", password=PASSWORD).ok
    assert read_image(storage, second.image, PASSWORD) == disk.expected()


def test_every_run_hashes_a_share_of_the_older_packs(memory_path: Path) -> None:
    """Damage that nobody looked for is found by the runs themselves within a few of them, and healed."""
    base = memory_path / "base"
    storage = DirectoryStorage(str(base))
    disk = SmallDisk()
    run_image(storage, disk, Passwords(password=PASSWORD))
    pack = damage(base, storage, fmt.KIND_CHUNK)
    for dummy in range(40):
        result = run_image(storage, disk, Passwords(password=PASSWORD))
        if pack in result.healed_packs:
            break
    else:
        pytest.fail("forty runs did not find the damaged pack")
    for manifest in DeviceDirectory(storage, DEVICE).images():
        assert verify_image(storage, DEVICE, manifest.image, "full", password=PASSWORD).ok


def test_whole_image_directory_lost_is_said_and_others_stay(memory_path: Path) -> None:
    base = memory_path / "base"
    storage = DirectoryStorage(str(base))
    disk = SmallDisk()
    first = run_image(storage, disk, Passwords(password=PASSWORD))
    disk.write(5)
    second = run_image(storage, disk, Passwords(password=PASSWORD))
    shutil.rmtree(base / DEVICE / second.image)
    assert [manifest.image for manifest in DeviceDirectory(storage, DEVICE).images()] == [first.image]
    assert verify_image(storage, DEVICE, "latest", "full", password=PASSWORD).ok
