# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The work of interrupted runs, as their checkpoints record it: the next run continues from there.

A checkpoint is stored when all packs that it names were read back; an account that may replace nothing stores it under
a number. A rollover in between may have put directory and packs into the trash: they are looked for there, too, and
restored when they are in use again.
"""

from __future__ import annotations

import re
from typing import Container, Dict, Iterable, List, MutableMapping, NamedTuple, Optional, Sequence, Set, Tuple

from ...entries import EntryKind
from ...errors import ImageDamaged, PasswordMissing, StorageNotFound, StoragePermissionDenied
from ..device_directory import DeviceDirectory
from ..format import constants as fmt
from ..format.index import Root, most_root_bytes
from ..format.keys import MasterKey
from ..format.manifest import Manifest
from ..format.sealed_files import open_file
from ..newest import horizon
from ..upkeep.restore_from_trash import restore_from_trash

_CHECKPOINT = re.compile(r"disk([0-9]{1,3})\.checkpoint(?:\.([0-9]{1,4}))?")
_MOST_RUNS = 3
_MOST_CHECKPOINTS = 10_000  # in one directory
_MOST_DIRECTORIES = 20  # of which a checkpoint is looked for, the newest first


class Interrupted(NamedTuple):
    """A run that made no image: the roots of its disks, as far as it came, by their numbers."""

    image: str
    roots: Dict[int, Root]

    @property
    def packs(self) -> Dict[str, int]:
        """The size of every pack that it refers to."""
        return {name: need.size_bytes for root in self.roots.values() for name, need in root.packs.items()}


def interrupted_runs(
    directory: DeviceDirectory, key: Optional[MasterKey], others: Container[str], sizes: Sequence[int]
) -> List[Interrupted]:
    """The last interrupted runs that left a checkpoint of this key, newest first.

    :param others: names that are passed by: complete images, and the run's own.
    :param sizes: of the new run's disks, in order; no checkpoint of others, or larger than theirs can be, is read.
    """
    places = [(name, directory.path(name)) for name in directory.image_names()]
    places += [(one.image, directory.path(fmt.TRASH, one.file_name)) for one in directory.put_aside()]
    found: List[Interrupted] = []
    last = horizon()  # a name in the future is not that of an interrupted run, and hides none
    wanted = sorted(
        (one for one in places if one[0] not in others), key=lambda one: (one[0] <= last, one), reverse=True
    )
    for image, path in wanted[:_MOST_DIRECTORIES]:
        run = Interrupted(image, _roots(directory, key, image, path, sizes))
        if run.roots:
            found.append(run)
        if len(found) == _MOST_RUNS:
            break
    return found


def _roots(
    directory: DeviceDirectory, key: Optional[MasterKey], image: str, path: str, sizes: Sequence[int]
) -> Dict[int, Root]:
    newest: Dict[int, Tuple[int, str]] = {}
    for entry in directory.listed(path, lambda name: _CHECKPOINT.fullmatch(name) is not None, _MOST_CHECKPOINTS):
        match = _CHECKPOINT.fullmatch(entry.name)
        if match and entry.kind is EntryKind.FILE:
            disk, number = int(match.group(1)), int(match.group(2) or 0)
            if disk >= len(sizes):
                continue
            newest[disk] = max(newest.get(disk, (-1, "")), (number, entry.name))
    roots = {}
    for disk, (dummy_number, name) in newest.items():
        try:
            most_bytes = most_root_bytes(sizes[disk])
            data = directory.storage.get("%s/%s" % (path, name), 0, most_bytes + 1)
            if len(data) > most_bytes:
                continue  # no run of a disk of this size stored that
            plain = open_file(key, image, fmt.checkpoint_name(disk), data, most_bytes=most_bytes)
            roots[disk] = Root.decode(plain, image, partial=True)
        except (ImageDamaged, PasswordMissing, StorageNotFound, StoragePermissionDenied):
            # of another key, unreadable for this account, truncated, or swept at this moment: its chunks are sent again
            continue
    return roots


def fitting_runs(
    runs: Sequence[Interrupted], disks: Sequence[Tuple[str, int]], images: Sequence[Manifest]
) -> List[Interrupted]:
    """The parts of ``runs`` that a new run continues from: disks of these sizes, of which no image was made since.

    :param disks: stable id and size of the new run's disks, in order.
    :param images: the complete images of its key.
    """

    def fits(run: Interrupted, number: int) -> bool:
        if number >= len(disks):
            return False
        stable_id, size_bytes = disks[number]
        made = (entry.stable_id for one in images if one.image > run.image for entry in one.disks)
        return run.roots[number].size_bytes == size_bytes and stable_id not in made

    fitting = [
        run._replace(roots={number: root for number, root in run.roots.items() if fits(run, number)}) for run in runs
    ]
    return [run for run in fitting if run.roots]


def proved_packs(runs: Iterable[Interrupted], key: Optional[MasterKey]) -> Set[str]:
    """The packs that need not be read again: the run that sent them did, and recorded that under the key. An
    unencrypted record proves nothing."""
    return {name for run in runs for name in run.packs} if key is not None else set()


def restore_packs_from_trash(
    directory: DeviceDirectory, runs: Iterable[Interrupted], present: MutableMapping[str, int]
) -> None:
    """Take what a rollover put into the trash back into use, and into ``present``."""
    wanted = {name: size for run in runs for name, size in run.packs.items() if name not in present}
    for name in restore_from_trash(directory, set(wanted), proved=wanted):
        present[name] = wanted[name]
