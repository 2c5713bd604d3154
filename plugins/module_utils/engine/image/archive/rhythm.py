# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often an image becomes a version: ``30d``, ``4w``, ``12h``; measured by the names of the images."""

from __future__ import annotations

import datetime
import re
from typing import Optional

from ..newest import NAME_PATTERN
from .chain import Chain
from .version_record import Version

_EVERY = re.compile(r"([0-9]{1,5})([hdw])", re.ASCII)
_SECONDS = {"h": 3600, "d": 86400, "w": 7 * 86400}
_MOST_SLACK_SECONDS = 6 * 3600


def seconds_of(text: str) -> int:
    """Return what ``imaging_archive_every`` says in seconds; 0 for each run.

    :raises ValueError: when it is not written so.
    """
    if text in ("", "0"):
        return 0
    match = _EVERY.fullmatch(text)
    if match is None:
        raise ValueError
    return int(match.group(1)) * _SECONDS[match.group(2)]


def last_of_job(chain: Chain, job: str) -> Optional[Version]:
    """The newest version of a job."""
    found = [one.record.version for one in chain.links if one.record.version.job == job]
    return found[-1] if found else None


def is_due(image: str, last: Optional[Version], every_seconds: int) -> bool:
    """Whether ``image`` is old enough a successor of the last version. A run that begins somewhat earlier than the last
    one did is on time: a tenth of the rhythm, at most six hours."""
    if last is None or not every_seconds:
        return True
    slack = min(every_seconds / 10, _MOST_SLACK_SECONDS)
    return (_moment(image) - _moment(last.image)).total_seconds() >= every_seconds - slack


def _moment(image: str) -> datetime.datetime:
    try:
        return datetime.datetime.strptime(image, NAME_PATTERN)
    except ValueError:  # a name that no calendar has
        return datetime.datetime.min
