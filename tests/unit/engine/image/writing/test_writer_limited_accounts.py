# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts that may only create and read, or only read: what they can do succeeds, and nothing else stops it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Dict, Iterable, List, Optional

import pytest
from engine.errors import StoragePermissionDenied
from engine.image.access import Passwords
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.upkeep.verify import verify_image
from engine.image.writing.preflight import preflight
from engine.storage.contract import Deadline, Storage
from engine.storage.lease import Lease
from engine.verbs import dispatch as jobs
from support import imaging
from support.small_runs import DEVICE, SmallDisk, make_small, read_image, run_image
from support.storages import HookedStorage, MemoryStorage

LEASE = DEVICE + "/lease.json"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


class Creating(HookedStorage):
    """An account that may create and read; what it tried beyond that goes to ``refused``."""

    def __init__(self, inner: MemoryStorage, refused: List[str]) -> None:
        self._files = inner.files
        self._refused = refused
        super().__init__(inner, self._look)

    def _look(self, moment: str, operation: str, path: str) -> None:
        if moment == "before" and operation in ("delete", "rename", "remove_directory"):
            self._refuse(operation, path)

    def _refuse(self, operation: str, path: str) -> None:
        self._refused.append(path)
        raise StoragePermissionDenied(storage="memory", operation=operation, path=path)

    def put(
        self, path: str, data: Iterable[bytes], *, replace: bool = False, deadline: Optional[Deadline] = None
    ) -> int:
        if replace and path in self._files:
            self._refuse("replacing", path)
        return super().put(path, data, replace=replace, deadline=deadline)


def creating(inner: MemoryStorage, refused: List[str]) -> Storage:
    return Creating(inner, refused)


def reading(inner: MemoryStorage) -> Storage:
    def hook(moment: str, operation: str, path: str) -> None:
        if moment == "before" and operation not in ("list", "stat", "read"):
            raise StoragePermissionDenied(storage="memory", operation=operation, path=path)

    return HookedStorage(inner, hook)


def check_all(storage: MemoryStorage, expected: Dict[str, bytes]) -> None:
    for image, content in expected.items():
        assert verify_image(storage, DEVICE, image, "full", record=False).ok
        assert read_image(storage, image) == content


def test_runs_with_an_account_that_may_only_create() -> None:
    inner = MemoryStorage()
    refused: List[str] = []
    storage = creating(inner, refused)
    disk = SmallDisk(64)  # so long that a checkpoint is stored more than once
    expected = {}
    for number in range(3):
        disk.write(number, 20 + number, 50)
        looked = preflight(storage, DEVICE, Passwords())
        assert not looked.check.may_replace
        image = run_image(storage, disk, takes_lease=looked.check.may_replace).image
        expected[image] = disk.expected()
    assert LEASE not in inner.files
    assert [path for path in refused if "checkpoint" in path or path.endswith(".partial")]
    check_all(inner, expected)


def test_a_lease_that_can_not_be_renewed_or_taken_over_stops_no_run() -> None:
    """As on a server that forbids changes to what is older than a minute: the probe of a run can't find that out."""
    inner = MemoryStorage()
    storage = creating(inner, [])
    disk = SmallDisk(16)
    first = run_image(storage, disk, lease_ttl_seconds=0.5).image
    assert LEASE in inner.files  # it could not be given back
    document = json.loads(inner.files[LEASE])
    inner.files[LEASE] = json.dumps(dict(document, boot="", holder="a run that died")).encode()
    before = inner.files[LEASE]
    disk.write(1)
    second = run_image(storage, disk, lease_ttl_seconds=0.5).image
    assert inner.files[LEASE] == before
    assert [manifest.image for manifest in DeviceDirectory(inner, DEVICE).images()] == [first, second]


def test_a_lease_whose_renewal_becomes_forbidden_is_no_failure() -> None:
    inner = MemoryStorage()
    refused: List[str] = []
    inner.make_directory(DEVICE)
    lease = Lease(creating(inner, refused), DEVICE, ttl_seconds=0.2, heartbeat_seconds=0.05)
    lease.acquire()
    while not refused:
        lease.check()
    lease.check()
    lease.release()
    assert LEASE in inner.files


def test_what_a_killed_run_left_damaged_is_passed_by() -> None:
    inner = MemoryStorage()
    refused: List[str] = []
    disk = SmallDisk(24)
    first = run_image(inner, disk)
    for name in [name for name in inner.files if "/%s/" % first.image in name]:
        del inner.files[name]  # as if it had been killed before its commit
    pack = next(name for name in inner.files if "/packs/" in name)
    inner.files[pack] = b"x" + inner.files[pack][1:]
    second = run_image(creating(inner, refused), disk, takes_lease=False)
    assert pack in refused
    check_all(inner, {second.image: disk.expected()})


def test_packs_that_a_rollover_took_are_sent_again() -> None:
    inner = MemoryStorage()
    disk = SmallDisk(24)
    first = run_image(inner, disk)
    refused: List[str] = []
    swept: List[str] = []

    def sweep(moment: str, operation: str, path: str) -> None:
        """In the middle of the run every pack goes to the trash, as a rollover takes them that knows no image."""
        if moment == "before" and operation == "put" and "/packs/" in path and not swept:
            swept.extend(DeviceDirectory(inner, DEVICE).packs())
            for pack in swept:
                DeviceDirectory(inner, DEVICE).move_to_trash(pack, 1)

    disk.write(1)
    second = run_image(HookedStorage(creating(inner, refused), sweep), disk, takes_lease=False)
    assert swept
    assert [path for path in refused if "/trash/" in path]
    assert [text for text in second.warnings if "vanished" in text]
    assert set(second.new_packs).isdisjoint(first.new_packs)
    check_all(inner, {second.image: disk.expected()})


def test_verify_with_an_account_that_may_only_read() -> None:
    inner = MemoryStorage()
    image = run_image(inner, SmallDisk(24)).image
    assert verify_image(reading(inner), DEVICE, image, "full").ok
    pack = next(name for name in inner.files if "/packs/" in name)
    inner.files[pack] = inner.files[pack][:-1] + b"?"
    before = dict(inner.files)
    report = verify_image(reading(inner), DEVICE, image, "full")
    assert not report.ok
    assert report.bad_packs == [pack.rsplit("/", 1)[1]]
    assert inner.files == before


def test_a_job_says_who_rolls_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = MemoryStorage()
    monkeypatch.setattr(jobs, "open_storage", lambda *dummy_settings: creating(inner, []))
    drive = tmp_path / "disk.img"
    drive.write_bytes(bytes(SmallDisk(8).data))
    for dummy in range(2):
        made = imaging.image(tmp_path, drive, keep=1)
        assert made["rollover"] is None
        assert len([text for text in made["warnings"] if "not rolled over" in text and "operator" in text]) == 1
    assert len(imaging.run_verb(tmp_path, "list")["images"]) == 2


def test_what_can_not_be_taken_back_nor_marked_ends_no_run() -> None:
    """Packs go right after the commit, and the records are the operator's alone."""
    storage, disk, taken = MemoryStorage(), SmallDisk(24), []

    class Robbed(Creating):
        def put(
            self, path: str, data: Iterable[bytes], *, replace: bool = False, deadline: Optional[Deadline] = None
        ) -> int:
            if "/%s/" % fmt.RECORDS in path:
                self._refuse("putting", path)
            size_bytes = super().put(path, data, replace=replace, deadline=deadline)
            if path.endswith("/" + fmt.MANIFEST_NAME) and not taken:
                taken.extend(one for one in storage.files if "/packs/" in one)
                del storage.files[taken[0]]
            return size_bytes

    result = run_image(Robbed(storage, []), disk)
    assert taken
    assert DeviceDirectory(storage, DEVICE).images()[0].image != result.image
    check_all(storage, {result.image: disk.expected()})
