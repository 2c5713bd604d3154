# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks on open files, which end with the process that took them, however it ends (Windows) [LockFile].

A lock of Windows keeps others from reading the bytes that it covers: the byte lies far past the end of every document.
A process that is started does not inherit it, so a second byte serves while a lock passes to another process: the new one
takes the second byte, the old one lets go of the first, and the new one takes that. The lock counts as held throughout.
It goes with the installer, so its syntax is that of Python 3.6.
"""

import time

from . import windows_calls

_PLACE_BYTES = 1 << 62
_NEXT_PLACE_BYTES = _PLACE_BYTES + 1
_STEP_SECONDS = 0.02


def lock_exclusive(descriptor: int) -> bool:
    """Take the lock of an open file without waiting; False when another process has it, or is about to take it over."""
    if not windows_calls.lock_byte(descriptor, _PLACE_BYTES):
        return False
    if is_passing(descriptor):
        windows_calls.unlock_byte(descriptor, _PLACE_BYTES)
        return False
    return True


def is_locked(descriptor: int) -> bool:
    """Whether a process holds the lock that :func:`lock_exclusive` takes. A look holds it for a moment, shared."""
    return _is_taken(descriptor, _PLACE_BYTES) or is_passing(descriptor)


def is_passing(descriptor: int) -> bool:
    """Whether a process takes the lock over from another one at this moment."""
    return _is_taken(descriptor, _NEXT_PLACE_BYTES)


def take_over(descriptor: int, seconds: float) -> bool:
    """Take the lock over from the process that started this one and holds it; False when it does not let go in time."""
    deadline = time.monotonic() + seconds
    for place in (_NEXT_PLACE_BYTES, _PLACE_BYTES):
        while not windows_calls.lock_byte(descriptor, place):
            if time.monotonic() > deadline:
                return False
            time.sleep(_STEP_SECONDS)
    windows_calls.unlock_byte(descriptor, _NEXT_PLACE_BYTES)
    return True


def _is_taken(descriptor: int, place_bytes: int) -> bool:
    if not windows_calls.lock_byte(descriptor, place_bytes, False):
        return True
    windows_calls.unlock_byte(descriptor, place_bytes)
    return False
