# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The claims on a volume: file systems that a parser reads, marks of others beside them, tables in boot sectors, types.

A single claim is believed. Of two, either may be a trace of an earlier use: then the engine images the whole volume,
unless ``imaging_trust`` decides.
"""

from __future__ import annotations

from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

from ..errors import FileSystemInvalid
from .filesystems.contract import FileSystem
from .filesystems.ext import is_journal
from .filesystems.registry import PROBES
from .filesystems.swap import PAGE_SIZES
from .marks import FAT_PLACE, TABLE_PLACE, Mark, View, find_marks, zfs_places
from .mbr import holds_table
from .partition_types import WITNESSES
from .source import BlockSource
from .trust import TABLE, is_called

JOURNAL_KIND = "the journal of an ext file system"
_TO_GO = "BitLocker To Go"
# A parser's name of a system -> the names that the table of marks has for it.
_SAME: Dict[str, Tuple[str, ...]] = {"XFS": ("xfs",), "exFAT": ("exfat",), "FAT": ("fat12", "fat16", "fat32")}


class Claim(NamedTuple):
    """One system's claim to a volume. ``file_system`` is set where a parser reads it; ``error`` says why it does not."""

    name: str
    marks: Tuple[Mark, ...] = ()
    file_system: Optional[FileSystem] = None
    error: str = ""
    is_container: bool = False

    def is_called(self, word: str) -> bool:
        return any(is_called(word, name, blkid) for name, blkid in self._names())

    def _names(self) -> Iterable[Tuple[str, str]]:
        yield self.name, ""
        for mark in self.marks:
            yield mark.name, mark.blkid


TABLE_CLAIM = Claim(TABLE, (Mark(TABLE, *TABLE_PLACE, "dos", False, False),))


class Verdict(NamedTuple):
    """The decision about a volume: the file system to read, or the reason why it is imaged whole."""

    kind: str
    file_system: Optional[FileSystem]
    reason: str
    rivals: Tuple[Claim, ...] = ()  # those who contradict one another


def judge(source: BlockSource, type_id: str = "", trusted: str = "") -> Verdict:
    """Decide what is on a volume.

    :param type_id: the type of its partition, a second witness.
    :param trusted: what ``imaging_trust`` says of it.
    """
    return decide(claims_of(source, type_id), trusted)


def decide(claims: List[Claim], trusted: str = "") -> Verdict:
    """Decide between claims."""
    if trusted:
        meant = next((claim for claim in claims if claim.is_called(trusted)), None)
        if meant is None:
            found = join_names(claims) or "no known structure"
            return Verdict("", None, "imaging_trust is set to %s, but the volume contains %s" % (trusted, found))
        return _of(meant)
    if not claims:
        return Verdict("", None, "")
    if len(claims) == 1:
        return _of(claims[0])
    container = next((claim for claim in claims if claim.is_container), None)
    names = join_names(claims)
    if all(claim.file_system is None and not claim.error for claim in claims):
        return Verdict((container or claims[0]).name, None, "it contains %s" % names, tuple(claims))
    whose = "all" if len(claims) > 2 else "both"
    return Verdict(container.name if container else "", None, "%s %s claim the volume" % (names, whose), tuple(claims))


def claims_of(source: BlockSource, type_id: str = "") -> List[Claim]:
    """Everybody's claim to a volume, each name once."""
    view = View(source)
    claims = _parsed(source)
    marks = find_marks(view)
    if any(mark.name == _TO_GO for mark in marks):
        claims = []  # what can be read of it is a small FAT that holds a reader
    for name in dict.fromkeys(mark.name for mark in marks):
        own = tuple(mark for mark in marks if mark.name == name)
        if not any(claim.name in _SAME.get(name, ()) or claim.name == name for claim in claims):
            claims.append(Claim(name, own, is_container=own[0].is_container))
    claims = [claim for claim in claims if not _is_behind(claim, claims)]
    if any(claim.name == "swap" for claim in claims) and not any(claim.name == "ZFS" for claim in claims):
        # Of a swap space all but the header would be dropped: here the least trace counts.
        claims += [
            Claim("ZFS", tuple(Mark("ZFS", place, 8, "zfs_member", False, False) for place in places))
            for places in [zfs_places(view)]
            if places
        ]
    boot = view.at(0, 512)
    if holds_table(boot, source.size_bytes // source.sector_bytes):
        claims.append(TABLE_CLAIM)
    journal = view.at(1024, 1024)
    if len(journal) == 1024 and is_journal(journal):
        claims.append(Claim(JOURNAL_KIND, (Mark(JOURNAL_KIND, 1080, 2, "jbd"),)))
    witness = WITNESSES.get(type_id)
    if witness is not None and not any(claim.name in witness.fits for claim in claims):
        claims.append(Claim(witness.name))
    return claims


def join_names(claims: Iterable[Claim]) -> str:
    names = [claim.name for claim in claims]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 2 else names)


def _of(claim: Claim) -> Verdict:
    if claim.file_system is not None:
        return Verdict(claim.file_system.kind, claim.file_system, "")
    return Verdict("" if claim.error else claim.name, None, claim.error or "it contains %s" % claim.name)


def _parsed(source: BlockSource) -> List[Claim]:
    """The claims of file systems that a parser knows; one whose superblock contradicts itself claims the volume too."""
    found = []
    for probe in PROBES:
        try:
            file_system = probe(source)
        except FileSystemInvalid as error:
            name = str(error.fields.get("kind") or "")
            marks = tuple(mark._replace(by_wipefs=False) for mark in _own_marks(source, name))
            found.append(Claim(name, marks, None, str(error)))
            continue
        if file_system is not None:
            found.append(Claim(file_system.kind, _own_marks(source, file_system.kind), file_system))
    return found


def _is_behind(claim: Claim, claims: List[Claim]) -> bool:
    """Whether a mark follows the end of a file system, in bytes that no other system claims: metadata of DRBD."""
    if claim.name != "DRBD":
        return False
    return any(
        other.file_system is not None and all(mark.place >= other.file_system.end_bytes for mark in claim.marks)
        for other in claims
    )


def _own_marks(source: BlockSource, kind: str) -> Tuple[Mark, ...]:
    """Where the mark lies by which a parser, and wipefs, knows a file system."""
    name = kind.lower()
    if name == "ntfs":
        return (Mark(kind, 3, 8, "ntfs"),)
    if name.startswith("ext"):
        return (Mark(kind, 1080, 2, name if name != "ext" else "ext2,ext3,ext4"),)
    if name == "exfat":
        return (Mark(kind, 3, 8, "exfat"),)
    if name == "xfs":
        return (Mark(kind, 0, 4, "xfs"),)
    if name.startswith("fat"):
        return (Mark(kind, *FAT_PLACE, "vfat", False, False),)
    if name == "swap":
        for page_bytes in PAGE_SIZES:
            if source.size_bytes >= page_bytes and source.read(page_bytes - 10, 10).rstrip(b"\0")[-4:].isalnum():
                return (Mark(kind, page_bytes - 10, 10, "swap"),)
    return ()
