# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds a device's lease for work that must not meet a run."""

from __future__ import annotations

import contextlib
from typing import Iterator

from ...storage.lease import Lease
from ..device_directory import DeviceDirectory

LEASE_SECONDS = 90.0


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
