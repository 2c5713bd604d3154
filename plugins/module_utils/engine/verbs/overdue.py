# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Warns of a run that will not end in time, with the reason and the setting that changes it."""

from __future__ import annotations

from typing import NamedTuple, Optional

from ..image.writing.waiting import Waited
from .window import Window

DAY_SECONDS = 86400.0
_SURE_SECONDS = 60.0  # an estimate of the first seconds is a guess
_SHARE = 0.3  # of the time so far: a wait that long is the reason
_NEAR = 0.8  # of a limit: a rate that high is held down by it


class Pace(NamedTuple):
    """The limits of a run. Rates are bytes a second, 0 for no limit; ``read_limit`` is None for ``auto``."""

    read_limit: Optional[float]
    floor: float
    io_limit: float
    window: Optional[Window] = None

    @property
    def due_seconds(self) -> float:
        """After this time from its start a run is late."""
        return min(DAY_SECONDS, self.window.left_seconds) if self.window is not None else DAY_SECONDS


class Progress(NamedTuple):
    """How far a run is: seconds since it began reading, bytes read, to read, and sent."""

    seconds: float
    done: int
    total: int
    stored: int


def overdue(pace: Pace, at: Progress, waited: Waited, before_seconds: float = 0.0) -> Optional[str]:
    """Return the warning, or None for a run that ends within its window and a day.

    :param before_seconds: the time until it began to read.
    """
    if at.seconds < _SURE_SECONDS or at.done >= at.total:
        return None
    rate = max(at.done, 1) / at.seconds
    whole_seconds = before_seconds + at.seconds + (at.total - at.done) / rate
    if whole_seconds <= pace.due_seconds:
        return None
    passed = "longer than a day"
    if pace.window is not None and whole_seconds <= DAY_SECONDS:
        over = _long(whole_seconds - pace.window.left_seconds)
        passed = "until %s after the end of imaging_window (%s); it continues" % (over, pace.window.hours)
    return "The run reads %.1f MB/s and will take about %s, %s. %s" % (
        rate / 1e6,
        _long(whole_seconds),
        passed,
        _reason(pace, at, waited),
    )


def _reason(pace: Pace, at: Progress, waited: Waited) -> str:
    processor = (waited.processor or 0.0) / at.seconds
    disk = waited.disk / at.seconds
    if pace.read_limit and at.done / at.seconds >= _NEAR * pace.read_limit:
        return "imaging_limit_read_rate is %g MB/s; raise it, or set it to auto." % (pace.read_limit / 1e6)
    if pace.io_limit and at.stored / at.seconds >= _NEAR * pace.io_limit:
        return "imaging_limit_io_rate is %g MB/s; raise it." % (pace.io_limit / 1e6)
    if processor >= _SHARE and processor >= disk:
        return (
            "Other programs use the processors: the run waited for a processor for %d %% of the time. No setting changes that. "
            "Start it when the device is less busy, or image less (imaging_drives, imaging_exclude)."
        ) % min(100, round(100 * processor))
    if disk >= _SHARE:
        return (
            "Other programs use the disk, and imaging_limit_read_rate: auto leaves it to them for %d %% of the time. Raise "
            "imaging_limit_read_rate_floor (%g MB/s), or start the run when the device is less busy."
        ) % (min(100, round(100 * disk)), pace.floor / 1e6)
    return (
        "No limit of this collection is the reason: the disk, the connection or the storage is slow. storage_check measures "
        "the storage; imaging_drives and imaging_exclude make the image smaller."
    )


def _long(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    if minutes < 100:
        return "%d min" % minutes
    hours = round(seconds / 3600)
    return "%d h" % hours if hours < 48 else "%d days" % round(seconds / 86400)
