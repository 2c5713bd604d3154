# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells of the write filters of a Windows in its description: those that protect a volume of a disk, or do not tell."""

from __future__ import annotations

from typing import Any, Dict, List

from ..host.windows_write_filters import filters_of
from ..snapshot.vss.filtered import Ask, active, letter_of, words


def with_filters(information: Dict[str, Any], ask: Ask = filters_of) -> Dict[str, Any]:
    """The description with ``write_filters`` (filter, volume, whether it protects it) and ``warnings`` about them."""
    found: List[Dict[str, Any]] = []
    warnings: List[str] = []
    letters = [letter_of(volume.get("mount_points") or []) for volume in information.get("volumes", [])]
    for letter in dict.fromkeys(filter(None, letters)):
        for one in active(letter, ask):
            found.append({"filter": one.kind, "volume": letter, "protects": one.protects})
            warnings.append(words(one, letter))
    return dict(information, write_filters=found, warnings=warnings)
