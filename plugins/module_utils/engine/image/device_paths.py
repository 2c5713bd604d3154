# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The paths of a device's files below its directory on a storage, and the names that are listed there."""

from __future__ import annotations

from typing import Callable, List, Optional

from ..entries import Entry
from ..errors import StorageNotFound, TooManyNames
from ..names import check_name, is_valid_name
from ..storage.contract import Storage
from ..storage.shared_connect import together

_MOST_NAMES = 1 << 16


class DevicePlace:
    """A device's directory by name. Holds no other state: every call asks the storage."""

    def __init__(self, storage: Storage, device: str) -> None:
        self.storage = storage
        self.device = check_name(device)

    def path(self, *names: str) -> str:
        return "/".join((self.device, *names))

    def lists(
        self, paths: List[str], wanted: Callable[[str], bool] = is_valid_name, most: Optional[int] = None
    ) -> List[List[Entry]]:
        return together(self.storage, lambda path: self.listed(path, wanted, most), paths)

    def listed(
        self, path: str, wanted: Callable[[str], bool] = is_valid_name, most: Optional[int] = None
    ) -> List[Entry]:
        """The entries of a directory whose names are ``wanted``, at most so many; none where there is no directory.

        :raises TooManyNames: when ``most`` is not given and there are too many to be held.
        """
        try:
            found = self.storage.list_some(path, wanted, _MOST_NAMES + 1 if most is None else most)
        except StorageNotFound:
            return []
        if most is None and len(found) > _MOST_NAMES:
            raise TooManyNames(path=path, most=_MOST_NAMES)
        return found
