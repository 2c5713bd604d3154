# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks and volumes that earlier images of a job hold and the newest one does not: reported until the user agrees.

Known from manifests alone, so that an operator's rollover without device and without password knows it too.
"""

from __future__ import annotations

import re
from typing import Any, Container, Dict, Iterable, List, NamedTuple, Sequence, Set, Tuple

from ...amounts import size
from ..format import job_name
from ..format.manifest import DiskEntry, Manifest
from ..wording import shown

_MOST_TOLD = 20
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NO_TABLE = re.compile(r"(gpt|mbr):[0\-]*")  # an id that many disks share tells nothing
Key = Tuple[str, str]


class Part(NamedTuple):
    """A disk (``volume`` is ""), or a volume of it. Two with the same ``key`` are the same thing.

    A disk whose size changed is another one: what was on it may be gone. A volume with a GUID is the same on any disk.
    """

    key: Key
    disk: str
    volume: str
    number: int
    size_bytes: int

    @property
    def id(self) -> str:
        """The name that imaging_forget_disks accepts."""
        return "%s/%s" % (self.disk, self.volume) if self.volume else self.disk

    @property
    def shown(self) -> str:
        return "%s %s" % ("the volume" if self.volume else "the disk", shown(self.id))


class Missing(NamedTuple):
    """Something that only older images hold."""

    kind: str  # missing; replaced: ``now`` is the id of a new disk with the same table; resized: ``now`` is its size; volume
    id: str  # what imaging_forget_disks takes
    number: int  # of the partition of a volume
    model: str
    size_bytes: int
    image: str  # the last one that holds it
    created: str
    job: str
    now: str

    def as_dict(self) -> Dict[str, Any]:
        return self._asdict()


def parts_of(manifest: Manifest) -> List[Part]:
    """The disks and volumes that an image holds."""
    return [part for disk in manifest.disks for part in _parts_of_disk(disk)]


def forgotten_ids(ids: List[str]) -> Set[str]:
    """The ids of imaging_forget_disks as :func:`is_forgotten` takes them."""
    return {one.strip().lower() for one in ids}


def is_forgotten(part: Part, forgotten: Container[str]) -> bool:
    """Whether the user agreed: by the id of the disk, with the word in front or without, or by that of the volume."""
    names = [part.disk, part.disk.partition(":")[2]]
    if part.volume:
        names += [part.volume, *("%s/%s" % (name, part.volume) for name in names)]
    return any(name.lower() in forgotten for name in names if name)


def find_missing(
    images: List[Manifest], newest: Manifest, forgotten: Container[str], others: Sequence[Manifest] = ()
) -> List[Missing]:
    """Return what older ``images`` of the newest one's job hold and ``newest`` does not; what went last comes first.

    :param others: images that are not proved, such as those of an earlier key: they hide nothing and come last.
    """
    told = {part.key for part in parts_of(newest)}
    found: List[Missing] = []
    for manifest in [*_newest_first(images), *_newest_first(others)]:
        if manifest.job != newest.job or manifest.image == newest.image:
            continue
        for disk in manifest.disks:
            parts = [part for part in _parts_of_disk(disk) if part.key not in told]
            told.update(part.key for part in parts)
            # A missing disk is reported once, not each of its volumes.
            is_gone = any(not part.volume for part in parts) and all(
                other.stable_id != disk.stable_id for other in newest.disks
            )
            found += [
                _missing(part, disk, manifest, newest)
                for part in parts
                if not is_forgotten(part, forgotten) and not (is_gone and part.volume)
            ]
    return found


def _newest_first(images: Iterable[Manifest]) -> List[Manifest]:
    return sorted(images, key=lambda one: (one.sequence, one.image), reverse=True)


def sentences(missing: List[Missing]) -> List[str]:
    """A warning for each, by name, with what to do."""
    told = [_sentence(one) for one in missing[:_MOST_TOLD]]
    if len(missing) > _MOST_TOLD:
        told.append("%d more disks or volumes are missing from the newest image." % (len(missing) - _MOST_TOLD))
    return told


def _parts_of_disk(disk: DiskEntry) -> List[Part]:
    name = disk.stable_id
    found = [Part((name, "%d bytes" % disk.size_bytes), name, "", 0, disk.size_bytes)]
    for volume in disk.contents.volumes:
        key = ("", volume.id.lower()) if _GUID.fullmatch(volume.id) else (name, "/" + volume.id)
        found.append(Part(key, name, volume.id, volume.number, volume.size_bytes))
    return found


def _missing(part: Part, disk: DiskEntry, manifest: Manifest, newest: Manifest) -> Missing:
    kind, now = ("volume", "") if part.volume else _fate(disk, manifest, newest)
    return Missing(
        kind,
        shown(part.id),
        part.number,
        disk.contents.model,
        part.size_bytes,
        manifest.image,
        shown(manifest.created),
        manifest.job,
        shown(now),
    )


def _fate(disk: DiskEntry, manifest: Manifest, newest: Manifest) -> Tuple[str, str]:
    """The present successor of a disk: a restored one has another serial number and the same table."""
    before = {other.stable_id for other in manifest.disks}
    tables = {table for table in (disk.contents.table, disk.stable_id) if table and not _NO_TABLE.fullmatch(table)}
    for other in newest.disks:
        if other.stable_id == disk.stable_id:
            return "resized", str(other.size_bytes)
        if other.stable_id not in before and {other.contents.table, other.stable_id} & tables:
            return "replaced", other.stable_id
    return "missing", ""


def _sentence(one: Missing) -> str:
    facts = ", ".join(fact for fact in (one.model, size(one.size_bytes)) if fact)
    named = "The disk %s (%s)" % (one.id, facts)
    if one.kind == "volume":
        named = "Volume %s (partition %d, %s)" % (one.id, one.number, size(one.size_bytes))
    happened = {
        "missing": "is missing from the newest image of %s" % job_name.shown(one.job),
        "volume": "is missing from the newest image of %s" % job_name.shown(one.job),
        "replaced": "was replaced by %s, which has the same partition table" % one.now,
        "resized": "now has %s" % (size(int(one.now)) if one.now.isdigit() else one.now),
    }[one.kind]
    return "%s %s. Its last image %s (made %s) is kept. Check the device, or add %s to imaging_forget_disks." % (
        named,
        happened,
        one.image,
        one.created,
        one.id,
    )
