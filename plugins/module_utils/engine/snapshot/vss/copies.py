# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The copies that a provider of shadow copies gives, until they are given back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Dict, List

from ..contract import VSS
from .interface import Shadow


class ShadowCopies(ABC):
    """``shadows`` has the copies by their volumes, ``remarks`` what a reader of the image should know of them, and ``how`` the word
    for them in the manifest."""

    how: ClassVar[str] = VSS

    def __init__(self) -> None:
        self.shadows: Dict[str, Shadow] = {}
        self.remarks: List[str] = []

    @abstractmethod
    def is_lost(self, shadow: Shadow) -> str:
        """Why a shadow copy can't be read any more, "" where Windows still has it."""

    @abstractmethod
    def close(self) -> List[str]:
        """Give the shadow copies back; return what failed."""
