# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks on open files, which end with the process that took them, however it ends (Windows) [LockFile].

A lock of Windows keeps others from reading the bytes that it covers: the byte lies far past the end of every document.
A process that is started does not inherit it. It goes with the installer, so its syntax is that of Python 3.6.
"""

from . import windows_calls

_PLACE_BYTES = 1 << 62


def lock_exclusive(descriptor: int) -> bool:
    """Take the lock of an open file without waiting; False when another process has it."""
    return windows_calls.lock_byte(descriptor, _PLACE_BYTES)


def is_locked(descriptor: int) -> bool:
    """Whether a process holds the lock that :func:`lock_exclusive` takes. A look holds it for a moment."""
    if not windows_calls.lock_byte(descriptor, _PLACE_BYTES):
        return True
    windows_calls.unlock_byte(descriptor, _PLACE_BYTES)
    return False
