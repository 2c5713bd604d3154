# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot loader that becomes the fallback of an EFI partition, and the files that it needs beside it.

The path and the name of each architecture: UEFI specification 2.10, section 3.5.1.1, table 3-2; the architecture is the machine of the
loader's PE header (Microsoft, PE Format). shim starts GRUB and MokManager from its own folder by the names of its architecture
(rhboot/shim, README.md and lib/), and the signed GRUB of a distribution reads the grub.cfg of the folder that it was built for,
``EFI/debian`` of the partition that it was started from (mkosi, mkosi.1.md on grub), so that grub.cfg is not copied. Without
``fbx64.efi`` beside it shim starts GRUB at once and makes no boot entry.
"""

from __future__ import annotations

import re
import struct
from typing import List, NamedTuple, Optional, Sequence, Tuple

from ...errors import RestoreFallbackAmbiguous, RestoreFallbackImpossible
from .fat_folder import FatEntry
from .fat_writer import FatWriter, NewFile

EFI, BOOT = "EFI", "BOOT"
_MACHINES = {0x8664: "X64", 0xAA64: "AA64", 0x14C: "IA32"}
_MOST_BYTES = 32 << 20  # of all files: loaders have a few MiB; larger ones are kernels
_SHIM = re.compile(r"shim(?:x64|aa64|ia32)?\.efi\Z", re.IGNORECASE)
_HEAD_AT = 0x3C
_HEAD_BYTES = 64 << 10  # the PE header of a loader begins in its first sectors


class Place(NamedTuple):
    """The partition, for an error."""

    disk: str
    target: str
    partition: int

    def impossible(self, reason: str) -> RestoreFallbackImpossible:
        return RestoreFallbackImpossible(
            partition=self.partition, disk=self.disk, target=self.target, reason=reason.rstrip(".")
        )


class Chosen(NamedTuple):
    """``path`` is the fallback; without files it exists already. ``sources`` are the files' own paths, in their order."""

    path: str
    files: List[NewFile]
    sources: List[str]


def choose(place: Place, writer: FatWriter, loaders: Sequence[str], named: str) -> Optional[Chosen]:
    """Choose what is copied, or return None when the partition has no known loader.

    :param loaders: those that are known, one of each system. :param named: the path that the user names, "" for none.
    :raises RestoreFallbackAmbiguous: for several loaders, without a name.
    :raises RestoreFallbackImpossible: for a file that is not there, or not a loader.
    """
    if not named and len(loaders) > 1:
        existing = _existing(writer, loaders)
        if existing:
            return Chosen(existing, [], [])
        raise RestoreFallbackAmbiguous(
            partition=place.partition, disk=place.disk, target=place.target, loaders=", ".join(loaders)
        )
    path = named or (loaders[0] if loaders else "")
    if not path:
        return None
    pieces = path.split("/")
    loader = _find(writer, pieces)
    if loader is None:
        raise place.impossible("%s does not exist there" % path)
    content = _content(place, writer, loader, path)
    machine = _machine(content)
    if machine not in _MACHINES:
        raise place.impossible("%s is not a boot loader of a known machine" % path)
    suffix = _MACHINES[machine]
    name = "BOOT%s.EFI" % suffix
    chosen = Chosen("%s/%s/%s" % (EFI, BOOT, name), [], [])
    if _find(writer, [EFI, BOOT, name]) is not None:
        return chosen
    files, sources = [NewFile(name, content, loader)], [path]
    if _SHIM.match(pieces[-1]):
        beside, its_paths = _companions(place, writer, pieces, suffix)
        files, sources = files + beside, sources + its_paths
    if sum(len(one.content) for one in files) > _MOST_BYTES:
        raise place.impossible("its boot loader has more than %d bytes" % _MOST_BYTES)
    return Chosen(chosen.path, files, sources)


def _existing(writer: FatWriter, loaders: Sequence[str]) -> str:
    """The path of a fallback that exists, "" unless there is one for the machine of each loader: then no choice is open.

    A loader of an unknown machine could not become one.
    """
    found = [_find(writer, path.split("/")) for path in loaders]
    heads = [writer.content(one, _HEAD_BYTES) for one in found if one is not None]
    names = sorted({"BOOT%s.EFI" % _MACHINES[_machine(one)] for one in heads if _machine(one) in _MACHINES})
    if not names or any(_find(writer, [EFI, BOOT, name]) is None for name in names):
        return ""
    return "%s/%s/%s" % (EFI, BOOT, names[-1])


def _companions(place: Place, writer: FatWriter, shim: Sequence[str], suffix: str) -> Tuple[List[NewFile], List[str]]:
    """The programs that shim starts: GRUB, which it needs, and MokManager. One that is in the folder already has to be the same."""
    files, sources = [], []
    for stem in ("GRUB", "MM"):
        name = "%s%s.EFI" % (stem, suffix)
        source = _find(writer, [*shim[:-1], name])
        if source is None and stem == "GRUB":
            raise place.impossible("%s needs %s beside it, which does not exist" % ("/".join(shim), name.lower()))
        if source is None:
            continue
        path = "/".join([*shim[:-1], source.name])
        content = _content(place, writer, source, path)
        there = _find(writer, [EFI, BOOT, name])
        if there is not None and writer.content(there) != content:
            raise place.impossible("EFI/BOOT/%s exists and differs from %s" % (name, path))
        if there is None:
            files.append(NewFile(name, content, source))
            sources.append(path)
    return files, sources


def _content(place: Place, writer: FatWriter, one: FatEntry, path: str) -> bytes:
    if one.size_bytes > _MOST_BYTES:
        raise place.impossible("%s has %d bytes, more than %d" % (path, one.size_bytes, _MOST_BYTES))
    return writer.content(one)


def _find(writer: FatWriter, path: Sequence[str]) -> Optional[FatEntry]:
    try:
        return writer.folder(*path[:-1]).find(path[-1])
    except LookupError:
        return None


def _machine(content: bytes) -> int:
    """The machine of a PE file, 0 for anything else."""
    if content[:2] != b"MZ" or len(content) < _HEAD_AT + 4:
        return 0
    (head,) = struct.unpack_from("<I", content, _HEAD_AT)
    if content[head : head + 4] != b"PE\0\0" or len(content) < head + 6:
        return 0
    return int(struct.unpack_from("<H", content, head + 4)[0])
