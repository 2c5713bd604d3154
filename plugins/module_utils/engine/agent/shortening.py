# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the result of a run small: a rollover may name every pack of a plant."""

from __future__ import annotations

from typing import Any

MAX_NAMES = 1000


def shorten_names(value: Any) -> Any:
    """Return a copy of ``value`` (a JSON document) in which every list of texts has at most ``MAX_NAMES`` entries.

    The last one of a list that was longer says how many more there are.
    """
    if isinstance(value, dict):
        return {name: shorten_names(child) for name, child in value.items()}
    if not isinstance(value, list):
        return value
    if len(value) > MAX_NAMES and all(isinstance(one, str) for one in value):
        return [*value[: MAX_NAMES - 1], "... and %d more" % (len(value) - MAX_NAMES + 1)]
    return [shorten_names(child) for child in value]
