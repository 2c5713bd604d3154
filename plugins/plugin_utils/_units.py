# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes, rates and durations as people read them.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

from ansible_collections.plantops.imaging.plugins.module_utils.engine.amounts import size

__all__ = ["duration", "rate", "size"]


def rate(bytes_per_second: int) -> str:
    """Return a rate for people: 0.4 MB/s, 120 MB/s."""
    return "%.*f MB/s" % (1 if bytes_per_second < 9.95e6 else 0, bytes_per_second / 1e6)


def duration(seconds: int) -> str:
    """Return a duration for people: 40 s, 12 min, 3 h 5 min."""
    if seconds < 100:
        return "%d s" % seconds
    minutes = (seconds + 30) // 60
    return "%d min" % minutes if minutes < 100 else "%d h %d min" % divmod(minutes, 60)
