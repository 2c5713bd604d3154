# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks on open files, on this system.

It goes with the installer, so its syntax is that of Python 3.6.
"""

import sys

if sys.platform == "win32":
    from .windows_locks import is_locked, lock_exclusive
else:
    from .linux_locks import is_locked, lock_exclusive

__all__ = ["is_locked", "lock_exclusive"]
