# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The number of a new version: taken by a directory that only one check-in can make, so that no two get the same one.

A check-in that was killed after it took a number leaves an empty directory. The holder of the lease takes that number over;
without a lease, as with an account that may only create, the number stays empty and the next version skips it.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Callable

from ...errors import ArchiveNumberTaken, StorageExists
from ..device_directory import DeviceDirectory
from ..format import constants as fmt
from .held import read_number
from .version_record import MAX_VERSION

_MOST_TRIES = 200
_PATIENCE_SECONDS = 20.0  # from taking a number or an image to its record are two small files


def take_number(
    directory: DeviceDirectory, first: int, *, holds_lease: bool, sleep: Callable[[float], None] = time.sleep
) -> int:
    """Return the first number from ``first`` on that is free now, and taken by this check-in.

    Without a lease another check-in may be about to store its record: it is waited for, so that the chain has one order.

    :raises ArchiveNumberTaken: when there is none.
    """
    for number in range(first, min(first + _MOST_TRIES, MAX_VERSION + 1)):
        try:
            directory.storage.make_directory(directory.path(fmt.VERSIONS, str(number)), exclusive=True)
            return number
        except StorageExists:
            if holds_lease and not read_number(directory, number):
                return number
        if not holds_lease:
            _wait(partial(read_number, directory, number), sleep)
    raise ArchiveNumberTaken(
        archive=directory.storage.description,
        device=directory.device,
        reason="the numbers from %d on are taken" % first,
    )


def _wait(is_done: Callable[[], bool], sleep: Callable[[float], None]) -> bool:
    for dummy in range(int(_PATIENCE_SECONDS)):
        if is_done():
            return True
        sleep(1.0)
    return is_done()


def take_image(
    directory: DeviceDirectory,
    image: str,
    is_version: Callable[[], bool],
    *,
    holds_lease: bool,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Take the image for this check-in; false where another one has made it a version.

    Without a lease two check-ins of one image may run at once: the one that comes second waits for the other's record.
    """
    try:
        directory.storage.make_directory(directory.path(fmt.VERSIONS, image), exclusive=True)
        return True
    except StorageExists:
        pass
    if holds_lease:
        return not is_version()
    return not _wait(is_version, sleep)  # where it does not appear the other one was killed
