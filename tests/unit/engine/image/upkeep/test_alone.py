# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that must not meet a run holds the lease, and gives it back however it ends."""

from __future__ import annotations

import pytest
from engine.errors import EngineError, LeaseHeld, StorageFull
from engine.image.device_directory import DeviceDirectory
from engine.image.upkeep.alone import alone
from engine.storage.lease import Lease
from support.refusing import failing
from support.storages import HookedStorage, MemoryStorage

LEASE = "pc/lease.json"


@pytest.fixture
def directory() -> DeviceDirectory:
    made = DeviceDirectory(MemoryStorage(), "pc")
    made.create()
    return made


def test_the_lease_is_held_and_given_back(directory: DeviceDirectory) -> None:
    with alone(directory) as lease:
        assert lease.is_permitted
        assert directory.storage.exists(LEASE)
    assert not directory.storage.exists(LEASE)
    with pytest.raises(EngineError), alone(directory):
        raise EngineError(reason="it fails")
    assert not directory.storage.exists(LEASE)


def test_a_run_keeps_it_away(directory: DeviceDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lease, "_is_dead", lambda dummy_self, dummy_content: False)
    other = Lease(directory.storage, "pc", heartbeat_seconds=0.05)
    other.acquire()
    try:
        with failing(LeaseHeld, device="pc"), alone(directory):
            pytest.fail("it was entered")
    finally:
        other.release()


def test_a_full_storage_is_told_as_such(directory: DeviceDirectory) -> None:
    def full(moment: str, operation: str, path: str) -> None:
        if (moment, operation) == ("before", "put"):
            raise StorageFull(storage="memory", path=path)

    with failing(StorageFull, path=LEASE), alone(DeviceDirectory(HookedStorage(directory.storage, full), "pc")):
        pytest.fail("it was entered")
