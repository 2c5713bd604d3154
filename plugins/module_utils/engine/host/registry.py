# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry of Windows as its readers offer it: keys by their path, values, names below, the last change.

``host/windows_registry.py`` reads the registry of the running system; a test reads hives of other systems.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Dict, List, Union

Value = Union[str, int, bytes, List[str]]


class Registry(ABC):
    """The keys of a system. A path begins with SOFTWARE, SYSTEM, SAM, HARDWARE, or with USERS and the SID of a user.

    ``SYSTEM\\CurrentControlSet`` is the set of the running system, or that of the last start. A key that is not there has
    no values and no names. Each method raises PermissionError when the system refuses to show the key.
    """

    @abstractmethod
    def subkeys(self, path: str) -> List[str]:
        """The names of the keys below ``path``."""

    @abstractmethod
    def values(self, path: str) -> Dict[str, Value]:
        """The values of the key by their names, "" for the default value. Kinds of values that are not known are excluded."""

    @abstractmethod
    def written(self, path: str) -> int:
        """When the key was changed, in units of 100 ns since 1601; 0 when it is not there."""
