# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The storage that was archived from as the second witness: its records name number and hash of each version.

An archive alone can't tell that its newest versions were removed, nor, without a password, that all of it was written again.
"""

from __future__ import annotations

from typing import List, Optional, Tuple

from ..device_directory import DeviceDirectory
from ..format import constants as fmt
from ..format.keys import MasterKey
from ..records import ARCHIVED
from .chain import Chain, Problem
from .held import read_versions
from .version_record import StoredRecord, Version, file_names

_MOST_SKIPPED = 1000  # numbers that notes without proof may reserve beyond the archive's newest version


def notes_in(directory: DeviceDirectory, key: Optional[MasterKey]) -> List[StoredRecord]:
    """The records of versions in a storage, in order of their numbers; records that the key does not authenticate are skipped."""
    found = [one.record for one in read_versions(directory, key, only_records=True).held]
    believed = [one for one in found if one.is_authentic is not False]
    return sorted(believed, key=lambda one: (one.version.number, one.sha256))


def notes_about(notes: List[StoredRecord], chain: Chain, place: str) -> List[StoredRecord]:
    """Those of ``notes`` that are about this archive: by its chain; where it has none left, by where it is.

    An account that may create files in the archive can add a last version with another chain, so all are looked at.
    """
    chains = {link.record.version.chain for link in chain.links}
    if chains:
        return [one for one in notes if one.version.chain in chains]
    return [one for one in notes if one.version.place == place]


def contradictions(notes: List[StoredRecord], chain: Chain) -> List[Problem]:
    """The differences between the notes and the archive."""
    problems = []
    for note in notes:
        version = note.version
        link = chain.numbered(version.number)
        if link is None:
            reason = "it is missing: %s in the storage names it%s" % (_path(note), _doubt(note))
            problems.append(Problem(version.number, reason))
        elif not _is_same(note, link.record):
            other = ", ".join(_differing(version, link.record.version)) or "authentication"
            reason = "its record is not the one that %s in the storage names (%s)%s"
            problems.append(Problem(version.number, reason % (_path(note), other, _doubt(note))))
    return problems


def _path(note: StoredRecord) -> str:
    version = note.version
    return "/".join((version.device, fmt.RECORDS, version.image, file_names(note)[1]))


def _doubt(note: StoredRecord) -> str:
    return "" if note.is_authentic else " (no password proves that file; delete it if it is false)"


def next_after(chain: Chain, notes: List[StoredRecord], has_key: bool) -> Tuple[Optional[StoredRecord], int]:
    """The record that the next version names as the one before, and the first number that it may have.

    An account that may create files in the archive or in the storage can leave a false record there. So a note in the storage
    without proof only reserves its number, and only a number that is near: else one false note would end the numbering.
    Where a password was given, a record of the archive without proof is followed only if the storage knows it, too.
    """
    known = {note.version for note in notes}
    links = [one for one in chain.links if one.is_proved or not has_key or one.record.version in known]
    found = [link.record for link in (links or chain.links)[-1:]] + [note for note in notes if note.is_authentic]
    last = max(found, key=lambda one: one.version.number, default=None)
    first = last.version.number + 1 if last is not None else 1
    if has_key:
        return last, first
    near = [note.version.number for note in notes if first <= note.version.number < first + _MOST_SKIPPED]
    return last, max(near, default=first - 1) + 1


def _is_same(note: StoredRecord, record: StoredRecord) -> bool:
    if note.kind == ARCHIVED:
        return note.sha256 == record.sha256
    return note.version == record.version


def _differing(one: Version, other: Version) -> List[str]:
    return [name for name in one._fields if getattr(one, name) != getattr(other, name)]
