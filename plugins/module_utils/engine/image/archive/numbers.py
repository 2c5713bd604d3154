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
from itertools import islice
from typing import Callable

from ...entries import EntryKind
from ...errors import ArchiveNumberTaken, StorageExists
from ..device_directory import DeviceDirectory
from ..format import constants as fmt
from .held import numbers_occupied, without_record
from .version_record import MAX_VERSION

_MOST_TRIES = 200  # numbers that other check-ins take while this one tries
_PATIENCE_SECONDS = 20.0  # from taking a number or an image to its record are two small files


def take_number(
    directory: DeviceDirectory, first: int, *, holds_lease: bool, sleep: Callable[[float], None] = time.sleep
) -> int:
    """Return the first number from ``first`` on that is free now, and taken by this check-in.

    Without a lease other check-ins may be about to store their records: they are waited for, so that the chain has one
    order. All at once: an account that may create files can take as many numbers as an archive has.

    :raises ArchiveVersionsMany: for more numbers than any archive has. :raises ArchiveNumberTaken: when there is none.
    """
    occupied = numbers_occupied(directory)
    free = next((number for number in range(first, MAX_VERSION + 1) if number not in occupied), MAX_VERSION + 1)
    before = [number for number in range(first, free) if occupied[number] is EntryKind.DIRECTORY]
    begun = without_record(directory, before)
    if holds_lease:
        free = min(begun, default=free)  # of a check-in that was killed
    else:
        near = begun[-_MOST_TRIES:]
        _wait(lambda: not without_record(directory, near), sleep)
    others = (number for number in range(free, MAX_VERSION + 1) if number == free or number not in occupied)
    for number in islice(others, _MOST_TRIES):
        try:
            directory.storage.make_directory(directory.path(fmt.VERSIONS, str(number)), exclusive=True)
            return number
        except StorageExists:
            if holds_lease and without_record(directory, [number]):
                return number
        if not holds_lease:
            _wait(partial(_has_record, directory, number), sleep)
    raise ArchiveNumberTaken(
        archive=directory.storage.description,
        device=directory.device,
        reason="others took all numbers from %d on that were tried, in %s" % (free, directory.path(fmt.VERSIONS)),
    )


def _has_record(directory: DeviceDirectory, number: int) -> bool:
    return not without_record(directory, [number])


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
