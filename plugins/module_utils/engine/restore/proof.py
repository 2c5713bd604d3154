# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the bytes of an image are proved: all of them before the first write, or each of them before it is written.

The first way reads the image twice, which over a line costs twice the time. The second way proves in advance what is
cheap: the manifest, the whole index, the size of every pack, the hashes of a sample. The target is not bootable and its
volumes can't be mounted until the last byte is proved, because tables and boot sectors are written last.
"""

from __future__ import annotations

import contextlib
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Iterator, List, NamedTuple, Sequence

from ..errors import ChunkMissing, ChunkMissingWhileRestoring, ImageDamaged, ImageDamagedWhileRestoring, StorageNotFound
from ..image.format import constants as fmt
from ..image.reader import ImageReader
from ..image.second_look import damage_of
from ..image.upkeep.verify import verify_image
from ..storage.contract import Storage
from .plan import PlannedDisk
from .ways import FIRST, WHILE_WRITING

_SAMPLED_SHARE, _LEAST_SAMPLED, _MOST_SAMPLED = 50, 2, 8
_HASHERS = 4


class Proof(NamedTuple):
    """The way that was chosen, and why."""

    way: str
    reason: str

    @property
    def is_first(self) -> bool:
        return self.way == FIRST

    @property
    def sentence(self) -> str:
        """The line of the plan about it."""
        when = "before the first byte is written" if self.is_first else "while it is written"
        return "the image is verified %s: %s" % (when, self.reason)


def choose(wanted: str, storage: Storage, planned: Sequence[PlannedDisk], damaged: bool) -> Proof:
    """Choose the way: an image on a server is proved while it is written, unless that would risk data on a target."""
    if storage.parallel_calls == 1:
        return Proof(FIRST, "the storage is a directory of this machine")
    if damaged:
        return Proof(FIRST, "a damaged image is restored")
    if wanted in (FIRST, WHILE_WRITING):
        return Proof(wanted, "imaging_restore_proof is %s" % wanted)
    for disk in planned:
        if disk.data and not disk.is_done:
            return Proof(FIRST, "%s contains data, which is lost only for an intact image" % disk.target.path)
    return Proof(WHILE_WRITING, "the storage is a server, and no target contains data")


def warnings(proof: Proof, planned: Sequence[PlannedDisk]) -> List[str]:
    """Name each target whose present data a damaged image would cost."""
    if proof.is_first:
        return []
    return [
        "The data on %s is lost even if the image turns out to be damaged, because the image is verified while it is "
        "written." % disk.target.path
        for disk in planned
        if disk.data and not disk.is_done
    ]


def prove_ahead(storage: Storage, device: str, reader: ImageReader, planned: Sequence[PlannedDisk]) -> None:
    """Prove what is cheap to prove: names and sizes of all files and packs, the whole index, a sample of the packs.

    :raises ImageDamaged: when one of it is not what the manifest says.
    """
    report = verify_image(storage, device, reader.image, "quick", record=False, key=reader.key)
    if not report.ok:
        raise ImageDamaged(image=reader.image, reason=report.problems[0].rstrip("."))
    present = reader.directory.packs()
    for disk in planned:
        for pack, need in disk.reader.root.packs.items():
            size_bytes = present.get(pack, need.size_bytes)  # one that is not in its place was found in the trash
            if size_bytes != need.size_bytes:
                reason = "the pack %s has %d bytes, not %d" % (pack, size_bytes, need.size_bytes)
                raise ImageDamaged(image=reader.image, reason=reason)
        disk.reader.prove_index()
    packs = sorted({pack for disk in planned for pack in disk.reader.root.packs})
    count = min(len(packs), _MOST_SAMPLED, max(_LEAST_SAMPLED, len(packs) // _SAMPLED_SHARE))
    sample = random.SystemRandom().sample(packs, count)

    def damage(pack: str) -> str:
        with contextlib.suppress(StorageNotFound):  # in the trash: the reader finds it there
            return damage_of(storage, fmt.pack_path(device, pack), pack)
        return ""

    with ThreadPoolExecutor(_HASHERS, thread_name_prefix="pack hasher") as executor:
        for pack, reason in zip(sample, executor.map(damage, sample)):
            if reason:
                raise ImageDamaged(image=reader.image, reason="the pack %s is damaged: %s" % (pack, reason))


@contextlib.contextmanager
def stopped_by_damage(proof: Proof, planned: Sequence[PlannedDisk]) -> Iterator[None]:
    """Say of damage that was found half-way the state of the targets; its code stays.

    :raises ImageDamagedWhileRestoring, ChunkMissingWhileRestoring:
    """
    targets = ", ".join(disk.target.path for disk in planned if not disk.is_done)
    try:
        yield
    except ImageDamaged as error:
        if proof.is_first:
            raise
        raise ImageDamagedWhileRestoring(**error.fields, targets=targets) from error
    except ChunkMissing as error:
        if proof.is_first:
            raise
        raise ChunkMissingWhileRestoring(**error.fields, targets=targets) from error
