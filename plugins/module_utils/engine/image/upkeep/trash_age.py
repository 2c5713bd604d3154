# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long something has been in the trash, by two clocks: that of the host that rolls over, and that of the storage.

A name in the trash holds the time by the clock of the host that moved the file. Another host's clock may be weeks ahead
or behind, so there is a second witness: beside each file that a rollover puts into the trash it stores a stamp, an
empty file, and the storage reports when that was written. A file without a stamp gets one, and its age counts from
there.

Where both clocks do not agree, three images that were made since are as good as the storage's day.
"""

from __future__ import annotations

import contextlib
import re
from typing import Dict, List, NamedTuple, Optional, Set

from ...entries import EntryKind
from ...errors import StorageExists, StorageFull, StorageNotFound
from ...names import is_valid_name
from ...storage.contract import PARTIAL_SUFFIX
from ..device_directory import DeviceDirectory
from ..format import constants as fmt

TRASH_SECONDS = 24 * 3600
_IMAGES_SINCE = 3
_MOST_STAMPS = 1 << 14  # stamps and partial files that one rollover looks at
_MOST_SECONDS = 1 << 16
_UNKNOWN = float("inf")  # of what another rollover took away in this moment: it counts as young
_SECONDS = re.compile(r"\d{1,12}", re.ASCII)
_STAMP = re.compile(r"(\d{1,12})\.(\d{1,12})\.stamp", re.ASCII)


class _Stamp(NamedTuple):
    file_name: str
    since_seconds: int
    sequence: int  # of the newest image when it was stored


class _Seconds:
    """Moments that are named by something in the trash. Of a flood all moments count as named."""

    def __init__(self) -> None:
        self._known: Set[int] = set()

    def add(self, seconds: int) -> None:
        if len(self._known) <= _MOST_SECONDS:
            self._known.add(seconds)

    def __contains__(self, seconds: object) -> bool:
        return seconds in self._known or len(self._known) > _MOST_SECONDS


class TrashAges:
    """The ages of the files in a device's trash, for one rollover. Files whose age is not read cost only one listing."""

    def __init__(self, directory: DeviceDirectory, newest: int, now_seconds: int, *, dry_run: bool) -> None:
        self._directory = directory
        self._newest = newest
        self.now_seconds = now_seconds
        self._dry_run = dry_run
        self._stamps: Optional[Dict[int, _Stamp]] = None
        self._times: Dict[int, Optional[float]] = {}
        self._used = _Seconds()
        self._partial: List[str] = []

    def is_from_ahead(self, since_seconds: int) -> bool:
        """Whether a clock that was far ahead put it there."""
        return since_seconds > self.now_seconds + TRASH_SECONDS

    def is_old(self, since_seconds: int) -> bool:
        """Whether what came at ``since_seconds`` has been there for a day, by both clocks."""
        if since_seconds + TRASH_SECONDS > self.now_seconds:
            return False
        stamp = self._all().get(since_seconds)
        if stamp is None:
            stored = self._stamp(since_seconds)
            return stored and self._time_of(since_seconds) is None  # a storage that has no clock to ask
        if stamp.sequence + _IMAGES_SINCE <= self._newest:
            return True
        then, now = self._time_of(since_seconds), self._storage_seconds()
        return then is None or now is None or then + TRASH_SECONDS <= now

    def forget(self) -> None:
        """At the end: stamp the files that this rollover put there, and delete the stamps of deleted ones."""
        self._stamps = None
        stamps = list(self._all().values())
        if self.now_seconds in self._used:
            self._stamp_now()
        gone = [one.file_name for one in stamps if one.since_seconds not in self._used]
        for name in gone + self._partial:
            with contextlib.suppress(StorageNotFound):  # another rollover was quicker
                self._directory.storage.delete(self._directory.path(fmt.TRASH, name))

    def _all(self) -> Dict[int, _Stamp]:
        if self._stamps is None:
            self._used = _Seconds()
            left = [_MOST_STAMPS]

            def wanted(name: str) -> bool:
                tail = name.rpartition(".")[2]
                if _SECONDS.fullmatch(tail):
                    self._used.add(int(tail))
                is_ours = tail == "stamp" or (name.endswith(PARTIAL_SUFFIX) and is_valid_name(name))
                left[0] -= is_ours
                return is_ours and left[0] >= 0

            entries = self._directory.listed(self._directory.path(fmt.TRASH), wanted, _MOST_STAMPS)
            files = [one.name for one in entries if one.kind is EntryKind.FILE]
            self._partial = [name for name in files if name.endswith(PARTIAL_SUFFIX)]
            matches = [(name, _STAMP.fullmatch(name)) for name in files]
            found = [_Stamp(name, int(match.group(1)), int(match.group(2))) for name, match in matches if match]
            self._stamps = {stamp.since_seconds: stamp for stamp in sorted(found, reverse=True)}
        return self._stamps

    def _stamp(self, since_seconds: int) -> bool:
        if self._dry_run:
            return True
        stamp = _Stamp("%d.%d.stamp" % (since_seconds, self._newest), since_seconds, self._newest)
        try:
            self._directory.storage.put(self._directory.path(fmt.TRASH, stamp.file_name), [b""])
        except (StorageExists, StorageNotFound):
            pass  # another rollover of this very second
        except StorageFull:
            return False  # its age counts from a later rollover: this one deletes images and makes room
        self._all()[since_seconds] = stamp
        return True

    def _stamp_now(self) -> None:
        if self.now_seconds not in self._all():
            self._stamp(self.now_seconds)

    def _time_of(self, since_seconds: int) -> Optional[float]:
        """When a stamp was written, by the storage's clock."""
        if since_seconds not in self._times:
            stamp = self._all().get(since_seconds)
            try:
                path = self._directory.path(fmt.TRASH, stamp.file_name) if stamp else self._directory.path(fmt.TRASH)
                self._times[since_seconds] = self._directory.storage.modified_seconds(path)
            except StorageNotFound:
                self._times[since_seconds] = _UNKNOWN
        return self._times[since_seconds]

    def _storage_seconds(self) -> Optional[float]:
        """The storage's time now: that of a stamp which was written just now."""
        if self._dry_run:
            times = [self._time_of(since) for since in self._all()]
            return max((time for time in times if time is not None), default=None)
        self._stamp_now()
        now = self._time_of(self.now_seconds)
        return 0.0 if now == _UNKNOWN else now
