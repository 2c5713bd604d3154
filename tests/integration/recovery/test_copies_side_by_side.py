# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy's directory belongs to several copies at once, and to its owner: what is somebody else's there stays."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Iterable, Iterator, List

import pytest
from engine.errors import (
    CopyNotProved,
    EngineError,
    StorageExists,
    StorageNotFound,
    StoragePermissionDenied,
    StorageUnreachable,
)
from engine.image.copying import copy as copying
from engine.image.copying.directory_sums import sweep_top, write_directory_sums
from engine.image.copying.packs import PackCopier, store_file
from engine.image.device_directory import DeviceDirectory
from engine.image.format.constants import pack_path
from engine.storage.local.storage import DirectoryStorage
from support.archiving import at_once
from support.imaging import PASSWORD, ask, image, job, verify
from support.plain_disks import make_disk
from support.recovery import checksums, copy, stand_in
from support.storages import HookedStorage

PROGRAM, SUMS, PAGES = "plantops-recovery.pyz", "SHA256SUMS", ("RECOVERY.html", "RECOVERY.txt")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage with two images of a device. It is only read."""
    folder = tmp_path_factory.mktemp("source")
    make_disk(folder / "disk.raw", 16, 3, 1)
    for name in ("2026-11-20_10-00-00", "2026-11-21_10-00-00"):
        image(folder / "storage", folder / "disk.raw", timestamp=name)
    return folder / "storage"


def test_what_another_copy_writes_just_now_is_not_swept(tmp_path: Path) -> None:
    storage = DirectoryStorage(str(tmp_path))

    def slowly() -> Iterator[bytes]:
        yield b"half of it, "
        sweep_top(storage, (PROGRAM, SUMS))  # another copy ends meanwhile
        yield b"and the rest"

    storage.put(PROGRAM, slowly())
    assert storage.get(PROGRAM) == b"half of it, and the rest"
    for name in ("%s.0123abcd.partial" % PROGRAM, "%s.0123abcd.partial" % SUMS, "notes.0123abcd.partial"):
        (tmp_path / name).write_bytes(b"left")
        os.utime(tmp_path / name, (0, 0))
    sweep_top(storage, (PROGRAM, SUMS))
    assert sorted(os.listdir(tmp_path)) == ["notes.0123abcd.partial", PROGRAM]


class Swept(DirectoryStorage):
    """Another host, whose clock is wrong, takes what is half-written, a number of times."""

    times = 1

    def put(self, path: str, data: Iterable[bytes], **settings: Any) -> int:
        if self.times:
            self.times -= 1
            raise StorageNotFound(path=path, storage=self.description)
        return super().put(path, data, **settings)


def test_a_file_that_was_swept_half_written_goes_again(tmp_path: Path) -> None:
    storage = Swept(str(tmp_path))
    assert store_file(storage, PROGRAM, b"program", replace=True)
    assert storage.get(PROGRAM) == b"program"
    storage.times = 9
    with pytest.raises(StorageNotFound):
        store_file(storage, "other", b"program", replace=True)


class Raced(DirectoryStorage):
    """Right before each file is published another copy publishes the same one; this account may not replace it."""

    damaged = ""

    def put(self, path: str, data: Iterable[bytes], **settings: Any) -> int:
        if settings.get("replace"):
            raise StoragePermissionDenied(storage=self.description, operation="replacing", path=path)
        content = b"".join(data)
        if not self.exists(path):
            super().put(path, [b"damaged" if path == self.damaged else content])
        return super().put(path, [content], **settings)


def test_a_file_that_another_copy_has_just_stored_is_not_replaced(tmp_path: Path) -> None:
    storage = Raced(str(tmp_path))
    for replace in (True, False):
        name = "list-%s" % replace
        assert not store_file(storage, name, b"whole", replace=replace)
        assert storage.get(name) == b"whole"
    storage.damaged = "other"
    with pytest.raises(StoragePermissionDenied):
        store_file(storage, "other", b"whole", replace=True)
    storage.damaged = "third"
    with pytest.raises(StorageExists):
        store_file(storage, "third", b"whole", replace=False)


def test_a_pack_that_another_copy_has_just_stored_is_not_replaced(made: Path, tmp_path: Path) -> None:
    source = DeviceDirectory(DirectoryStorage(str(made)), "pc")
    (manifest,) = [one for one in source.images({}) if one.image == "2026-11-20_10-00-00"]
    for name, size_bytes in source.packs().items():
        place = tmp_path / name
        place.mkdir()
        (place / "pc" / "packs").mkdir(parents=True)
        storage = Raced(str(place))
        assert PackCopier(source, storage, manifest).copy(name) == size_bytes
        assert storage.get(pack_path("pc", name)) == source.storage.get(pack_path("pc", name))
        storage.delete(pack_path("pc", name))
        storage.damaged = pack_path("pc", name)
        with pytest.raises(StoragePermissionDenied):
            PackCopier(source, storage, manifest).copy(name)
        assert storage.get(pack_path("pc", name)) == b"damaged"


class Shared(DirectoryStorage):
    """Another copy replaces the list right after each of our writes, for a while."""

    def __init__(self, root: str, times: int) -> None:
        super().__init__(root)
        self.times = times

    def put(self, path: str, data: Iterable[bytes], **settings: Any) -> int:
        done = super().put(path, data, **settings)
        if path == SUMS and self.times:
            self.times -= 1
            super().put(path, [b"the list of another copy"], replace=True)
        return done


def test_lists_of_copies_that_end_together_do_not_look_like_a_failing_medium(tmp_path: Path) -> None:
    storage = Shared(str(tmp_path), 7)
    storage.put(PROGRAM, [b"program"])
    assert write_directory_sums(storage, PAGES, PROGRAM)
    assert checksums(tmp_path) == []
    (tmp_path / PROGRAM).write_bytes(b"another program")
    with pytest.raises(CopyNotProved):
        write_directory_sums(Shared(str(tmp_path), 1000), PAGES, PROGRAM)


@pytest.mark.parametrize("check", [True, False])
def test_a_list_of_somebody_else_is_not_replaced(check: bool, made: Path, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    foreign = b"%s  live/filesystem.squashfs\n%s  keys/a\n" % (b"0" * 64, b"1" * 64)
    (stick / SUMS).write_bytes(foreign)
    with pytest.raises(EngineError) as caught:
        copy(made, stick, check=check)
    assert (caught.value.code, caught.value.fields["target"]) == ("C103", str(stick))
    assert os.listdir(stick) == [SUMS]
    assert (stick / SUMS).read_bytes() == foreign
    (stick / SUMS).unlink()
    copy(made, stick)
    damaged = bytearray((stick / SUMS).read_bytes())
    damaged[3] ^= 0x80
    (stick / SUMS).write_bytes(damaged)
    assert copy(made, stick)["changed"]
    assert checksums(stick) == []


def test_an_old_copy_that_is_copied_back_does_not_undo_the_replacement_of_a_machine(made: Path, tmp_path: Path) -> None:
    old, live = tmp_path / "old", tmp_path / "live"
    copy(made, old, image="2026-11-20_10-00-00")
    copy(made, live)
    replaced = b"the identity of the machine that came in its place"
    (live / "pc" / "device-id.json").write_bytes(replaced)
    copy(old, live, image="2026-11-20_10-00-00")
    assert (live / "pc" / "device-id.json").read_bytes() == replaced
    copy(made, live)
    assert (live / "pc" / "device-id.json").read_bytes() == (made / "pc" / "device-id.json").read_bytes()


def test_packs_that_a_rollover_takes_right_before_the_commit_come_again(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stick = tmp_path / "stick"
    commit = copying.ImageCopy._commit
    taken: List[Path] = []

    def sweeping(self: copying.ImageCopy) -> None:
        taken.extend(path for path in (stick / "pc" / "packs").rglob("*") if path.is_file())
        taken[0].unlink()
        commit(self)

    monkeypatch.setattr(copying.ImageCopy, "_commit", sweeping)
    done = copy(made, stick)
    assert taken[0].exists()
    assert verify(stick, image=done["image"], check=True)["ok"]


@pytest.mark.parametrize("name", [PROGRAM, "pc/RECOVERY.html", "pc/RECOVERY.txt"])
@pytest.mark.parametrize("change", ["replaced", "removed"])
def test_a_changed_page_or_program_of_a_copy_is_named_by_verify(
    name: str, change: str, made: Path, tmp_path: Path
) -> None:
    """A person follows the page, and runs the program as root: sha256sum tells, and verify tells, too."""
    stick = tmp_path / "stick"
    done = copy(made, stick)
    assert verify(stick, image=done["image"], check=True)["warnings"] == []
    if change == "replaced":
        (stick / name).write_bytes(b"type this instead")
    else:
        (stick / name).unlink()
    assert any(name in line for line in checksums(stick))
    found = verify(stick, image=done["image"], check=True)
    assert [warning for warning in found["warnings"] if warning.startswith(name + " ")]
    assert found["ok"]  # the image is intact


@pytest.mark.parametrize("is_copy", [True, False])
@pytest.mark.parametrize("operation", ["stat", "read"])
@pytest.mark.parametrize("name", [PROGRAM, SUMS, "pc/RECOVERY.html"])
def test_what_can_not_be_read_beside_an_image_does_not_end_its_verify(
    name: str, operation: str, is_copy: bool, made: Path, tmp_path: Path
) -> None:
    place = tmp_path / "stick"
    if is_copy:
        copy(made, place)
    else:  # a storage, where some account made such a page
        shutil.copytree(made, place)
        (place / "pc" / "RECOVERY.html").write_bytes(b"stray")
        (place / PROGRAM).write_bytes(b"stray")
        (place / SUMS).write_bytes(b"")

    def refuse(moment: str, asked: str, path: str) -> None:
        if (moment, asked, path) == ("before", operation, name):
            raise StoragePermissionDenied(storage="test", operation=asked, path=path)

    hooked = HookedStorage(DirectoryStorage(str(place)), refuse)
    found = ask(hooked, "verify", "pc", PASSWORD, check=True, level="full")
    assert found["ok"]
    asked = operation == "read" or name.startswith("pc/")
    refused = [text for text in found["warnings"] if text.startswith("%s can't be compared" % name)]
    assert len(refused) == int(asked)
    if is_copy:
        assert len(found["warnings"]) == len(refused)


def test_a_storage_that_is_lost_beside_an_image_ends_its_verify(made: Path) -> None:
    def lose(moment: str, dummy_asked: str, path: str) -> None:
        if (moment, path) == ("before", "pc/RECOVERY.html"):
            raise StorageUnreachable(storage="test", reason="cut")

    with pytest.raises(StorageUnreachable):
        ask(HookedStorage(DirectoryStorage(str(made)), lose), "verify", "pc", PASSWORD, check=True, level="full")


def test_two_devices_are_copied_to_one_directory_at_once(made: Path, tmp_path: Path) -> None:
    source, stick = tmp_path / "source", tmp_path / "stick"
    make_disk(tmp_path / "disk.raw", 16, 3, 2)
    image(source, tmp_path / "disk.raw", device="press 07")
    more = {"directory": str(stick), "program": str(stand_in())}
    requests = [job(made, "copy", **more), job(source, "copy", device="press 07", **more)]
    ended = at_once(requests)
    assert [one["event"] for one in ended] == ["result", "result"], ended
    assert checksums(stick) == []
    listed = (stick / SUMS).read_text(encoding="utf-8")
    for device, one in zip(("pc", "press 07"), ended):
        assert "  %s/RECOVERY.txt" % device in listed
        assert checksums(stick / device / one["image"]) == []
        assert verify(stick, device=device, image=one["image"], check=True)["ok"]
