# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moments of the engine, which are in UTC, as the clock on the controller's wall shows them.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import datetime

FORM = "%Y-%m-%dT%H:%M:%SZ"


def local_moment(moment: str) -> str:
    """Return ``2026-11-30 02:10`` for ``2026-11-30T01:10:00Z``; any other text stays as it is."""
    try:
        found = datetime.datetime.strptime(moment, FORM).replace(tzinfo=datetime.timezone.utc)
        return found.astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return moment
