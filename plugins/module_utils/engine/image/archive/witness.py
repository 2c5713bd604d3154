# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The storage that was archived from as the second witness: its records name number and hash of each version.

An archive alone can't tell that its newest versions were removed, nor, without a password, that all of it was written again.
"""

from __future__ import annotations

from typing import List, Optional

from ..device_directory import DeviceDirectory
from ..format.keys import MasterKey
from ..records import ARCHIVED
from .chain import Chain, Problem
from .held import read_versions
from .version_record import StoredRecord, Version


def notes_in(directory: DeviceDirectory, key: Optional[MasterKey]) -> List[StoredRecord]:
    """The records of versions in a storage, in order of their numbers; records that the key does not authenticate are skipped."""
    found = [one.record for one in read_versions(directory, key, only_records=True).held]
    believed = [one for one in found if one.is_authentic is not False]
    return sorted(believed, key=lambda one: (one.version.number, one.sha256))


def notes_about(notes: List[StoredRecord], chain: Chain, place: str) -> List[StoredRecord]:
    """Those of ``notes`` that are about this archive: by its chain; where it has none left, by where it is."""
    last = chain.last
    if last is not None:
        return [one for one in notes if one.version.chain == last.version.chain]
    return [one for one in notes if one.version.place == place]


def contradictions(notes: List[StoredRecord], chain: Chain) -> List[Problem]:
    """The differences between the notes and the archive."""
    problems = []
    for note in notes:
        version = note.version
        link = chain.numbered(version.number)
        if link is None:
            reason = "it is missing: the storage's record of the image %s names it" % version.image
            problems.append(Problem(version.number, reason))
        elif not _is_same(note, link.record):
            other = ", ".join(_differing(version, link.record.version)) or "authentication"
            reason = "its record is not the one that the storage's record of the image %s names (%s)"
            problems.append(Problem(version.number, reason % (version.image, other)))
    return problems


def _is_same(note: StoredRecord, record: StoredRecord) -> bool:
    if note.kind == ARCHIVED:
        return note.sha256 == record.sha256
    return note.version == record.version


def _differing(one: Version, other: Version) -> List[str]:
    return [name for name in one._fields if getattr(one, name) != getattr(other, name)]
