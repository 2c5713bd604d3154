# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The requests of the verbs that work on device documents: compare, history."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..image.access import Passwords
from .request_parts import StorageSettings


class CompareRequest(NamedTuple):
    """Compare the device document of an image with that of another image, or with a given one."""

    device: str
    storage: StorageSettings
    check: bool
    passwords: Passwords
    job: Optional[str]
    image: str
    against: str  # previous, baseline, or the name of an image
    document: Optional[Dict[str, Any]]  # takes the place of the later image
    compare_ignore: List[str]
    unused: Tuple[str, ...] = ()


class HistoryRequest(NamedTuple):
    """Commit the device document of an image to a Git repository of this machine."""

    device: str
    storage: StorageSettings
    check: bool
    passwords: Passwords
    job: Optional[str]
    image: str
    repository: str
    unused: Tuple[str, ...] = ()
