# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exclusion of the content of files: which files of a volume the patterns match, and which bytes that saves.

The clusters of an excluded file become holes of the image, like free space. Metadata still names the file, so the
restored volume has it with its size and undefined content. Everything in doubt is kept: a file with a name that no
pattern matches (a hard link elsewhere), the file system's own files, a volume whose folders contradict themselves.
"""

from __future__ import annotations

from array import array
from typing import Any, Dict, Iterable, List, NamedTuple, Sequence, Set, Tuple

from ..amounts import size
from ..errors import FileSystemInvalid
from .extents import ExtentSet
from .filesystems.contract import FileContent, FileTree
from .patterns import PatternSegment

_MAX_FOLDERS = 2_000_000
_MAX_NAMES = 50_000_000
_MAX_LINKED_FILES = 1_000_000
_MAX_PIECES = 4_000_000
_HEAD_BYTES = 4096  # a page of Windows: the header of hiberfil.sys, of a swap file, of a store of shadow copies

_State = Tuple[int, int]  # pattern, segment that the next name must match


class Matched(NamedTuple):
    """The effect of one pattern on one volume."""

    files: int
    saved_bytes: int
    folders: int  # folders that the pattern names exactly: their files were not asked for
    kept_links: int  # files that stay because they have another name that no pattern matches


class Exclusion(NamedTuple):
    """The outcome for one volume: the bytes to keep, one :class:`Matched` for each pattern, warnings."""

    kept: ExtentSet
    matched: List[Matched]
    warnings: List[str]


class LeftOut(NamedTuple):
    """The effect of a pattern on one volume, or (see :func:`totals`) on all volumes of a run."""

    pattern: str
    automatic: bool = False  # one of those that every image excludes
    files: int = 0
    saved_bytes: int = 0
    folders: int = 0
    kept_links: int = 0
    was_looked_for: bool = True  # no where every volume that it is about is imaged whole, or is not in the image

    def as_dict(self) -> Dict[str, Any]:
        return {
            "pattern": self.pattern,
            "automatic": self.automatic,
            "files": self.files,
            "saved_bytes": self.saved_bytes,
        }


def totals(found: Iterable[LeftOut]) -> List[LeftOut]:
    """Add up over volumes and disks, in the order in which patterns come first; automatic ones only where they matched."""
    sums: Dict[Tuple[str, bool], LeftOut] = {}
    for one in found:
        before = sums.get((one.pattern, one.automatic), LeftOut(one.pattern, one.automatic))
        sums[one.pattern, one.automatic] = LeftOut(
            one.pattern,
            one.automatic,
            before.files + one.files,
            before.saved_bytes + one.saved_bytes,
            before.folders + one.folders,
            before.kept_links + one.kept_links,
        )
    return [one for one in sums.values() if one.files or not one.automatic]


def with_unasked(found: List[LeftOut], patterns: Iterable[str]) -> List[LeftOut]:
    """Add those of ``patterns`` that no volume was asked for, so that nothing is said of files that were never looked at."""
    known = {one.pattern for one in found}
    return found + [LeftOut(text, was_looked_for=False) for text in patterns if text not in known]


def notes(found: Iterable[LeftOut]) -> List[str]:
    """A line for the log of a run for each pattern that matched."""
    return [
        "Excluded by %s: %d files, %s." % (one.pattern, one.files, size(one.saved_bytes)) for one in found if one.files
    ]


def remarks(found: Iterable[LeftOut]) -> List[str]:
    """Warnings about the patterns of a run: those that match no file, and files that stay."""
    lines = []
    for one in found:
        if one.kept_links and not one.automatic:
            lines.append(
                "%d files that match the exclusion %s stay in the image: each has another name that is not excluded."
                % (one.kept_links, one.pattern)
            )
        elif not one.was_looked_for:
            lines.append(
                "The exclusion %s was not applied: the volume that it names is imaged whole, or is not in the image."
                % one.pattern
            )
        elif not one.files and not one.automatic:
            lines.append("The exclusion %s matches no file%s." % (one.pattern, _why_nothing(one)))
    return lines


def _why_nothing(one: LeftOut) -> str:
    separator = "\\" if "\\" in one.pattern else "/"
    if one.folders:
        return " but a folder: write %s%s** to exclude its content" % (one.pattern, separator)
    if one.pattern[1:2] == ":":
        return " (image files have no drive letters: write %s instead)" % one.pattern[2:]
    return ""


def leave_out(
    used: ExtentSet, tree: FileTree, patterns: Sequence[Sequence[PatternSegment]], with_heads: int = 0
) -> Exclusion:
    """Return ``used`` without the content of the files that ``patterns`` match.

    :param used: the trusted map of a volume that is frozen or offline.
    :param patterns: for each pattern its segments below this volume's root (see :meth:`Pattern.below`).
    :param with_heads: of how many of the first patterns the files keep their heads: a system file of which a restore
        writes nothing would begin with what the target had there, perhaps with a header that is valid.
    :return: where a folder can't be read, everything is kept, with a warning.
    """
    nothing = [Matched(0, 0, 0, 0) for dummy in patterns]
    if not any(patterns):
        return Exclusion(used, nothing, [])
    walk = _Walk(tree, patterns)
    try:
        walk.run()
        protected = tree.protected() if walk.found_anything else ExtentSet()
    except FileSystemInvalid as error:
        return Exclusion(used, nothing, ["No file is excluded: %s" % error])
    kept, matched = used, []
    for number in range(len(patterns)):
        found = walk.found[number]
        head_bytes = _HEAD_BYTES if number < with_heads else 0
        rest = kept.difference(found.extents(head_bytes).difference(protected))
        saved = kept.total_bytes - rest.total_bytes
        matched.append(Matched(found.files, saved, found.folders, found.kept_links))
        kept = rest
    return Exclusion(kept, matched, walk.warnings)


class _Found:
    """The files that one pattern has matched so far; extents in a flat array, because a million files may match."""

    def __init__(self) -> None:
        self.files = 0
        self.folders = 0
        self.kept_links = 0
        self._pieces = array("Q")

    def add(self, content: FileContent) -> int:
        self.files += 1
        for extent in content.extents:
            self._pieces.append(extent.start_bytes)
            self._pieces.append(extent.length_bytes)
        return len(content.extents)

    def extents(self, head_bytes: int) -> ExtentSet:
        """All that was found, but the first ``head_bytes`` of each extent: they are not in the file's order, so that any may be its head."""
        starts, lengths = self._pieces[::2], self._pieces[1::2]
        return ExtentSet((start + head_bytes, max(0, length - head_bytes)) for start, length in zip(starts, lengths))


class _Linked(NamedTuple):
    """A file with several names of which some matched."""

    content: FileContent
    pattern: int
    names: int


class _Walk:
    """Visits the folders that a pattern can reach, each once."""

    def __init__(self, tree: FileTree, patterns: Sequence[Sequence[PatternSegment]]) -> None:
        self._tree = tree
        self._fold = not tree.case_sensitive
        self._patterns = patterns
        self._linked: Dict[int, _Linked] = {}
        self._names = 0
        self._pieces = 0
        self.found = [_Found() for dummy in patterns]
        self.warnings: List[str] = []

    def run(self) -> None:
        root = self._tree.root()
        start = frozenset((number, 0) for number, segments in enumerate(self._patterns) if segments)
        pending = [(root, start)]
        visited: Set[int] = {root}
        while pending:
            folder, states = pending.pop()
            for entry in self._tree.children(folder):
                self._names += 1
                if self._names > _MAX_NAMES or len(visited) > _MAX_FOLDERS or self._pieces > _MAX_PIECES:
                    self.warnings.append("The volume has too many files: some matching files were not excluded.")
                    self._settle_links()
                    return
                following, accepted = self._step(states, entry.name)
                if entry.is_folder:
                    self._note_folders(accepted)
                    if following and entry.node not in visited and self._tree.confirms(folder, entry):
                        visited.add(entry.node)
                        pending.append((entry.node, frozenset(following)))
                elif accepted and self._tree.confirms(folder, entry):
                    self._take(entry.node, min(accepted))
        self._settle_links()

    @property
    def found_anything(self) -> bool:
        return any(found.files for found in self.found)

    def _note_folders(self, accepted: Set[int]) -> None:
        for number in accepted:
            if self._patterns[number][-1].is_plain:
                self.found[number].folders += 1

    def _step(self, states: Iterable[_State], name: str) -> Tuple[Set[_State], Set[int]]:
        """The states after ``name``, and the patterns that end with it."""
        following: Set[_State] = set()
        accepted: Set[int] = set()
        folded = self._tree.fold(name) if self._fold else name
        for number, place in states:
            segments = self._patterns[number]
            while segments[place].crosses:
                following.add((number, place))
                place += 1
                if place == len(segments):
                    accepted.add(number)
                    break
            else:
                if segments[place].matches(folded):
                    if place + 1 == len(segments):
                        accepted.add(number)
                    else:
                        following.add((number, place + 1))
        return following, accepted

    def _take(self, node: int, number: int) -> None:
        linked = self._linked.get(node)
        if linked is not None:
            self._linked[node] = linked._replace(names=linked.names + 1, pattern=min(number, linked.pattern))
            return
        content = self._tree.content(node)
        if content is None:
            return
        if content.links <= 1:
            self._pieces += self.found[number].add(content)
        elif len(self._linked) < _MAX_LINKED_FILES:
            self._pieces += len(content.extents)
            self._linked[node] = _Linked(content, number, 1)

    def _settle_links(self) -> None:
        for content, number, names in self._linked.values():
            if names >= content.links:
                self.found[number].add(content)
            else:
                self.found[number].kept_links += 1
