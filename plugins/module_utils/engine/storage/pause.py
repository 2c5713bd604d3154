# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting that a cancelled run does not sit out."""

from __future__ import annotations

from typing import Callable

from ..errors import RunCancelled

_LONGEST_SLEEP_SECONDS = 0.2  # cancel is looked at this often


def pause(seconds: float, sleep: Callable[[float], None], cancelled: Callable[[], bool]) -> None:
    """Sleep so long, in short pieces.

    :raises RunCancelled: when the run is cancelled before or during the pause.
    """
    while seconds > 0:
        if cancelled():
            raise RunCancelled()
        part = min(seconds, _LONGEST_SLEEP_SECONDS)
        sleep(part)
        seconds -= part
