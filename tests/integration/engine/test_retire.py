# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retiring a device on real storages: killed at any change and called again, beside a run, and by two hosts at once."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any, List

import pytest
from engine.errors import LeaseHeld, StorageFull, StorageNotFound
from engine.image.access import Passwords, openable_key
from engine.image.device_directory import DeviceDirectory
from engine.image.upkeep import alone
from engine.image.upkeep.retire import Retired, retire
from engine.image.upkeep.rollover import pin
from engine.image.upkeep.verify import verify_image
from engine.storage import lease as leases
from engine.storage.contract import Storage
from support.killing import Killed, kill
from support.refusing import failing
from support.small_runs import DEVICE, SmallDisk, make_small, run_image
from support.storage_factories import SharedServers
from support.storages import HookedStorage

PASSWORD = "horse battery"
DAYS = 2 * 24 * 3600
CHANGES = ("put", "rename", "delete", "make_directory", "remove_directory")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def made(storage: Storage, images: int) -> List[str]:
    disk, names = SmallDisk(12), []
    for dummy in range(images):
        disk.write(*range(disk.chunks))
        names.append(run_image(storage, disk, Passwords(password=PASSWORD)).image)
    return names


def listed(storage: Storage) -> List[str]:
    return [one.image for one in DeviceDirectory(storage, DEVICE).images()]


def gone(storage: Storage, **more: Any) -> Any:
    key = openable_key(DeviceDirectory(storage, DEVICE), PASSWORD)
    return retire(storage, DEVICE, more.pop("image", None), key=key, **more)


def is_whole(storage: Storage, image: str) -> bool:
    return verify_image(storage, DEVICE, image, "full", password=PASSWORD, record=False).ok


@pytest.mark.parametrize(
    ("name", "every"),
    [
        ("directory", 25),
        ("sftp", 40),
        pytest.param("smb", 25, marks=pytest.mark.long),
        *(
            pytest.param(name, 3, marks=pytest.mark.long)
            for name in ("sftp", "sftp_without_extensions", "sftp_proftpd_plain", "smb", "smb_2")
        ),
    ],
)
def test_killed_at_any_change_and_called_again(
    name: str, every: int, shared_servers: SharedServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases.Lease, "_is_dead", lambda dummy_self, dummy_content: True)
    for at in range(0, 1000, every):
        with shared_servers.storage(name) as (dummy_root, opener):
            storage, left = opener(), [at]
            names = made(storage, 3)
            pin(storage, DEVICE, names[1], True)
            with contextlib.suppress(Killed):
                gone(HookedStorage(storage, partial(kill, CHANGES, left)), purge=True)
            done = gone(storage, purge=True)
            assert listed(storage) == names[1:2]
            assert list(done.report.spared) == names[1:2]
            assert is_whole(storage, names[1])
            assert DeviceDirectory(storage, DEVICE).trash() == []
            pin(storage, DEVICE, names[1], False)
            assert gone(storage, purge=True).is_gone
            assert not storage.exists(DEVICE)
        if left[0] >= 0:
            return
    pytest.fail("it has no end")


@pytest.mark.parametrize("name", ["directory", "sftp", pytest.param("smb", marks=pytest.mark.long)])
def test_what_a_day_frees(name: str, shared_servers: SharedServers) -> None:
    with shared_servers.storage(name) as (root, opener):
        storage = opener()
        names = made(storage, 2)
        stored = sum(DeviceDirectory(storage, DEVICE).packs().values())
        first = gone(storage)
        assert (first.report.deleted, first.report.freed_bytes, first.is_gone) == (names, 0, False)
        assert first.report.trash.size_bytes == stored
        # This host's clock may be days ahead of the storage's.
        ahead = gone(storage, now=lambda: time.time() + DAYS)
        assert (ahead.report.freed_bytes, ahead.is_gone) == (0, False)
        _age_stamps(root)
        last = gone(storage, now=lambda: time.time() + DAYS)
        assert (last.report.freed_bytes, last.is_gone) == (stored, True)
        assert not storage.exists(DEVICE)


def _age_stamps(root: Path) -> None:
    old = time.time() - DAYS
    stamps = list(root.rglob("*.stamp"))
    assert stamps
    for path in stamps:
        os.utime(path, (old, old))


def full(moment: str, operation: str, dummy_path: str) -> None:
    if (moment, operation) == ("before", "put"):
        raise StorageFull(storage="the storage", path=DEVICE, state="nothing was uploaded yet")


@pytest.mark.parametrize("is_full", [False, True])
@pytest.mark.parametrize("name", ["directory", "sftp", pytest.param("smb", marks=pytest.mark.long)])
def test_beside_a_run_nothing_is_deleted(
    name: str, is_full: bool, shared_servers: SharedServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases.Lease, "_is_dead", lambda dummy_self, dummy_content: False)
    with shared_servers.storage(name) as (dummy_root, opener):
        storage, other = opener(), opener()
        names = made(storage, 2)
        lease = leases.Lease(other, DEVICE, heartbeat_seconds=0.05)
        lease.acquire()
        try:
            with failing(LeaseHeld, device=DEVICE):
                gone(HookedStorage(storage, full) if is_full else storage, purge=True)
        finally:
            lease.release()
        assert listed(storage) == names
        assert all(is_whole(storage, image) for image in names)


@pytest.mark.long
@pytest.mark.parametrize("name", ["sftp", "smb"])
def test_two_hosts_at_once(name: str, shared_servers: SharedServers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are of this machine, so their leases are told apart by their holders alone. One may find the directory removed."""
    monkeypatch.setattr(alone, "LEASE_SECONDS", 6.0)
    monkeypatch.setattr(leases.Lease, "_is_dead", lambda self, content: self._parse(content).get("released") is True)
    with shared_servers.storage(name) as (dummy_root, opener):
        made(opener(), 3)
        outcomes: List[Any] = []

        def one() -> None:
            try:
                outcomes.append(gone(opener(), purge=True))
            except (LeaseHeld, StorageNotFound) as error:
                outcomes.append(error)

        threads = [threading.Thread(target=one) for dummy in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
        assert not any(thread.is_alive() for thread in threads)
        assert len(outcomes) == 2
        assert any(isinstance(outcome, Retired) and outcome.is_gone for outcome in outcomes)
        assert not opener().exists(DEVICE)
