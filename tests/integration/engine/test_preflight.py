# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every run tries before it reads a disk: one sentence for what fails, a warning for what may, a few round trips."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest
from engine.entries import Space
from engine.errors import (
    DeviceMismatch,
    DiskNotFound,
    EngineError,
    PasswordMissing,
    PasswordWrong,
    StorageFull,
    StorageHostKeyUnknown,
    StorageLoginFailed,
    StoragePermissionDenied,
    StorageReadBackDiffers,
    StorageShareNotFound,
    StorageSpaceTooSmall,
)
from engine.image.access import Passwords
from engine.image.writing.preflight import Preflight, preflight
from engine.storage.local.storage import DirectoryStorage
from engine.storage.open import open_storage
from engine.verbs import dispatch as jobs
from support import imaging
from support.proxy import Proxy
from support.refusing import check_sentence
from support.samba_server import OTHER_USER, samba
from support.sftp_server import SftpServer
from support.small_runs import DEVICE
from support.storages import CountingStorage, HookedStorage, MemoryStorage

MIB = 1 << 20
NO_DISK = Path("/nonexistent/disk.raw")


def refused(settings: Dict[str, Any], error: type) -> EngineError:
    """Run a job over a disk that is not there: what is said of the storage was found before any disk was opened."""
    document = dict(imaging.job(Path("/"), "image", drives=[str(NO_DISK)]), storage=settings)
    with pytest.raises(error) as caught:
        jobs.run_job(document, lambda event: None, lambda: False)
    check_sentence(caught.value, [imaging.PASSWORD, str(settings.get("password") or imaging.PASSWORD)])
    return caught.value


def test_sftp_is_tried_before_a_disk_is_opened(tmp_path: Path) -> None:
    with SftpServer(tmp_path / "server") as server:
        assert refused(server.settings(host_key=None), StorageHostKeyUnknown).code == "S109"
        assert refused(server.settings(username="nobody-here"), StorageLoginFailed).code == "S111"
        (tmp_path / "server" / "sshd_config").write_text(
            (tmp_path / "server" / "sshd_config").read_text(encoding="utf-8").replace("-sftp ", "-sftp -R "),
            encoding="utf-8",
        )
        assert refused(server.settings(), DiskNotFound).code == "D100"
        server.kill()
        server.start()
        assert refused(server.settings(), StoragePermissionDenied).code == "S104"


def test_smb_is_tried_before_a_disk_is_opened(tmp_path: Path) -> None:
    with samba(tmp_path / "server", share_options={"read list": OTHER_USER}) as server:
        settings = server.settings
        refused({**settings, "password": "Wrong-1"}, StorageLoginFailed)
        refused({**settings, "url": "\\\\127.0.0.1\\nosuchshare\\x"}, StorageShareNotFound)
        refused(settings, DiskNotFound)
        refused({**settings, "username": OTHER_USER}, StoragePermissionDenied)


@pytest.mark.parametrize("operation", ["list", "make_directory", "put", "read"])
def test_what_is_not_permitted_is_said_at_once(operation: str) -> None:
    def hook(moment: str, name: str, path: str) -> None:
        if moment == "before" and name == operation:
            raise StoragePermissionDenied(storage="memory", operation=name, path=path)

    storage = HookedStorage(MemoryStorage(), hook)
    with pytest.raises(StoragePermissionDenied) as caught:
        preflight(storage, DEVICE, Passwords())
    assert caught.value.fields["operation"] == operation


def test_a_storage_that_is_full_or_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = MemoryStorage()
    monkeypatch.setattr(storage, "read", lambda path, offset_bytes=0, length_bytes=None: iter([b"something else"]))
    with pytest.raises(StorageReadBackDiffers):
        preflight(storage, DEVICE, Passwords())

    def full(dummy_moment: str, operation: str, path: str) -> None:
        if operation == "put":
            raise StorageFull(storage="memory", path=path)

    with pytest.raises(StorageFull):
        preflight(HookedStorage(MemoryStorage(), full), DEVICE, Passwords())


def test_a_password_is_proved_before_a_disk_is_opened(tmp_path: Path) -> None:
    (tmp_path / "disk.raw").write_bytes(b"x" * MIB)
    storage = tmp_path / "storage"
    imaging.image(storage, tmp_path / "disk.raw")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(PasswordWrong) as caught:
        imaging.image(storage, NO_DISK, secrets={"password": "wrong"})
    check_sentence(caught.value, ["wrong."])
    with pytest.raises(PasswordMissing):
        imaging.image(storage, NO_DISK, secrets={})
    changes: List[Dict[str, Any]] = [
        {"secrets": {"password": "new", "password_previous": imaging.PASSWORD}},
        {"secrets": {"password": "new"}, "new_key": True},
        {"secrets": {}, "allow_clear": True},
    ]
    for settings in changes:  # each may be done, so that the disk is what is missing
        with pytest.raises(DiskNotFound):
            imaging.image(storage, NO_DISK, **settings)
    assert sorted(tmp_path.rglob("*")) == before
    # Where the device's own slots are lost, the copies in its images open.
    for slot in (storage / "pc" / "keys").iterdir():
        slot.unlink()
    with pytest.raises(DiskNotFound):
        imaging.image(storage, NO_DISK)
    with pytest.raises(PasswordWrong):
        imaging.image(storage, NO_DISK, secrets={"password": "wrong"})
    with pytest.raises(PasswordMissing):
        imaging.image(storage, NO_DISK, secrets={})


def test_another_machines_directory_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "disk.raw").write_bytes(b"x" * MIB)
    imaging.image(tmp_path / "storage", tmp_path / "disk.raw")
    identity = tmp_path / "storage" / "pc" / "device-id.json"
    document = identity.read_text(encoding="utf-8")
    machine = document.split('"machine_id": "')[1].split('"')[0]
    foreign = machine[::-1] if machine != machine[::-1] else machine[1:] + "0"
    identity.write_text(
        document.replace('"machine_id": "%s"' % machine, '"machine_id": "%s"' % foreign).replace(
            '"smbios_uuid": "', '"smbios_uuid": "1'
        ),
        encoding="utf-8",
    )
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
    with pytest.raises(DeviceMismatch):
        imaging.image(tmp_path / "storage", NO_DISK)
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")) == before


# -- room --------------------------------------------------------------------------------------------------------------


class Small(MemoryStorage):
    """Says how much room it has, and what its clock shows."""

    def __init__(self, free_bytes: int, ahead_seconds: Optional[float] = None) -> None:
        super().__init__()
        self.free_bytes = free_bytes
        self.ahead_seconds = ahead_seconds

    def space(self) -> Optional[Space]:
        return Space(1 << 40, self.free_bytes)

    def modified_seconds(self, dummy_path: str) -> Optional[float]:
        return None if self.ahead_seconds is None else time.time() + self.ahead_seconds


def looked(free_bytes: int) -> Preflight:
    return preflight(Small(free_bytes), DEVICE, Passwords())


def test_room_for_a_first_image() -> None:
    gigabyte = 10**9
    assert looked(50 * gigabyte).check_room(100 * gigabyte) == []
    (warning,) = looked(49 * gigabyte).check_room(100 * gigabyte)
    assert "has 49.0 GB free" in warning
    assert "about 50.0 GB" in warning
    assert len(looked(2 * gigabyte).check_room(100 * gigabyte)) == 1
    with pytest.raises(StorageSpaceTooSmall) as caught:
        looked(2 * gigabyte - 1).check_room(100 * gigabyte)
    check_sentence(caught.value)
    assert caught.value.fields["needed"] == "2.0 GB"
    # What an interrupted run has sent counts, and nobody knows how much that is.
    interrupted = Small(gigabyte)
    interrupted.make_directory("%s/2026-01-02_03-04-05" % DEVICE)
    assert len(preflight(interrupted, DEVICE, Passwords()).check_room(100 * gigabyte)) == 1
    interrupted.make_directory("%s/trash" % DEVICE)
    interrupted.rename("%s/2026-01-02_03-04-05" % DEVICE, "%s/trash/2026-01-02_03-04-05.1800000000" % DEVICE)
    assert len(preflight(interrupted, DEVICE, Passwords()).check_room(100 * gigabyte)) == 1, "a rollover came between"
    assert preflight(MemoryStorage(), DEVICE, Passwords()).check_room(100 * gigabyte) == []  # nobody knows its room


def test_room_for_a_later_image_is_warned_of_and_never_refused(tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    with open("/dev/urandom", "rb") as random:
        disk.write_bytes(random.read(4 * MIB))
    imaging.image(tmp_path / "storage", disk)
    found = preflight(DirectoryStorage(str(tmp_path / "storage")), "pc", Passwords(imaging.PASSWORD))
    assert found.newest is not None

    def with_room(free_bytes: int) -> Preflight:
        return found._replace(check=found.check._replace(space=Space(1 << 40, free_bytes)))

    packs = found.newest.pack_bytes
    assert packs > 4 * MIB
    assert with_room(packs // 20).check_room(4 * MIB) == []
    assert len(with_room(packs // 20 - 1).check_room(4 * MIB)) == 1
    assert len(with_room(0).check_room(4 * MIB)) == 1
    assert with_room(packs // 20 + 2 * MIB).check_room(8 * MIB) == []
    assert len(with_room(packs // 20 + 2 * MIB - 1).check_room(8 * MIB)) == 1


def test_a_run_that_can_not_fit_ends_before_it_sends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = tmp_path / "disk.raw"
    disk.write_bytes(b"x" * 4 * MIB)
    storage = Small(4 * MIB // 50 - 1, ahead_seconds=400)
    monkeypatch.setattr(jobs, "open_storage", lambda *settings: storage)
    with pytest.raises(StorageSpaceTooSmall):
        imaging.image(tmp_path, disk)
    assert storage.files == {}
    storage.free_bytes = MIB
    warnings = imaging.image(tmp_path, disk)["warnings"]
    assert [text for text in warnings if "may need about 2.1 MB" in text]
    assert [text for text in warnings if "6 minutes behind that of the storage memory" in text]


# -- clocks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("storage_seconds", "controller_seconds", "said"),
    [
        (None, None, []),
        (290.0, -290.0, []),
        (310.0, None, ["is 5 minutes behind that of the storage memory"]),
        (-7300.0, None, ["is 2 hours ahead of that of the storage memory"]),
        (None, 17 * 365.25 * 86400, ["is 6209 days behind that of the controller"]),
        (-400.0, 400.0, ["6 minutes ahead of that of the storage", "6 minutes behind that of the controller"]),
    ],
)
def test_clocks_that_differ(
    storage_seconds: Optional[float], controller_seconds: Optional[float], said: List[str]
) -> None:
    controller = None if controller_seconds is None else time.time() + controller_seconds
    warnings = preflight(Small(MIB, storage_seconds), DEVICE, Passwords(), controller).warnings
    assert len(warnings) == len(said)
    for warning, words in zip(warnings, said):
        assert words in warning


def test_a_job_says_what_the_controllers_clock_shows(tmp_path: Path) -> None:
    (tmp_path / "disk.raw").write_bytes(b"x" * MIB)
    made = imaging.image(tmp_path / "storage", tmp_path / "disk.raw", controller_seconds=time.time() - 3600)
    assert [text for text in made["warnings"] if "ahead of that of the controller" in text]
    made = imaging.image(tmp_path / "storage", tmp_path / "disk.raw", controller_seconds=time.time())
    assert not [text for text in made["warnings"] if "clock" in text]


# -- what it costs -----------------------------------------------------------------------------------------------------


def test_it_asks_a_dozen_questions_however_many_images_there_are(tmp_path: Path) -> None:
    (tmp_path / "disk.raw").write_bytes(b"x" * MIB)
    for number in range(4):
        imaging.image(tmp_path / "storage", tmp_path / "disk.raw", timestamp="2026-01-0%d_00-00-00" % (number + 1))
    storage = CountingStorage(DirectoryStorage(str(tmp_path / "storage")))
    preflight(storage, "pc", Passwords(imaging.PASSWORD))
    assert storage.operations == {"make_directory": 1, "list": 3, "put": 2, "read": 3, "rename": 1, "delete": 1}


def test_it_takes_less_than_two_seconds_at_20_milliseconds_of_latency(tmp_path: Path) -> None:
    (tmp_path / "disk.raw").write_bytes(b"x" * MIB)
    with SftpServer(tmp_path / "server") as server:
        document = dict(imaging.job(Path("/"), "image", drives=[str(tmp_path / "disk.raw")]), storage=server.settings())
        jobs.run_job(document, lambda event: None, lambda: False)
        slow = Proxy(server.port, 0.02)
        with open_storage(server.settings(port=slow.port)) as storage:
            storage.list("")
            started = time.monotonic()
            preflight(storage, "pc", Passwords(imaging.PASSWORD))
            seconds = time.monotonic() - started
    assert seconds < 2.0, seconds
