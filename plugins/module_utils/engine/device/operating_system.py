# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kind of operating system that a device runs, and whether it is the one that the inventory declares.

Sources: wProductType of OSVERSIONINFOEXW; the registry value ProductType (ProductOptions), which Windows itself protects from changes.
"""

from __future__ import annotations

import sys
from typing import Optional

from ..errors import OperatingSystemMismatch
from ..host import windows_calls
from ..host.windows_registry import RunningRegistry
from .document.windows.machine import kind_of_product

WORKSTATION, SERVER = KINDS = ("workstation", "server")
_PRODUCT_OPTIONS = r"SYSTEM\CurrentControlSet\Control\ProductOptions"
_BY_NUMBER = {1: WORKSTATION, 2: SERVER, 3: SERVER}


def found_kind() -> Optional[str]:
    """Return ``workstation`` or ``server`` if the system tells it: every Windows does, and no Linux."""
    if sys.platform != "win32":
        return None
    kind = _BY_NUMBER.get(windows_calls.product_type())
    if kind is not None:
        return kind
    try:
        word = RunningRegistry().values(_PRODUCT_OPTIONS).get("ProductType")
    except OSError:
        return None
    return kind_of_product(word) if isinstance(word, str) else None


def check_kind(declared: str) -> Optional[str]:
    """Return the kind of this system, as found or else as declared, if one of both is known.

    :param declared: the kind in the inventory, or "".
    :raises OperatingSystemMismatch: the system says another one.
    """
    found = found_kind()
    if declared and found is not None and found != declared:
        raise OperatingSystemMismatch(declared=declared, found=found)
    return found or declared or None
