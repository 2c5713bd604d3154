# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Foreign texts as sentences show them."""

from __future__ import annotations

_MAX_SHOWN = 300


def shown(text: str) -> str:
    """A text from a storage or a device, made fit for a terminal."""
    return "".join(one if one.isprintable() else "?" for one in text[:_MAX_SHOWN])
