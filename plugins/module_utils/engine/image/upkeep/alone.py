# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds a device's lease for work that must not meet a run."""

from __future__ import annotations

import contextlib
from typing import Iterator

from ...errors import StoragePermissionDenied
from ...storage.check import check_storage
from ...storage.lease import Lease
from ..device_directory import DeviceDirectory

LEASE_SECONDS = 90.0


def prove_permitted(directory: DeviceDirectory) -> None:
    """Prove with a separate file that this account may delete, rename and replace.

    :raises StoragePermissionDenied: when it may not. :raises StorageFull: when there is no room for the file.
    """
    storage = directory.storage
    permitted = check_storage(storage, directory.device, probe_bytes=1)
    if not (permitted.may_delete and permitted.may_rename and permitted.may_replace):
        operation = "deleting" if not permitted.may_delete else "renaming or replacing"
        raise StoragePermissionDenied(storage=storage.description, operation=operation, path=directory.device)


@contextlib.contextmanager
def alone(directory: DeviceDirectory) -> Iterator[Lease]:
    """Hold the device's lease in this block; ``is_permitted`` of it says whether this account can.

    :raises LeaseHeld: when a run lives. :raises StorageFull: when there is no room for the lease.
    """
    lease = Lease(directory.storage, directory.device, ttl_seconds=LEASE_SECONDS, heartbeat_seconds=LEASE_SECONDS / 6)
    lease.acquire(wait_seconds=LEASE_SECONDS * 1.5, gives_way=True)
    try:
        yield lease
    finally:
        lease.release()
