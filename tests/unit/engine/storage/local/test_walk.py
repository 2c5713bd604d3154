# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rule 13: who may write in his own directory of a storage can't make the process that works there touch anything outside."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import pytest
from engine.errors import StorageExists, StorageNotFound, StoragePathInvalid, StoragePermissionDenied
from engine.storage.local.storage import DirectoryStorage
from engine.storage.local.walk import LinkInTheWay, reach


class Yard:
    """A storage with a folder of a device's own, and beside it a victim that holds files of the same names."""

    def __init__(self, top: Path) -> None:
        self.root, self.own, self.victim = top / "storage", top / "storage" / "dev" / "keys", top / "victim"
        self.own.mkdir(parents=True)
        for folder in (self.own, self.victim):
            (folder / "inner").mkdir(parents=True)
            (folder / "shadow").write_bytes(b"secret of %s" % folder.name.encode())
        self.before = self.content()
        self.swapped = False

    def content(self) -> Dict[str, bytes]:
        return {
            str(path.relative_to(self.victim)): path.read_bytes() if path.is_file() else b""
            for path in sorted(self.victim.rglob("*"))
        }

    def swap(self) -> None:
        """What the owner of the folder does at the worst moment."""
        if not self.swapped:
            self.swapped = True
            self.own.rename(self.own.parent / "aside")
            self.own.symlink_to(self.victim)


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


Operation = Callable[[DirectoryStorage], object]
OPERATIONS: List[Tuple[str, str, Operation]] = [
    ("put", "open", lambda storage: storage.put("dev/keys/new", [b"x"])),
    ("publish", "link", lambda storage: storage.put("dev/keys/new", [b"x"])),
    ("replace", "replace", lambda storage: storage.put("dev/keys/shadow", [b"x"], replace=True)),
    ("read", "open", lambda storage: storage.get("dev/keys/shadow")),
    ("list", "scandir", lambda storage: storage.list("dev/keys")),
    ("stat", "stat", lambda storage: storage.stat("dev/keys/shadow")),
    ("modified_seconds", "stat", lambda storage: storage.modified_seconds("dev/keys/shadow")),
    ("delete", "unlink", lambda storage: storage.delete("dev/keys/shadow")),
    ("rename from", "rename", lambda storage: storage.rename("dev/keys/shadow", "dev/mine")),
    ("rename to", "rename", lambda storage: storage.rename("other", "dev/keys/other")),
    ("make_directory", "mkdir", lambda storage: storage.make_directory("dev/keys/made")),
    ("make_directory above", "mkdir", lambda storage: storage.make_directory("dev/keys/made/deep")),
    ("exclusive", "mkdir", lambda storage: storage.make_directory("dev/keys/made", exclusive=True)),
    ("remove_directory", "rmdir", lambda storage: storage.remove_directory("dev/keys/inner")),
    ("forget_cache", "open", lambda storage: storage.forget_cache("dev/keys/shadow")),
]


@pytest.mark.parametrize(("call", "run"), [row[1:] for row in OPERATIONS], ids=[row[0] for row in OPERATIONS])
def test_a_folder_that_becomes_a_link_leads_nowhere(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, call: str, run: Operation
) -> None:
    """The swap comes before the first, the second, ... call of the system, so that no moment is left out."""
    (yard.root / "other").write_bytes(b"other")
    storage = DirectoryStorage(str(yard.root))
    real, calls, swap_at = getattr(os, call), [0], [0]

    def swapping(*arguments: Any, **more: Any) -> Any:
        calls[0] += 1
        if calls[0] == swap_at[0]:
            yard.swap()
        return real(*arguments, **more)

    monkeypatch.setattr(os, call, swapping)
    for moment in range(1, 9):
        calls[0], swap_at[0] = 0, moment
        try:
            answer = run(storage)
        except (StoragePermissionDenied, StorageNotFound, StorageExists):
            answer = b""
        assert not isinstance(answer, bytes) or b"victim" not in answer
        assert yard.content() == yard.before
        if yard.swapped:
            break
    assert yard.swapped, "%s was never called" % call


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_link_on_the_way_is_refused_by_name(tmp_path: Path, depth: int) -> None:
    names = ["a", "b", "c", "file"]
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    place = tmp_path.joinpath(*names[:depth])
    place.rename(tmp_path / "aside")
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LinkInTheWay) as caught, reach(str(tmp_path), "/".join(names)):
        raise AssertionError("it was followed")
    assert caught.value.name == names[depth - 1]
    with pytest.raises(StoragePermissionDenied):
        DirectoryStorage(str(tmp_path)).put("/".join(names), [b"x"])
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_root_may_be_a_link(tmp_path: Path) -> None:
    """The operator named it: that is his choice and nobody else's."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    DirectoryStorage(str(tmp_path / "link")).put("file", [b"x"])
    assert (tmp_path / "real" / "file").read_bytes() == b"x"


def test_a_last_name_that_is_a_link_is_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"outside")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "target")
    storage = DirectoryStorage(str(tmp_path / "root"))
    with pytest.raises(StorageNotFound):
        storage.get("link")
    with pytest.raises(StorageNotFound):
        storage.list("link")
    with pytest.raises(StorageExists):
        storage.make_directory("link")
    storage.put("link", [b"ours"], replace=True)
    assert (tmp_path / "target").read_bytes() == b"outside"
    assert (tmp_path / "root" / "link").read_bytes() == b"ours"


@pytest.mark.parametrize("path", ["../victim", "a/../../victim", "/etc", "a//b", "a/./b", ".."])
def test_a_path_that_leaves_the_root_is_refused_before_anything_is_opened(tmp_path: Path, path: str) -> None:
    with pytest.raises(StoragePathInvalid), reach(str(tmp_path), path):
        raise AssertionError("it was opened")


def test_a_folder_that_may_be_entered_and_not_listed_is_enough(tmp_path: Path) -> None:
    """A device's account that may only create has no more than that."""
    (tmp_path / "drop" / "box").mkdir(parents=True)
    (tmp_path / "drop" / "box" / "known").write_bytes(b"x")
    tmp_path.chmod(0o755)
    os.chmod(tmp_path / "drop", 0o711)
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.chdir(tmp_path)  # the directories above are root's alone
            os.setgid(65534)
            os.setuid(65534)
            with reach(".", "drop/box/known") as place:
                os.write(write_end, b"%d" % place.status().st_size)
            status = 0
        finally:
            os._exit(status)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as answer:
        told = answer.read()
    assert (os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), told) == (0, b"1")
