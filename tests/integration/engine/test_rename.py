# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renaming a device's directory on real storages: killed at any change and called again, and images that follow."""

from __future__ import annotations

import contextlib
from functools import partial

import pytest
from engine.device.identity import claim_directory, stored_identity
from engine.device.machine_identity import MachineIdentity
from engine.device.renaming import rename_directory
from engine.errors import LeaseHeld, RenameRefused
from engine.image.access import Passwords
from engine.image.upkeep.verify import verify_image
from engine.storage import lease as leases
from engine.storage.contract import Storage
from support.killing import Killed, kill
from support.refusing import failing
from support.small_runs import DEVICE, SmallDisk, make_small, run_image
from support.storage_factories import SharedServers
from support.storages import HookedStorage

MACHINE = MachineIdentity("11111111-2222-3333-4444-555555555555", "a" * 32)
OTHER = MachineIdentity("99999999-2222-3333-4444-555555555555", "b" * 32)
PASSWORD = "horse battery"
NEW = "hall2-pc"
CHANGES = ("put", "rename", "delete", "make_directory")
ALL_KINDS = ("directory", "sftp", "sftp_without_extensions", "sftp_proftpd", "sftp_proftpd_plain", "smb", "smb_2")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def made(storage: Storage, device: str, disk: SmallDisk) -> str:
    claim_directory(storage, device, MACHINE, adopt=False)
    return run_image(storage, disk, Passwords(password=PASSWORD), device=device).image


def is_whole(storage: Storage, device: str, image: str) -> bool:
    return verify_image(storage, device, image, "full", password=PASSWORD, record=False).ok


@pytest.mark.parametrize(
    ("name", "every"),
    [
        ("sftp", 4),
        pytest.param("smb", 4, marks=pytest.mark.long),
        *(pytest.param(name, 1, marks=pytest.mark.long) for name in ALL_KINDS),
    ],
)
def test_killed_at_any_change_and_called_again(
    name: str, every: int, shared_servers: SharedServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases.Lease, "_is_dead", lambda dummy_self, dummy_content: True)
    for at in range(0, 100, every):
        with shared_servers.storage(name) as (dummy_root, opener):
            storage, left, disk = opener(), [at], SmallDisk(12)
            first = made(storage, DEVICE, disk)
            with contextlib.suppress(Killed):
                rename_directory(HookedStorage(storage, partial(kill, CHANGES, left)), DEVICE, NEW, [PASSWORD])
            assert storage.exists(DEVICE) != storage.exists(NEW)
            rename_directory(storage, DEVICE, NEW, [PASSWORD])
            assert not storage.exists(DEVICE)
            assert stored_identity(storage, NEW) == MACHINE
            assert is_whole(storage, NEW, first)
            disk.write(1)
            second = made(storage, NEW, disk)
            assert is_whole(storage, NEW, second)
            assert rename_directory(storage, DEVICE, NEW, [PASSWORD]).is_done
        if left[0] >= 0:
            return
    pytest.fail("it has no end")


@pytest.mark.parametrize("name", ["sftp", *(pytest.param(one, marks=pytest.mark.long) for one in ALL_KINDS)])
def test_never_onto_another_directory_nor_beside_a_run(
    name: str, shared_servers: SharedServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases.Lease, "_is_dead", lambda dummy_self, dummy_content: False)
    with shared_servers.storage(name) as (dummy_root, opener):
        storage, other = opener(), opener()
        image = made(storage, DEVICE, SmallDisk(12))
        lease = leases.Lease(other, DEVICE, heartbeat_seconds=0.05)
        lease.acquire()
        try:
            with failing(LeaseHeld, device=DEVICE):
                rename_directory(storage, DEVICE, NEW, [PASSWORD])
        finally:
            lease.release()

        def claim(moment: str, operation: str, path: str) -> None:
            if (moment, operation, path) == ("before", "rename", DEVICE):
                claim_directory(other, NEW, OTHER, adopt=False)

        with failing(RenameRefused, to=NEW):
            rename_directory(HookedStorage(storage, claim), DEVICE, NEW, [PASSWORD])
        assert is_whole(storage, DEVICE, image)
        assert stored_identity(storage, NEW) == OTHER
