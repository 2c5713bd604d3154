# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries out a resizing: volumes are made smaller aside before the target is touched, and grown or given new ids on the target before it boots."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Callable, Iterator, Tuple

from ...disk.source import FileSource
from ...errors import RestoreScratchTooSmall
from ...image.reader import DiskReader
from . import boot_sectors
from .resizing import PartitionChange, Resizing
from .view import Aside
from .volume_tools import Medium, renew_id, resize, scratch_file

_STEP_BYTES = 1 << 20
Reached = Callable[[int, int], None]


def shrink_aside(resizing: Resizing, image: DiskReader, stack: ExitStack, reached: Reached) -> None:
    """Copy each volume that shrinks to the scratch directory, shrink it there and have it checked. The files go when ``stack`` ends.

    :raises RestoreResizeFailed: when the tool refuses: nothing is written to the target then.
    """
    for aside, change in zip(resizing.reader.asides, resizing.shrunk):
        if resizing.scratch is None:
            raise AssertionError("a volume shrinks without a scratch directory")
        old = change.volume.partition
        directory = resizing.scratch.directory
        try:
            descriptor = stack.enter_context(scratch_file(directory, old.length_bytes))
            for offset, data in _in_use(image, old.start_bytes, old.length_bytes, reached):
                os.pwrite(descriptor, data, offset)
            os.fsync(descriptor)
        except OSError as error:
            raise RestoreScratchTooSmall(
                directory=directory, partition=old.number, disk=resizing.disk, reason=error.strerror or str(error)
            ) from error
        path = "/proc/self/fd/%d" % descriptor
        medium = Medium(resizing.disk, resizing.target.path, path, descriptor, 0, old.length_bytes, 512)
        resize(change.volume, medium, change.length_bytes)
        _follow_move(descriptor, change, resizing.target.sector_bytes)
        os.ftruncate(descriptor, change.length_bytes)
        os.fsync(descriptor)
        source = FileSource(path, resizing.target.sector_bytes)
        stack.callback(_close, aside)
        aside.source = source


def _close(aside: Aside) -> None:
    """The plan outlives the scratch file: from here on the volume reads as zeros."""
    if aside.source is not None:
        aside.source.close()
        aside.source = None


def _in_use(image: DiskReader, start: int, length: int, reached: Reached) -> Iterator[Tuple[int, bytes]]:
    """The bytes of a volume that are in the image and not zero, by their offset in the volume."""
    in_use = image.streamed()
    for part in in_use.clipped(start, start + length):
        place = part.start_bytes
        while place < part.end_bytes:
            step = min(_STEP_BYTES, part.end_bytes - place)
            data = image.read(place, step)
            reached(place - start, length)
            if data.count(0) != len(data):
                yield place - start, data
            place += step


def _follow_move(descriptor: int, change: PartitionChange, sector_bytes: int) -> None:
    """The boot sectors of a volume that moves as well."""
    old = change.volume.partition.start_bytes
    if old == change.start_bytes:
        return
    os.ftruncate(descriptor, change.length_bytes)
    with FileSource("/proc/self/fd/%d" % descriptor, sector_bytes) as source:
        changed = boot_sectors.patches(source, old, change.start_bytes, sector_bytes)
    for place, data in changed:
        os.pwrite(descriptor, data, place)


def finish_in_place(resizing: Resizing, descriptor: int) -> None:
    """Grow the file systems on the target and give them new UUIDs, while its first sector still says that the restore is in progress.
    One that keeps its UUID is a warning.

    :raises RestoreResizeFailed: the target stays unbootable, and the same restore can be tried again.
    """
    for one in resizing.grown:
        resize(one.volume, _on_target(resizing, one, descriptor), one.length_bytes)
    file_systems = resizing.renewal.file_systems if resizing.renewal is not None else []
    places = {one.volume.number: one for one in resizing.partitions}
    for place, each in enumerate(file_systems):
        number = each.volume.number
        reason = renew_id(each.volume, _on_target(resizing, places[number], descriptor)) if each.is_new else ""
        if reason:
            file_systems[place] = each._replace(is_new=False, reason=reason)
            resizing.warnings.append(
                "The file system of partition %d of %s keeps its UUID, because %s. Do not attach the original of %s and this "
                "clone to one running system." % (number, resizing.disk, reason, resizing.disk)
            )


def _on_target(resizing: Resizing, one: PartitionChange, descriptor: int) -> Medium:
    return Medium(
        disk=resizing.disk,
        target=resizing.target.path,
        path="",
        descriptor=descriptor,
        start_bytes=one.start_bytes,
        length_bytes=one.length_bytes,
        sector_bytes=resizing.target.sector_bytes if resizing.target.is_device else 512,
    )
