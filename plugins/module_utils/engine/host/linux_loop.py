# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A range of a file or disk as a block device, which the kernel removes when the last program closes it.

Structures: linux/loop.h. The kernel detaches the device even when this process is killed, so that no later run finds the
range in use: since Linux 5.8 one call attaches the range with that property. Older kernels take three calls, and a process
that is killed between them leaves a device attached.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import struct
import time
from types import ModuleType
from typing import Iterator, NamedTuple, Union

_CONTROL = "/dev/loop-control"
_CTL_GET_FREE = 0x4C82
_SET_FD, _CLR_FD, _SET_STATUS64, _SET_BLOCK_SIZE, _CONFIGURE = 0x4C00, 0x4C01, 0x4C04, 0x4C09, 0x4C0A
_AUTOCLEAR = 4
_INFO = struct.Struct("=QQQQQIIII64s64s32sQQ")
_CONFIG = struct.Struct("=II%ds64x" % _INFO.size)
# How a kernel before 5.8, or the filter of a container, says that it does not know the call.
_UNKNOWN_CALL = (errno.EINVAL, errno.ENOTTY, errno.ENOSYS)
_TRIES = 50
_PAUSE_SECONDS = 0.1


def can_attach() -> bool:
    """Whether this process may attach loop devices, and sees the next free one: a container has only some of the nodes."""
    if not os.access(_CONTROL, os.R_OK | os.W_OK) or os.geteuid() != 0:
        return False
    try:
        control = os.open(_CONTROL, os.O_RDWR | os.O_CLOEXEC)
        try:
            number = importlib.import_module("fcntl").ioctl(control, _CTL_GET_FREE)
        finally:
            os.close(control)
    except OSError:
        return False
    return os.path.exists("/dev/loop%d" % number)


@contextlib.contextmanager
def attached(descriptor: int, start_bytes: int, length_bytes: int, sector_bytes: int = 512) -> Iterator[str]:
    """Attach a range of what ``descriptor`` has open, for reading and writing; yield the path of the device.

    :raises OSError: when the system has no loop device for us.
    """
    fcntl = importlib.import_module("fcntl")
    path, loop = _attach(fcntl, _Range(descriptor, start_bytes, length_bytes, sector_bytes))
    try:
        yield path
        os.fsync(loop)
    finally:
        with contextlib.suppress(OSError):
            fcntl.ioctl(loop, _CLR_FD, 0)
        os.close(loop)


class _Range(NamedTuple):
    """A range of an open file or disk, and the size of its sectors."""

    descriptor: int
    start_bytes: int
    length_bytes: int
    sector_bytes: int

    def info(self, flags: int) -> bytes:
        """The kernel's ``loop_info64``."""
        return _INFO.pack(0, 0, 0, self.start_bytes, self.length_bytes, 0, 0, 0, flags, b"", b"", b"", 0, 0)


def _configure(fcntl: ModuleType, loop: int, wanted: _Range) -> None:
    """Attach, in one call where the kernel has it.

    :raises OSError: EBUSY when another process has the device.
    """
    try:
        fcntl.ioctl(loop, _CONFIGURE, _CONFIG.pack(wanted.descriptor, wanted.sector_bytes, wanted.info(_AUTOCLEAR)))
        return
    except OSError as error:
        if error.errno not in _UNKNOWN_CALL:
            raise
    fcntl.ioctl(loop, _SET_FD, wanted.descriptor)
    try:
        _set(fcntl, loop, _SET_STATUS64, wanted.info(0))
        if wanted.sector_bytes != 512:
            _set(fcntl, loop, _SET_BLOCK_SIZE, wanted.sector_bytes)
        # Only now: a device that clears itself does so when the first probe of the system closes it.
        _set(fcntl, loop, _SET_STATUS64, wanted.info(_AUTOCLEAR))
    except OSError:
        with contextlib.suppress(OSError):
            fcntl.ioctl(loop, _CLR_FD, 0)
        raise


def _set(fcntl: ModuleType, loop: int, request: int, value: Union[bytes, int]) -> None:
    """Change a device that was just attached. Until Linux 5.17 that fails while a probe of the system (udev) has pages of it
    in memory, as losetup knows [util-linux, loopdev.c]."""
    for left in reversed(range(_TRIES)):
        try:
            fcntl.ioctl(loop, request, value)
            return
        except OSError as error:
            if error.errno != errno.EAGAIN or not left:
                raise
        time.sleep(_PAUSE_SECONDS)


def _attach(fcntl: ModuleType, wanted: _Range) -> tuple[str, int]:
    control = os.open(_CONTROL, os.O_RDWR | os.O_CLOEXEC)
    try:
        for dummy in range(_TRIES):
            path = "/dev/loop%d" % fcntl.ioctl(control, _CTL_GET_FREE)
            loop = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                _configure(fcntl, loop, wanted)
            except OSError as error:
                os.close(loop)
                if error.errno == errno.EBUSY:
                    continue  # another process was faster
                raise
            return path, loop
    finally:
        os.close(control)
    raise OSError(errno.EBUSY, "every free loop device was taken by another process")
