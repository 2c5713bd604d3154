# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Grows or shrinks a volume, or gives it a new UUID, with the tools of its file system, and has it checked afterwards."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import Iterator, NamedTuple, Sequence

from ...errors import RestoreResizeFailed
from ...host.linux_loop import attached
from .tools import Ran, run_tool
from .volume import Volume

_FIXED = (0, 1)  # e2fsck: clean, or corrected


class Medium(NamedTuple):
    """The place of the volume: an open file or disk, and the volume's range in it."""

    disk: str
    target: str
    path: str  # of a file that holds nothing but the volume, "" for a part of a disk, which becomes a loop device
    descriptor: int
    start_bytes: int
    length_bytes: int
    sector_bytes: int


def resize(volume: Volume, medium: Medium, size_bytes: int) -> None:
    """Make the file system ``size_bytes`` long and check it.

    :raises RestoreResizeFailed: naming the tool and what it said.
    """
    try:
        if volume.is_ext and medium.path:
            _ext(volume, medium, medium.path, size_bytes)
            return
        with attached(medium.descriptor, medium.start_bytes, medium.length_bytes, medium.sector_bytes) as device:
            if volume.is_ext:
                _ext(volume, medium, device, size_bytes)
            elif volume.is_ntfs:
                _ntfs(volume, medium, device, size_bytes)
            else:
                _xfs(volume, medium, device)
    except OSError as error:
        raise _failed("The loop device", volume, medium, error.strerror or str(error)) from error


def _ext(volume: Volume, medium: Medium, place: str, size_bytes: int) -> None:
    block_bytes = volume.block_bytes
    keep = [medium.descriptor]
    _check(run_tool("e2fsck", "-f", "-p", place, keep_open=keep), "e2fsck", volume, medium, _FIXED)
    # Always with a size: the tool's own idea of the room is not the plan's.
    _check(run_tool("resize2fs", place, str(size_bytes // block_bytes), keep_open=keep), "resize2fs", volume, medium)
    _check(run_tool("e2fsck", "-f", "-n", place, keep_open=keep), "e2fsck", volume, medium)


def _ntfs(volume: Volume, medium: Medium, device: str, size_bytes: int) -> None:
    keep = [medium.descriptor]
    resized = run_tool("ntfsresize", "-f", "-f", "-P", "-s", str(size_bytes), device, keep_open=keep)
    _check(resized, "ntfsresize", volume, medium)
    _check(run_tool("ntfsresize", "-f", "-i", "-P", device, keep_open=keep), "ntfsresize", volume, medium)


def renew_id(volume: Volume, medium: Medium) -> str:
    """Give the file system a new UUID or serial number and check it; return "", or why it keeps the old one.

    A tool that refuses before it changes anything does not make the restore fail: the clone is complete, with an old UUID.

    :raises RestoreResizeFailed: naming the tool and what it said, when the file system is not whole afterwards.
    """
    is_attached = False
    try:
        with attached(medium.descriptor, medium.start_bytes, medium.length_bytes, medium.sector_bytes) as device:
            is_attached = True
            return (_renew_ext if volume.is_ext else _renew_ntfs)(volume, medium, device)
    except OSError as error:
        reason = error.strerror or str(error)
        if is_attached:
            raise _failed("The loop device", volume, medium, reason) from error
        return "there is no loop device: %s" % reason


def _renew_ext(volume: Volume, medium: Medium, device: str) -> str:
    keep = [medium.descriptor]
    checked = run_tool("e2fsck", "-f", "-p", device, keep_open=keep)
    if checked.status not in _FIXED:
        return _refusal("e2fsck", checked)
    renewed = run_tool("tune2fs", "-U", "random", device, keep_open=keep)
    _check(run_tool("e2fsck", "-f", "-n", device, keep_open=keep), "e2fsck", volume, medium)
    return _refusal("tune2fs", renewed) if renewed.status else ""


def _renew_ntfs(volume: Volume, medium: Medium, device: str) -> str:
    before = _boot_sector(device)
    # Forced: the volume was clean in the image, but ntfsresize has scheduled a check of it since.
    labelled = run_tool("ntfslabel", "-f", "--new-serial", device, keep_open=[medium.descriptor])
    if labelled.status and _boot_sector(device) != before:
        _check(labelled, "ntfslabel", volume, medium)
    return _refusal("ntfslabel", labelled) if labelled.status else ""


def _boot_sector(device: str) -> bytes:
    """Through the loop device: what a tool wrote to it may not have reached the target yet."""
    with open(device, "rb") as file:
        return file.read(512)


def _refusal(tool: str, ran: Ran) -> str:
    return "%s refused: exit status %d: %s" % (tool, ran.status, ran.last_words.replace(". ", "; ").rstrip("."))


def _xfs(volume: Volume, medium: Medium, device: str) -> None:
    """XFS grows only while it is mounted."""
    folder = tempfile.mkdtemp(prefix="plantops-grow-")
    try:
        _check(
            run_tool("mount", "-t", "xfs", "-o", "nosuid,nodev,noexec,nouuid", device, folder), "mount", volume, medium
        )
        try:
            grown = run_tool("xfs_growfs", "-d", folder)
        finally:
            left = run_tool("umount", folder)
        _check(grown, "xfs_growfs", volume, medium)
        _check(left, "umount", volume, medium)
    finally:
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def _check(ran: Ran, tool: str, volume: Volume, medium: Medium, good: Sequence[int] = (0,)) -> None:
    if ran.status not in good:
        raise _failed(tool, volume, medium, "exit status %d: %s" % (ran.status, ran.last_words))


def _failed(tool: str, volume: Volume, medium: Medium, reason: str) -> RestoreResizeFailed:
    reason = reason.replace(". ", "; ")
    return RestoreResizeFailed(
        tool=tool, partition=volume.number, disk=medium.disk, target=medium.target, reason=reason
    )


@contextlib.contextmanager
def scratch_file(directory: str, size_bytes: int) -> Iterator[int]:
    """A sparse file without a name: nothing of it remains, also after a kill, and no other user can open it.

    :raises OSError: when the directory can't hold it.
    """
    flags = getattr(os, "O_TMPFILE", 0)
    try:
        descriptor = os.open(directory, flags | os.O_RDWR | os.O_CLOEXEC, 0o600) if flags else -1
    except OSError:
        descriptor = -1  # a file system without unnamed files
    if descriptor < 0:
        descriptor, path = tempfile.mkstemp(dir=directory, prefix=".plantops-scratch-")
        os.unlink(path)
    try:
        os.ftruncate(descriptor, size_bytes)
        yield descriptor
    finally:
        os.close(descriptor)
