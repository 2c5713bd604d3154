# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives free ranges of a disk or file back to the system, or zeroes them (Linux).

A disk: the requests BLKDISCARD and BLKZEROOUT [linux/fs.h; Documentation/ABI/stable/sysfs-block: queue/discard_*]. A file: a hole [fallocate(2),
FALLOC_FL_PUNCH_HOLE], which reads as zeros.
"""

from __future__ import annotations

import ctypes
import errno
import importlib
import os
import struct
import tempfile
from typing import NamedTuple

from .linux_stack import BlockTree

_BLKDISCARD, _BLKZEROOUT = 0x1277, 0x127F
_RANGE = struct.Struct("=QQ")
_KEEP_SIZE, _PUNCH_HOLE = 1, 2
_TRIED_BYTES = 64 << 10
# A device, or a kernel, that does not know the request, or not for a range of this alignment.
_UNKNOWN = (errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL, errno.ENOSYS)


class Discarding(NamedTuple):
    """How a target discards: in units of so many bytes, or the reason why it can't."""

    unit_bytes: int
    why_not: str


def discarding_of_device(path: str, tree: BlockTree) -> Discarding:
    """Ask the kernel about a block device; the queue of a partition is that of its disk."""
    try:
        number = os.stat(path).st_rdev
    except OSError as error:
        return Discarding(0, error.strerror or str(error))
    name = tree.by_number("%d:%d" % (os.major(number), os.minor(number)))
    disk = tree.parent(name) if name and tree.is_partition(name) else name
    unit = tree.number(disk, "queue/discard_granularity") if disk else 0
    if not unit or not tree.number(disk, "queue/discard_max_bytes"):
        return Discarding(0, "the device does not support discard")
    return Discarding(unit, "")


def discarding_of_file(directory: str) -> Discarding:
    """Try it on a file without a name in the directory of the target: its file system decides."""
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(b"x" * _TRIED_BYTES)
            file.flush()
            discard(file.fileno(), False, 0, _TRIED_BYTES)
    except OSError as error:
        return Discarding(0, "the file system of %s can't punch holes: %s" % (directory, error.strerror))
    return Discarding(1, "")


def discard(descriptor: int, is_device: bool, start_bytes: int, length_bytes: int) -> None:
    """Discard a range. :raises OSError:"""
    if is_device:
        importlib.import_module("fcntl").ioctl(descriptor, _BLKDISCARD, _RANGE.pack(start_bytes, length_bytes))
        return
    library = ctypes.CDLL(None, use_errno=True)
    call = getattr(library, "fallocate64", None) or library.fallocate  # musl has no other name for it
    call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    if call(descriptor, _PUNCH_HOLE | _KEEP_SIZE, start_bytes, length_bytes):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def zero(descriptor: int, start_bytes: int, length_bytes: int) -> bool:
    """Have a block device zero a range; return whether it knows how to. :raises OSError: when it fails."""
    try:
        importlib.import_module("fcntl").ioctl(descriptor, _BLKZEROOUT, _RANGE.pack(start_bytes, length_bytes))
    except OSError as error:
        if error.errno in _UNKNOWN:
            return False
        raise
    return True
