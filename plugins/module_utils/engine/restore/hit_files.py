# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of an imaged disk lie where its content is lost: by volume and path, as far as a file system can tell."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, NamedTuple, Set, Tuple

from ..disk.extents import ExtentSet
from ..disk.filesystems.contract import FileTree
from ..disk.filesystems.registry import detect
from ..disk.layout import Partition
from ..disk.source import WindowSource
from ..errors import EngineError
from ..image.source import ImageSource
from .salvage import Lost, SalvagingReader
from .scope import Scope

_MOST_FILES = 1000  # named in one range
_MOST_NAMES = 5_000_000
_MOST_RANGES = 10_000


class _Volume(NamedTuple):
    partition: Partition
    name: str
    hits: ExtentSet  # bytes of the disk


class _Hit(NamedTuple):
    """A lost part of a volume: in a file, or (``path`` is "") in what ``where`` says."""

    start_bytes: int
    end_bytes: int
    path: str
    where: str


def damage_of(disk: str, reader: SalvagingReader, scope: Scope, allowed: ExtentSet) -> List[Dict[str, Any]]:
    """The lost ranges of a disk as a result shows them: ``files`` are ``disk0p1:/path``, ``where`` is what else they hit."""
    lost = reader.lost_within(allowed)
    source = ImageSource(reader)
    hits: List[_Hit] = []
    for one in scope.volumes if lost else []:
        end = one.start_bytes + one.length_bytes
        parts = ExtentSet((part.start_bytes, part.length_bytes) for part in _clip(lost, one.start_bytes, end))
        if parts:
            name = "%sp%d" % (disk, one.number) if one.number else disk
            hits += _hits_of(_Volume(one, name, parts), source)
    return [_entry(disk, one, hits) for one in lost[:_MOST_RANGES]]


def _clip(lost: List[Lost], start: int, end: int) -> Iterator[Lost]:
    for one in lost:
        first, last = max(one.start_bytes, start), min(one.start_bytes + one.length_bytes, end)
        if first < last:
            yield Lost(first, last - first, one.reason)


def _hits_of(volume: _Volume, source: ImageSource) -> List[_Hit]:
    window = WindowSource(source, volume.partition.start_bytes, volume.partition.length_bytes)
    found: List[_Hit] = []
    try:
        file_system = detect(window)
        tree = file_system.tree() if file_system is not None else None
        if tree is None:
            kind = "%s, whose files can't be listed" % file_system.kind if file_system is not None else ""
            return _all(volume, kind or "no file system whose files can be listed")
        found += _walk(volume, tree)
        own = tree.protected().shifted(volume.partition.start_bytes).intersection(volume.hits)
        words = "%s: structures of the file system" % volume.name
        found += [_Hit(part.start_bytes, part.end_bytes, "", words) for part in own]
    except EngineError as error:
        return found + _all(volume, "not all of its files can be listed: %s" % str(error).rstrip("."))
    covered = ExtentSet((one.start_bytes, one.end_bytes - one.start_bytes) for one in found)
    words = "%s: outside all files (free space or structures of the file system)" % volume.name
    return found + [_Hit(one.start_bytes, one.end_bytes, "", words) for one in volume.hits.difference(covered)]


def _all(volume: _Volume, words: str) -> List[_Hit]:
    return [_Hit(one.start_bytes, one.end_bytes, "", "%s: %s" % (volume.name, words)) for one in volume.hits]


def _walk(volume: _Volume, tree: FileTree) -> Iterator[_Hit]:
    """Every file that is hit. A folder that can't be read is a separate hit; its content is unknown."""
    root = tree.root()
    pending: List[Tuple[int, str]] = [(root, "")]
    folders: Set[int] = {root}
    names = 0
    while pending:
        folder, path = pending.pop()
        try:
            for entry in tree.children(folder):
                names += 1
                if names > _MOST_NAMES:
                    yield from _all(volume, "it has too many files to list all of them")
                    return
                below = "%s/%s" % (path, entry.name)
                if not entry.is_folder:
                    yield from _pieces_of(volume, tree, entry.node, below)
                elif entry.node not in folders:
                    folders.add(entry.node)
                    pending.append((entry.node, below))
        except EngineError:
            yield from _all(volume, "the folder %s is unreadable" % (path or "/"))


def _pieces_of(volume: _Volume, tree: FileTree, node: int, path: str) -> Iterator[_Hit]:
    content = tree.content(node)
    for extent in content.extents if content is not None else ():
        start = volume.partition.start_bytes + extent.start_bytes
        for part in volume.hits.clipped(start, start + extent.length_bytes):
            yield _Hit(part.start_bytes, part.end_bytes, "%s:%s" % (volume.name, path), "")


def _entry(disk: str, lost: Lost, hits: List[_Hit]) -> Dict[str, Any]:
    end = lost.start_bytes + lost.length_bytes
    here = [one for one in hits if one.start_bytes < end and lost.start_bytes < one.end_bytes]
    files = sorted({one.path for one in here if one.path})
    where = sorted({one.where for one in here if one.where})
    covered = ExtentSet((one.start_bytes, one.end_bytes - one.start_bytes) for one in here)
    if ExtentSet([(lost.start_bytes, lost.length_bytes)]).difference(covered):
        where.append("%s: outside all volumes (partition tables or boot loaders)" % disk)
    return {
        "disk": disk,
        "offset": lost.start_bytes,
        "length": lost.length_bytes,
        "files": files[:_MOST_FILES],
        "files_count": len(files),
        "where": where,
        "reason": lost.reason,
    }
