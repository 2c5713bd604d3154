# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores an image: plan everything, verify the image, then write; partition tables and boot sectors come last."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from ..errors import ImageDamaged, RestoreBeyondRepair
from ..image.reader import ImageReader
from ..image.upkeep.verify import verify_image
from ..storage.contract import Storage
from .hit_files import damage_of
from .plan import PlannedDisk, Progress, plan
from .proof import Proof, choose, prove_ahead, stopped_by_damage
from .resize.carry_out import shrink_aside
from .resize.wishes import NO_WISHES, Wishes
from .salvage import SalvagingReader
from .sentences import sentences, transitions
from .ways import AUTO
from .write import RestoredDisk, write_disks

__all__ = ["carry_out", "open_image", "plan", "restore", "sentences", "transitions"]


class Restored(NamedTuple):
    """The written data, and the lost parts of it (see :func:`hit_files.damage_of`)."""

    disks: List[RestoredDisk]
    damaged: List[Dict[str, Any]]
    problems: List[str] = []  # of the image as it is stored, where a damaged one is restored


def restore(
    storage: Storage,
    device: str,
    image: str,
    targets: Dict[str, str],
    *,
    password: Optional[str] = None,
    overwrite: bool = False,
    damaged: bool = False,
    replace_table: Sequence[str] = (),
    proof: str = AUTO,
    wishes: Wishes = NO_WISHES,
    reads_back: bool = True,
    progress: Progress = lambda phase, done, total: None,
) -> List[RestoredDisk]:
    """Restore disks of ``image`` onto ``targets`` (``{"disk0": "/dev/sdb"}``).

    :param proof: when the image is proved, one of ``ways.PROOFS``.
    :param reads_back: whether the targets are compared with the image before they become bootable.
    :raises EngineError: before the first byte is written for everything that can be known before: the plan, the
        password, damage anywhere in what is stored if that is proved first.
    """
    reader = open_image(storage, device, image, password, damaged)
    planned = plan(
        reader, targets, overwrite, damaged=damaged, replace_table=replace_table, wishes=wishes, progress=progress
    )
    way = choose(proof, storage, planned, damaged)
    return carry_out(
        storage, device, reader, planned, progress, damaged=damaged, proof=way, reads_back=reads_back
    ).disks


def open_image(
    storage: Storage, device: str, image: str, password: Optional[str], damaged: bool, job: Optional[str] = None
) -> ImageReader:
    """Open the image to restore; ``job`` says whose newest one "latest" is.

    :raises RestoreBeyondRepair: when a damaged image is to be restored, and its manifest is damaged.
    """
    try:
        return ImageReader(storage, device, image, password, job)
    except ImageDamaged as error:
        if not damaged:
            raise
        reason = "its manifest is not valid: %s" % str(error).rstrip(".")
        raise RestoreBeyondRepair(image=image, reason=reason) from error


def carry_out(
    storage: Storage,
    device: str,
    reader: ImageReader,
    planned: List[PlannedDisk],
    progress: Progress,
    *,
    proof: Proof,
    reads_back: bool,
    damaged: bool = False,
) -> Restored:
    """Restore what was planned a moment ago.

    :raises EngineError: as :func:`restore`.
    """
    problems: List[str] = []
    if not all(disk.is_done for disk in planned):
        if proof.is_first:
            problems = _prove_all(storage, device, reader, planned, progress, damaged)
        else:
            prove_ahead(storage, device, reader, planned)
    with ExitStack() as stack:
        for disk in planned:
            if disk.resizing is not None and disk.image is not None and not disk.is_done:
                shrink_aside(disk.resizing, disk.image, stack, partial(progress, "shrinking"))
        with stopped_by_damage(proof, planned):
            done = write_disks(planned, progress, reads_back)
    return Restored(done, damage(planned), problems)


def _prove_all(
    storage: Storage, device: str, reader: ImageReader, planned: List[PlannedDisk], progress: Progress, damaged: bool
) -> List[str]:
    """Hash all that is stored of the image and open its whole index; return the problems of a damaged one that was agreed to.

    :raises ImageDamaged: unless damage was agreed to.
    """
    problems: List[str] = []
    try:
        report = verify_image(
            storage, device, reader.image, "storage", progress=progress, record=False, beside=False, key=reader.key
        )
    except ImageDamaged as error:
        if not damaged:
            raise
        problems = [str(error)]  # its manifest: the reader took the second copy
    else:
        problems = report.problems
        if not report.ok and not damaged:
            raise ImageDamaged(image=reader.image, reason=report.problems[0].rstrip("."))
    for disk in planned:
        disk.reader.prove_index()  # the whole index opens, or nothing is written
    return problems


def foretell(storage: Storage, device: str, reader: ImageReader, planned: List[PlannedDisk], damaged: bool) -> Restored:
    """Check mode: what is stored is there in full size; of a damaged image, what would be lost of it.

    :raises ImageDamaged: when it is not, and no damage was agreed to.
    """
    problems: List[str] = []
    if not all(disk.is_done for disk in planned):
        whole = verify_image(storage, device, reader.image, "quick", record=False, key=reader.key)
        if not whole.ok and not damaged:
            raise ImageDamaged(image=reader.image, reason=whole.problems[0].rstrip("."))
        problems = whole.problems
    for disk in planned:
        if isinstance(disk.reader, SalvagingReader):
            disk.reader.read_all()
    return Restored([], damage(planned), problems)


def damage(planned: List[PlannedDisk]) -> List[Dict[str, Any]]:
    """The losses of each disk, with the damaged files; empty unless a damaged image was agreed to."""
    return [
        one
        for disk in planned
        if isinstance(disk.reader, SalvagingReader)
        for one in damage_of(disk.name, disk.reader, disk.scope, disk.allowed)
    ]
