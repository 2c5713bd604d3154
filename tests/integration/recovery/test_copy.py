# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of images: whole, proved by sha256sum alone, gone on with after each interruption, refused where they must be."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

import pytest
from engine.errors import EngineError
from engine.storage.local.storage import DirectoryStorage
from engine.verbs.dispatch import run_job
from support.filled import MIB
from support.imaging import PASSWORD, image, job, restore, run_verb, verify
from support.paths import MODULE_UTILS
from support.plain_disks import make_disk
from support.recovery import checksums, copy, stand_in
from support.sftp_server import SftpServer


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage with two images of a device, of which the second shares packs with the first. It is only read."""
    folder = tmp_path_factory.mktemp("source")
    disk = folder / "disk.raw"
    make_disk(disk, 64, 26, 1)
    image(folder / "storage", disk, timestamp="2026-11-20_10-00-00")
    with open(disk, "r+b") as file:
        file.seek(8 * MIB)
        file.write(os.urandom(2 * MIB))
    image(folder / "storage", disk, timestamp="2026-11-21_10-00-00")
    return folder / "storage"


def tree(folder: Path) -> Dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def listed(folder: Path) -> List[str]:
    return [line[66:] for line in (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines()]


def needed_pack(source: Path, name: str) -> Path:
    """A pack that the image needs."""
    line = (source / "pc" / name / "SHA256SUMS").read_text(encoding="ascii").splitlines()[-1]
    return source / "pc" / "packs" / line.partition("../packs/")[2]


def refused(code: str, work: Callable[[], Any]) -> EngineError:
    with pytest.raises(EngineError) as caught:
        work()
    assert caught.value.code == code
    return caught.value


def test_a_copy_is_a_storage_of_its_own(made: Path, tmp_path: Path) -> None:
    before = tree(made)
    done = copy(made, tmp_path / "stick")
    assert tree(made) == before
    assert done["image"] == "2026-11-21_10-00-00"
    assert done["packs_copied"] == done["packs"] > 3
    assert done["bytes_copied"] == done["bytes"]
    device = tmp_path / "stick" / "pc"
    needed = (made / "pc" / done["image"] / "SHA256SUMS").read_text(encoding="ascii").count("../packs/")
    assert len([path for path in (device / "packs").rglob("*") if path.is_file()]) == needed == done["packs"]
    of_the_image = tree(made / "pc" / done["image"])
    of_the_image.pop("result.json")  # the result of the run stays with the run's storage
    for name, digest in of_the_image.items():
        assert tree(device / done["image"])[name] == digest, name
    assert verify(tmp_path / "stick", check=True)["ok"]
    target = tmp_path / "restored.raw"
    restore(tmp_path / "stick", target)
    shutil.rmtree(device)
    restore(made, tmp_path / "other.raw")
    assert target.read_bytes() == (tmp_path / "other.raw").read_bytes()


def test_sha256sum_alone_proves_it(made: Path, tmp_path: Path, need) -> None:
    need("sha256sum")
    stick = tmp_path / "stick"
    done = copy(made, stick)
    assert checksums(stick) == []
    assert checksums(stick / "pc" / done["image"]) == []
    outside = {name for name in tree(stick) if not name.startswith("pc/%s/" % done["image"]) and name != "SHA256SUMS"}
    assert set(listed(stick)) == outside
    assert {"plantops-recovery.pyz", "pc/RECOVERY.txt", "pc/RECOVERY.html", "pc/device-id.json"} < outside


def test_what_is_there_is_not_copied_again_and_two_images_share(made: Path, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    first = copy(made, stick, image="2026-11-20_10-00-00")
    times = {path: path.stat().st_mtime_ns for path in stick.rglob("*") if path.is_file()}
    again = copy(made, stick, image="2026-11-20_10-00-00")
    assert (again["changed"], again["packs_copied"], again["bytes_kept"]) == (False, 0, first["bytes"])
    assert {path: path.stat().st_mtime_ns for path in stick.rglob("*") if path.is_file()} == times
    second = copy(made, stick)
    assert 0 < second["packs_copied"] < second["packs"]
    assert second["images"] == ["2026-11-20_10-00-00", "2026-11-21_10-00-00"]
    assert "2026-11-21_10-00-00" in (stick / "pc" / "RECOVERY.txt").read_text(encoding="utf-8")
    assert checksums(stick) == []
    for name in second["images"]:
        assert checksums(stick / "pc" / name) == []
        assert verify(stick, image=name, check=True)["ok"]


def test_several_devices_share_a_directory(made: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    disk = tmp_path / "disk.raw"
    make_disk(disk, 16, 3, 2)
    image(other, disk, device="press 07")
    stick = tmp_path / "stick"
    copy(made, stick)
    copy(other, stick, device="press 07")
    assert checksums(stick) == []
    assert {name.split("/")[0] for name in listed(stick)} == {"plantops-recovery.pyz", "pc", "press 07"}
    text = (stick / "press 07" / "RECOVERY.txt").read_text(encoding="utf-8")
    assert "verify . 'press 07' --image" in text
    found = run_verb(stick, "devices")["devices"]
    assert [(one["device"], len(one["images"])) for one in found] == [("pc", 1), ("press 07", 1)]


def test_without_a_password_the_bytes_are_copied_and_with_one_the_manifest_is_proved(
    made: Path, tmp_path: Path
) -> None:
    clear = copy(made, tmp_path / "one", secrets={})
    proved = copy(made, tmp_path / "two")
    assert (clear["authenticated"], proved["authenticated"]) == (False, True)
    assert clear["packs"] == proved["packs"]
    refused("K100", lambda: copy(made, tmp_path / "three", secrets={"password": "wrong"}))
    assert not (tmp_path / "three" / "pc").exists()
    poor = (tmp_path / "one" / "pc" / "RECOVERY.txt").read_text(encoding="utf-8")
    assert "Smallest target: %d bytes" % (64 * MIB) in poor.replace("\n", " ")
    # What a password made more of stays when somebody copies again without one.
    rich = tree(tmp_path / "two")
    copy(made, tmp_path / "two", secrets={})
    assert tree(tmp_path / "two") == rich


def test_a_pin_stays_as_it_is(made: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(made, source)
    run_verb(source, "pin", image="2026-11-20_10-00-00")
    assert copy(source, tmp_path / "stick", image="2026-11-20_10-00-00")["pinned"] == ["2026-11-20_10-00-00"]
    assert copy(source, tmp_path / "stick")["pinned"] == ["2026-11-20_10-00-00"]
    run_verb(tmp_path / "stick", "pin", image="2026-11-20_10-00-00", state="unpinned")
    assert copy(source, tmp_path / "stick", image="2026-11-20_10-00-00")["pinned"] == []
    assert checksums(tmp_path / "stick") == []


def test_check_mode_says_what_would_be_copied_and_writes_nothing(made: Path, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    planned = copy(made, stick, check=True)
    assert (planned["changed"], planned["packs_to_copy"]) == (True, planned["packs"])
    assert not stick.exists()
    copy(made, stick, image="2026-11-20_10-00-00")
    before = tree(stick)
    planned = copy(made, stick, check=True)
    assert 0 < planned["packs_to_copy"] < planned["packs"]
    assert copy(made, stick, check=True, image="2026-11-20_10-00-00")["changed"] is False
    assert tree(stick) == before


@pytest.mark.parametrize("place", ["pack", "pc/{image}/SHA256SUMS", "pc/{image}/image.json", "pc/{image}/disk0.index"])
def test_a_flipped_byte_in_a_copy_is_named(place: str, made: Path, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    done = copy(made, stick)
    if place == "pack":
        path = max((stick / "pc" / "packs").rglob("*"), key=lambda one: one.stat().st_size if one.is_file() else 0)
    else:
        path = stick / place.format(image=done["image"])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    found = verify(stick, image=done["image"], check=True)
    assert not found["ok"]
    assert any(path.name in problem for problem in found["problems"]), found["problems"]
    if path.name != "SHA256SUMS":
        folder = stick / "pc" / done["image"]
        assert any(path.name in line for line in checksums(folder)), checksums(folder)
    again = copy(made, stick, image=done["image"])
    assert again["changed"]
    assert verify(stick, image=done["image"], check=True)["ok"]


def test_damage_of_the_source_is_named_or_healed(made: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(made, source)
    folder = source / "pc" / "2026-11-21_10-00-00"
    for name in ("SHA256SUMS", "disk0.index"):
        data = bytearray((folder / name).read_bytes())
        data[40] ^= 1
        (folder / name).write_bytes(data)
    done = copy(source, tmp_path / "healed")
    assert any("disk0.index" in warning for warning in done["warnings"])
    assert checksums(tmp_path / "healed" / "pc" / done["image"]) == []
    assert verify(tmp_path / "healed", check=True)["ok"]
    pack = needed_pack(source, "2026-11-20_10-00-00")
    pack.write_bytes(pack.read_bytes()[:-1] + b"?")
    assert pack.name in str(refused("C102", lambda: copy(source, tmp_path / "stick", image="2026-11-20_10-00-00")))
    pack.unlink()
    assert pack.name in str(refused("C102", lambda: copy(source, tmp_path / "stick", image="2026-11-20_10-00-00")))
    assert not (tmp_path / "stick" / "pc" / "2026-11-20_10-00-00" / "image.json").exists()


def test_a_pack_in_the_trash_of_the_source_is_found(made: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(made, source)
    packs = [path for path in (source / "pc" / "packs").rglob("*") if path.is_file()]
    for path in packs[:2]:
        path.rename(source / "pc" / "trash" / ("%s.2.1780000000" % path.name))
    done = copy(source, tmp_path / "stick")
    assert checksums(tmp_path / "stick" / "pc" / done["image"]) == []


class Rolling(DirectoryStorage):
    """A storage in which a rollover moves every pack to the trash while the first one is read, and one of them back."""

    is_moved = False

    def read(self, path: str, offset_bytes: int = 0, length_bytes: Optional[int] = None) -> Iterator[bytes]:
        if "/packs/" in path and not self.is_moved:
            Rolling.is_moved = True
            packs = sorted(Path(self.description).glob("pc/packs/*/*"))
            for pack in packs[1:]:
                pack.rename(Path(self.description) / "pc" / "trash" / ("%s.2.1780000000" % pack.name))
        return super().read(path, offset_bytes, length_bytes)


def test_a_rollover_moves_packs_while_they_are_copied(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    shutil.copytree(made, source)
    monkeypatch.setattr("engine.storage.open.DirectoryStorage", Rolling)
    done = copy(source, tmp_path / "stick")
    assert Rolling.is_moved
    assert checksums(tmp_path / "stick" / "pc" / done["image"]) == []
    assert list((source / "pc" / "trash").iterdir())


def test_what_a_killed_copy_left_counts_as_room(made: Path, tmp_path: Path) -> None:
    with stick_of(tmp_path / "small", 50) as place:
        copy(made, place, image="2026-11-20_10-00-00")
        room = next((place / "pc" / "packs").iterdir())
        (room / ("%s.0123abcd.partial" % ("0" * 64))).write_bytes(bytes(18 * MIB))
        assert copy(made, place)["packs_copied"] > 0
        assert list(place.rglob("*.partial")) == []


def test_hostile_sources(made: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(made, source)
    pack = needed_pack(source, "2026-11-21_10-00-00")
    secret = tmp_path / "secret"
    secret.write_bytes(b"of this machine")
    pack.unlink()
    pack.symlink_to(secret)  # a link is not followed
    refused("C102", lambda: copy(source, tmp_path / "a"))
    pack.unlink()
    with open(pack, "wb") as file:
        file.truncate(2 << 40)  # a sparse file without end
    refused("C102", lambda: copy(source, tmp_path / "b"))
    assert sum(path.stat().st_blocks for path in (tmp_path / "b").rglob("*")) * 512 < 100 * MIB
    assert list((tmp_path / "b").rglob("*.partial")) == []


@pytest.mark.parametrize("left", ["sums and second copy", "sums", "second copy"])
def test_a_flipped_byte_in_the_copys_manifest_is_damage_and_not_another_image(
    made: Path, tmp_path: Path, left: str
) -> None:
    """A copy is told without a password that its target's manifest, which can be parsed, was the source's once."""
    stick = tmp_path / "stick"
    folder = stick / "pc" / copy(made, stick)["image"]
    whole = tree(stick)
    data = bytearray((folder / "image.json").read_bytes())
    place = data.index(b'"key_id": "') + len('"key_id": "') + 7
    data[place] = ord("0") if data[place] != ord("0") else ord("1")
    (folder / "image.json").write_bytes(data)
    if left == "second copy":
        (folder / "SHA256SUMS").unlink()
    if left == "sums":
        (folder / "copies.tar").unlink()
    assert refused("I101", lambda: verify(stick, check=True, level="quick")).fields["image"] == folder.name
    assert copy(made, stick)["changed"]
    assert tree(stick) == whole
    (folder / "image.json").write_bytes(data)
    for name in ("SHA256SUMS", "copies.tar"):
        (folder / name).unlink()
    refused("C105", lambda: copy(made, stick))


def test_what_can_not_be_a_target(made: Path, tmp_path: Path) -> None:
    refused("C103", lambda: copy(made, Path("relative")))
    refused("C103", lambda: copy(made, made))
    refused("C103", lambda: copy(made, made / "inside"))
    refused("C103", lambda: copy(made, tmp_path / "missing" / "stick"))
    (tmp_path / "file").write_bytes(b"")
    refused("C103", lambda: copy(made, tmp_path / "file"))
    refused("J100", lambda: run_verb(made, "copy", program=str(stand_in())))
    stick = tmp_path / "stick"
    copy(made, stick)
    # Another machine of the same name, and another image of the same name.
    other = tmp_path / "other"
    disk = tmp_path / "disk.raw"
    make_disk(disk, 16, 2, 3)
    image(other, disk, timestamp="2026-11-21_10-00-00")
    before = tree(stick)
    refused("C105", lambda: copy(other, stick))
    document = json.loads((other / "pc" / "device-id.json").read_text(encoding="utf-8"))
    (other / "pc" / "2026-11-21_10-00-00").rename(other / "pc" / "2026-11-23_10-00-00")
    assert document
    assert tree(stick) == before
    (stick / "PC").mkdir()
    refused("I112", lambda: copy(made, stick))


@contextmanager
def stick_of(folder: Path, size_mib: int) -> Iterator[Path]:
    """A file system of this size, mounted."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm" % size_mib, "none", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.root
def test_a_full_stick_fails_with_one_sentence_and_a_larger_one_goes_on(
    made: Path, tmp_path: Path, need, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("sha256sum", "mount")
    # First with free space that the file system tells ...
    with stick_of(tmp_path / "small", 40) as place:
        filler = place / "holiday.jpg"
        filler.write_bytes(bytes(20 * MIB))
        error = refused("C100", lambda: copy(made, place / "recovery"))
        needed, free, lacking = (
            int(str(error.fields[name])) for name in ("needed_bytes", "free_bytes", "lacking_bytes")
        )
        assert lacking == needed - free > 0
        assert not [path for path in place.rglob("*") if path.is_file() and path != filler]
        # ... then with a target that does not tell before it is full.
        monkeypatch.setattr(DirectoryStorage, "space", lambda self: None)
        assert int(str(refused("C100", lambda: copy(made, place / "recovery")).fields["lacking_bytes"])) > 0
        monkeypatch.undo()
        assert list(place.rglob("image.json")) == []
        assert list(place.rglob("*.partial")) == []
        shutil.copytree(place / "recovery", tmp_path / "carried")
    with stick_of(tmp_path / "large", 80) as place:
        shutil.copytree(tmp_path / "carried", place / "recovery")
        done = copy(made, place / "recovery")
        assert 0 < done["packs_copied"] < done["packs"]
        assert checksums(place / "recovery") == []
        assert checksums(place / "recovery" / "pc" / done["image"]) == []
        assert verify(place / "recovery", check=True)["ok"]


def test_a_copy_fits_fat32_as_it_is(made: Path, tmp_path: Path, need, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, sizes, no links: mtools writes it to a FAT32 file system and reads it back."""
    need("mkfs.fat", "mcopy", "fsck.fat")

    def no_links(*dummy: object, **dummy_more: object) -> None:
        raise PermissionError(errno.EPERM, "no hard links")

    monkeypatch.setattr(os, "link", no_links)  # as vfat answers
    stick, volume = tmp_path / "stick", tmp_path / "fat.raw"
    done = copy(made, stick)
    monkeypatch.undo()
    assert all(path.is_file() or path.is_dir() for path in stick.rglob("*"))
    assert not any(path.is_symlink() or path.stat().st_size >= 1 << 32 for path in stick.rglob("*"))
    with open(volume, "wb") as file:
        file.truncate(96 * MIB)
    subprocess.run(["mkfs.fat", "-F", "32", "-s", "1", str(volume)], check=True, stdout=subprocess.DEVNULL)
    (tmp_path / "back").mkdir()
    for command in (["-s", *map(str, stick.iterdir()), "::/"], ["-s", "-n", "::/*", str(tmp_path / "back")]):
        subprocess.run(["mcopy", "-i", str(volume), *command], check=True)
    subprocess.run(["fsck.fat", "-n", str(volume)], check=True, stdout=subprocess.DEVNULL)
    assert tree(tmp_path / "back") == tree(stick)
    assert checksums(tmp_path / "back") == []
    assert checksums(tmp_path / "back" / "pc" / done["image"]) == []
    assert verify(tmp_path / "back", check=True)["ok"]


def killed_copies(made: Path, stick: Path, seeds: range) -> None:
    document = {
        "verb": "copy",
        "device": "pc",
        "storage": {"url": str(made)},
        "directory": str(stick),
        "program": str(stand_in()),
        "secrets": {"password": PASSWORD},
        "limit_io_rate": 60,
    }
    committed = 0
    for seed in seeds:
        chance = random.Random(seed)
        if committed:
            shutil.rmtree(stick)
            committed = 0
        process = subprocess.Popen(
            [sys.executable, "-m", "engine.agent.command"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={"PYTHONPATH": str(MODULE_UTILS), "PATH": os.environ["PATH"]},
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(document).encode())
        process.stdin.close()
        # From the first directory on: what comes before changes nothing.
        while process.poll() is None and not (stick / "pc" / "packs").is_dir():
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 1.2))
        process.kill()
        process.wait()
        if (stick / "pc" / "2026-11-21_10-00-00" / "image.json").exists():
            committed += 1
            assert checksums(stick / "pc" / "2026-11-21_10-00-00") == [], seed
    # What is half-written at the top for less than ten minutes may be another copy's of the same play.
    for left in stick.glob("*.partial"):
        os.utime(left, (0, 0))


def test_a_copy_killed_anywhere_is_gone_on_with(made: Path, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    killed_copies(made, stick, range(4))
    done = copy(made, stick)
    assert checksums(stick) == []
    assert checksums(stick / "pc" / done["image"]) == []
    assert list(stick.rglob("*.partial")) == []
    assert verify(stick, check=True)["ok"]


@pytest.mark.long
def test_a_copy_killed_at_twenty_moments_is_gone_on_with(made: Path, tmp_path: Path) -> None:
    for seed in range(20):
        stick = tmp_path / ("stick-%d" % seed)
        killed_copies(made, stick, range(100 + seed, 101 + seed))
        done = copy(made, stick)
        assert checksums(stick) == [], seed
        assert checksums(stick / "pc" / done["image"]) == [], seed
        assert list(stick.rglob("*.partial")) == [], seed


def test_to_and_from_a_server(made: Path, tmp_path: Path) -> None:
    with SftpServer(tmp_path / "sftp") as server:
        settings = server.settings()
        done = run_verb(made, "copy", copy_storage=settings, program=str(stand_in()))
        assert done["packs_copied"] == done["packs"]
        assert checksums(server.root) == []
        assert checksums(server.root / "pc" / done["image"]) == []
        request = dict(job(made, "copy"), storage=settings, directory=str(tmp_path / "back"), program=str(stand_in()))
        back = run_job(request, lambda event: None, lambda: False)
        assert back["packs_copied"] == done["packs"]
    assert checksums(tmp_path / "back") == []
    assert verify(tmp_path / "back", check=True)["ok"]


def test_two_copies_at_once_leave_a_list_that_has_both(made: Path, tmp_path: Path) -> None:
    """Devices of one play are copied side by side."""
    other = tmp_path / "other"
    disk = tmp_path / "disk.raw"
    make_disk(disk, 16, 3, 2)
    image(other, disk, device="oven")
    stick = tmp_path / "stick"
    stick.mkdir()
    jobs = [("pc", made), ("oven", other)]
    processes = []
    for device, storage in jobs:
        document = {"verb": "copy", "device": device, "storage": {"url": str(storage)}, "directory": str(stick)}
        document.update(program=str(stand_in()), secrets={"password": PASSWORD})
        process = subprocess.Popen(
            [sys.executable, "-m", "engine.agent.command"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PYTHONPATH": str(MODULE_UTILS), "PATH": os.environ["PATH"]},
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(document).encode())
        process.stdin.close()
        processes.append(process)
    for process in processes:
        assert process.stdout is not None
        last = json.loads(process.stdout.read().splitlines()[-1])
        assert process.wait() == 0, last
    assert checksums(stick) == []
    assert {name.split("/")[0] for name in listed(stick)} == {"plantops-recovery.pyz", "pc", "oven"}
