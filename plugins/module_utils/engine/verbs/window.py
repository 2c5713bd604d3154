# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hours in which images are to be made, and how much of them is left for a run."""

from __future__ import annotations

import datetime
import math
import re
from typing import NamedTuple, Optional

_HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_DAY_SECONDS = 86400
_TIMESTAMP = "%Y-%m-%d_%H-%M-%S"


class Window(NamedTuple):
    """The setting, and the seconds from the start of the run to the end; infinite for a run that starts outside of it."""

    hours: str
    left_seconds: float


def window_at(hours: str, timestamp: str) -> Optional[Window]:
    """Return the window of a run that starts at ``timestamp``, or None if ``hours`` is empty.

    :raises ValueError: when ``hours`` is not such as ``22:00-05:00``.
    """
    if not hours:
        return None
    match = _HOURS.fullmatch(hours)
    if match is None:
        raise ValueError("it is not such as 22:00-05:00")
    from_hour, from_minute, to_hour, to_minute = map(int, match.groups())
    begin, end = 3600 * from_hour + 60 * from_minute, 3600 * to_hour + 60 * to_minute
    if begin == end:
        raise ValueError("it ends when it begins")
    started = datetime.datetime.strptime(timestamp, _TIMESTAMP)
    now = 3600 * started.hour + 60 * started.minute + started.second
    length, passed = (end - begin) % _DAY_SECONDS, (now - begin) % _DAY_SECONDS
    return Window(hours, float(length - passed) if passed < length else math.inf)
