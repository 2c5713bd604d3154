# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes and foreign texts as sentences show them."""

from __future__ import annotations

_MAX_SHOWN = 300


def size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return "%d %s" % (count, unit) if unit == "bytes" else "%.1f %s" % (count, unit)
        count /= 1000
    return "%.1f TB" % count


def shown(text: str) -> str:
    """A text from a storage or a device, made fit for a terminal."""
    return "".join(one if one.isprintable() else "?" for one in text[:_MAX_SHOWN])
