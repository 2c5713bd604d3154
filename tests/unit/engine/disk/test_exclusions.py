# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files a walk leaves out of a tree in memory, which it keeps, and what it says."""

from __future__ import annotations

from typing import Dict, Iterator, List, Optional, Tuple

import pytest
from engine.disk import exclusions
from engine.disk.exclusions import Exclusion, LeftOut, leave_out, notes, remarks, totals
from engine.disk.extents import ExtentSet
from engine.disk.filesystems.contract import FileContent, FileTree, FolderEntry
from engine.disk.patterns import Pattern
from engine.errors import FileSystemInvalid

CLUSTER = 4096


class MemoryTree(FileTree):
    """A tree of nested dictionaries; a file is ``(cluster, links, node)`` or None for what can't be left out."""

    def __init__(self, root: Dict[str, object], case_sensitive: bool = False) -> None:
        self.case_sensitive = case_sensitive
        self._nodes: List[object] = []
        self._files: Dict[int, int] = {}
        self.visited: List[int] = []
        self._root = self._add(root)

    def _add(self, value: object) -> int:
        self._nodes.append(value)
        return len(self._nodes) - 1

    def root(self) -> int:
        return self._root

    def children(self, node: int) -> Iterator[FolderEntry]:
        self.visited.append(node)
        folder = self._nodes[node]
        assert isinstance(folder, dict)
        for name, value in folder.items():
            if isinstance(value, dict):
                known = [place for place, other in enumerate(self._nodes) if other is value]
                yield FolderEntry(name, known[0] if known else self._add(value), True)
            else:
                if id(value) not in self._files:
                    self._files[id(value)] = self._add(value)
                yield FolderEntry(name, self._files[id(value)], False)

    def content(self, node: int) -> Optional[FileContent]:
        value = self._nodes[node]
        if value is None:
            return None
        cluster, links = value  # type: ignore[misc]
        return FileContent(ExtentSet([(cluster * CLUSTER, CLUSTER)]), links)

    def protected(self) -> ExtentSet:
        return ExtentSet([(0, CLUSTER)])


USED = ExtentSet([(0, 100 * CLUSTER)])


def file(cluster: int, links: int = 1) -> Tuple[int, int]:
    return (cluster, links)


def run(tree: FileTree, *patterns: str) -> Exclusion:
    return leave_out(USED, tree, [Pattern.parse(text).below([], tree.case_sensitive) for text in patterns])


def clusters(outcome: Exclusion) -> List[int]:
    """The clusters that were left out."""
    gone = USED.difference(outcome.kept)
    return [n for extent in gone for n in range(extent.start_bytes // CLUSTER, extent.end_bytes // CLUSTER)]


@pytest.fixture
def tree() -> MemoryTree:
    return MemoryTree(
        {
            "pagefile.sys": file(1),
            "Temp": {"a.tmp": file(2), "b.log": file(3), "sub": {"c.tmp": file(4), "deep": {"d.tmp": file(5)}}},
            "Data": {"sub": {"c.tmp": file(6)}, "Größe.TMP": file(7)},
            "system": None,
        }
    )


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("\\pagefile.sys", [1]),
        ("\\PAGEFILE.SYS", [1]),
        ("\\Temp\\*", [2, 3]),
        ("\\Temp\\*.tmp", [2]),
        ("\\Temp\\**", [2, 3, 4, 5]),
        ("\\Temp\\", [2, 3, 4, 5]),
        ("\\Temp\\**\\*.tmp", [2, 4, 5]),
        ("\\Temp\\*\\*.tmp", [4]),
        ("\\*\\sub\\c.tmp", [4, 6]),
        ("\\**\\sub\\**", [4, 5, 6]),
        ("**\\*.tmp", [2, 4, 5, 6, 7]),
        ("\\data\\gRÖße.tmp", [7]),
        ("\\Temp", []),
        ("\\Temp\\*\\*\\*\\*", []),
        ("\\nothing\\here", []),
        ("\\system", []),
        ("/**", [1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_what_a_pattern_leaves_out(tree: MemoryTree, pattern: str, expected: List[int]) -> None:
    outcome = run(tree, pattern)
    assert clusters(outcome) == expected
    assert outcome.matched[0].files == len(expected)
    assert outcome.matched[0].saved_bytes == len(expected) * CLUSTER
    assert outcome.warnings == []


class Pieces(MemoryTree):
    """Its files lie in two pieces: a page and a half, and half a page."""

    def content(self, node: int) -> Optional[FileContent]:
        place = super().content(node)
        assert place is not None
        start = next(iter(place.extents)).start_bytes * 100
        return FileContent(ExtentSet([(start, 6144), (start + 50 * CLUSTER, 2048)]), place.links)


def test_system_files_keep_the_first_page_of_each_piece_and_excluded_ones_nothing() -> None:
    tree = Pieces({"hiberfil.sys": file(1), "a.tmp": file(2)})
    used = ExtentSet([(0, 1000 * CLUSTER)])
    patterns = [Pattern.parse(text).below((), False) for text in ("\\hiberfil.sys", "\\*")]
    outcome = leave_out(used, tree, patterns, with_heads=1)
    assert used.difference(outcome.kept) == ExtentSet(
        [(100 * CLUSTER + 4096, 2048), (200 * CLUSTER, 6144), (250 * CLUSTER, 2048)]
    )
    assert [(one.files, one.saved_bytes) for one in outcome.matched] == [(1, 2048), (1, 8192)]


def test_case_counts_where_the_file_system_says_so() -> None:
    tree = MemoryTree({"Temp": {"a": file(1)}, "temp": {"a": file(2), "A": file(3)}}, case_sensitive=True)
    assert clusters(run(tree, "/temp/a")) == [2]


def test_only_folders_that_a_pattern_reaches_are_read(tree: MemoryTree) -> None:
    run(tree, "\\Temp\\sub\\*.tmp", "\\pagefile.sys")
    assert len(tree.visited) == 3


def test_a_file_counts_for_the_first_pattern_only(tree: MemoryTree) -> None:
    outcome = run(tree, "\\Temp\\a.tmp", "\\Temp\\*")
    assert [one.files for one in outcome.matched] == [1, 1]
    assert clusters(outcome) == [2, 3]


def test_a_second_name_outside_keeps_the_file() -> None:
    shared = file(5, links=2)
    tree = MemoryTree({"Temp": {"a": shared, "b": file(6)}, "Keep": {"a": shared}})
    outcome = run(tree, "\\Temp\\*")
    assert clusters(outcome) == [6]
    assert outcome.matched[0].kept_links == 1


def test_a_second_name_inside_does_not_keep_it() -> None:
    shared = file(5, links=2)
    tree = MemoryTree({"Temp": {"a": shared, "sub": {"b": shared}}})
    assert clusters(run(tree, "\\Temp\\**")) == [5]
    assert clusters(run(tree, "\\Temp\\a", "\\Temp\\sub\\b")) == [5]
    assert clusters(run(tree, "\\Temp\\a")) == []


def test_protected_bytes_stay_whatever_a_file_claims() -> None:
    tree = MemoryTree({"evil": file(0), "good": file(1)})
    assert clusters(run(tree, "\\*")) == [1]


def test_a_cycle_of_folders_ends() -> None:
    loop: Dict[str, object] = {"a.tmp": file(1)}
    loop["again"] = loop
    root: Dict[str, object] = {"loop": loop}
    loop["up"] = root
    assert clusters(run(MemoryTree(root), "**\\a.tmp")) == [1]


def test_an_endless_folder_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(MemoryTree):
        def children(self, node: int) -> Iterator[FolderEntry]:
            yield from super().children(node)
            while True:
                yield FolderEntry("x", 9999, False)

    monkeypatch.setattr(exclusions, "_MAX_NAMES", 1000)
    shared = file(4, links=2)
    outcome = run(Endless({"a": file(3), "b": shared}), "\\a", "\\b")
    assert clusters(outcome) == [3]
    assert "too many files" in outcome.warnings[0]


def test_a_tree_that_contradicts_itself_keeps_everything() -> None:
    class Broken(MemoryTree):
        def content(self, node: int) -> Optional[FileContent]:
            if self._nodes[node] == file(2):
                raise FileSystemInvalid(kind="NTFS", path="disk", reason="a run lies outside the volume")
            return super().content(node)

    outcome = run(Broken({"a": file(1), "b": file(2)}), "\\*")
    assert outcome.kept == USED
    assert outcome.matched[0].files == 0
    assert "a run lies outside the volume" in outcome.warnings[0]


def test_totals_over_volumes_and_what_the_user_is_told() -> None:
    found = totals(
        [
            LeftOut("\\Temp\\*"),
            LeftOut("C:\\Big\\*"),
            LeftOut("\\Logs"),
            LeftOut("\\Shared\\*"),
            LeftOut("\\pagefile.sys", True, 1, 4096),
            LeftOut("\\hiberfil.sys", True),
            LeftOut("\\Temp\\*", False, 2, 100),
            LeftOut("\\Logs", False, 0, 0, 1),
            LeftOut("\\Shared\\*", False, 1, 7, 0, 3),
            LeftOut("\\Temp\\*", False, 3, 10),
        ]
    )
    assert [(one.pattern, one.files, one.saved_bytes) for one in found] == [
        ("\\Temp\\*", 5, 110),
        ("C:\\Big\\*", 0, 0),
        ("\\Logs", 0, 0),
        ("\\Shared\\*", 1, 7),
        ("\\pagefile.sys", 1, 4096),
    ]
    assert notes(found)[0] == "Excluded by \\Temp\\*: 5 files, 110 bytes."
    told = remarks(found)
    assert len(told) == 3
    assert "C:\\Big\\* matches no file" in told[0]
    assert "write \\Big\\* instead" in told[0]
    assert "write \\Logs\\**" in told[1]
    assert "3 files" in told[2]
