# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens what a name of a restore's map stands for: a plain file, a block device, or a disk of Windows."""

from __future__ import annotations

import sys

from ..host.windows_names import NameKind, kind_of_name
from .target import Target


def open_target(path: str) -> Target:
    """Look at a target; nothing is created or changed. :raises RestoreError: for what can't be one."""
    if sys.platform == "win32" and kind_of_name(path) is NameKind.DISK:
        from .windows_target import WindowsDiskTarget

        return WindowsDiskTarget(path)
    return Target(path)
