# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names that the disk of an image has from its maker, on every system."""

from __future__ import annotations

import sys
from typing import NamedTuple

from ..host.stack import BlockTree
from ..host.windows_disks import facts_of, number_in
from .disks import identify, model_of
from .windows_disks import disk_of


class Hardware(NamedTuple):
    """``stable_id`` and ``model``: "" where the disk does not tell, and for an image file."""

    stable_id: str
    model: str


def hardware_of(path: str) -> Hardware:
    """Ask for the disk with this name."""
    if sys.platform == "win32":
        number = number_in(path)
        if number is None:
            return Hardware("", "")
        disk = disk_of(facts_of(number))
        return Hardware(disk.stable_id, disk.model)
    if not path.startswith("/dev/"):
        return Hardware("", "")
    tree = BlockTree()
    name = tree.by_path(path)
    serial, wwn = identify(tree, name)
    return Hardware("wwn:" + wwn if wwn else "serial:" + serial if serial else "", model_of(tree, name))
