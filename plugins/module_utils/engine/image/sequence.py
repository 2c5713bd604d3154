# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The number of the next image: order is this number, never a clock."""

from __future__ import annotations

from typing import List, Optional

from ..errors import EngineError
from .directory import DeviceDirectory
from .keys import MasterKey
from .manifest import Manifest

_LIKELY = 1_000_000_000  # a run a minute for two thousand years


def next_sequence(
    directory: DeviceDirectory, images: List[Manifest], key: Optional[MasterKey], warnings: List[str]
) -> int:
    """One more than the newest image's number, and never one that a false manifest drove beyond what can be read."""
    believed = 0
    for known in images:
        if known.sequence <= _LIKELY or _is_proved(directory, known, key):
            believed = max(believed, known.sequence)
        else:
            warnings.append("The image %s has the impossible number %d." % (known.image, known.sequence))
    return believed + 1


def _is_proved(directory: DeviceDirectory, known: Manifest, key: Optional[MasterKey]) -> bool:
    try:
        return key is not None and directory.manifest(known.image, key).key_id == key.key_id
    except EngineError:
        return False
