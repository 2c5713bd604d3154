# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks on open files, which end with the last process that shares the open file description, however it ends [flock(2)].

It goes with the installer, so its syntax is that of Python 3.6.
"""


def lock_exclusive(descriptor: int) -> bool:
    """Take the lock of an open file without waiting; False when another process has it."""
    return _lock(descriptor, exclusive=True)


def is_locked(descriptor: int) -> bool:
    """Whether a process holds the lock that :func:`lock_exclusive` takes. Looking acquires it for a moment, shared."""
    return not _lock(descriptor, exclusive=False)


def _lock(descriptor: int, exclusive: bool) -> bool:
    import fcntl

    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
