# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a shadow copy. The loss of one is a separate error, never other bytes."""

from __future__ import annotations

from ...disk.raw_source import RawSource
from ...errors import DiskUnreadable, EngineError, ShadowCopyLost
from .copies import ShadowCopies
from .interface import Shadow


class ShadowSource(RawSource):
    """A volume as it was when its set was made."""

    def __init__(self, shadow: Shadow, made: ShadowCopies, name: str) -> None:
        super().__init__(shadow.device)
        self._shadow = shadow
        self._set = made
        self._name = name

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        """:raises ShadowCopyLost: when Windows gave its room to writes that came since."""
        try:
            return super().read(offset_bytes, length_bytes)
        except DiskUnreadable as error:
            raise self._explained(error) from error

    def read_into(self, offset_bytes: int, buffer: memoryview) -> None:
        """:raises ShadowCopyLost: as :meth:`read`."""
        try:
            super().read_into(offset_bytes, buffer)
        except DiskUnreadable as error:
            raise self._explained(error) from error

    def _explained(self, error: DiskUnreadable) -> EngineError:
        reason = self._set.is_lost(self._shadow)
        return ShadowCopyLost(volume=self._name, reason=reason) if reason else error
