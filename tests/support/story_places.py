# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the stories of the model take place, and a storage that is cut off in the middle of one."""

from __future__ import annotations

from typing import Callable, MutableMapping

from engine.storage.contract import Storage

from .storages import HookedStorage, Killed, MemoryStorage


class KillableStorage(HookedStorage):
    """After the kill nothing reaches the storage any more, as when the process is gone."""

    def __init__(self, inner: Storage, kill_at: int, cut: Callable[[], None]) -> None:
        super().__init__(inner, self._step)
        self._left = kill_at
        self._cut = cut

    def _step(self, *dummy: object) -> None:
        self._left -= 1
        if self._left <= 0:
            self._cut()
            raise Killed


class MemoryPlace:
    """Where a story's images live. ``files`` is what is stored, to look at and to change from outside."""

    def __init__(self) -> None:
        self.storage = MemoryStorage()

    @property
    def files(self) -> MutableMapping[str, bytes]:
        return self.storage.files  # another mapping after each rename of a directory

    def killable(self, moment: int) -> Storage:
        return KillableStorage(self.storage, moment, self.cut)

    def cut(self) -> None:
        """What is in memory needs no line that could be cut."""

    def pass_days(self, days: int) -> None:
        """What is in memory has no clock."""

    def close(self) -> None:
        """Nothing is held open."""
