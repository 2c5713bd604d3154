# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every call of the system that a directory storage makes fails with every error that shares and disks give: each operation
ends in an error of the catalogue that advises the right thing, or has done its work, and works again afterwards."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Tuple

import pytest
from engine.errors import EngineError, StorageMountGone
from engine.storage.local.storage import DirectoryStorage
from engine.storage.open import open_storage

CODES = {
    errno.ESTALE: "S101",
    errno.ENOTCONN: "S101",
    errno.EHOSTDOWN: "S101",
    errno.ETIMEDOUT: "S101",
    errno.EDQUOT: "S128",
    errno.ENOSPC: "S103",
    errno.EIO: "S102",
    errno.EACCES: "S104",
    errno.EPERM: "S104",
    errno.EROFS: "S104",
    errno.EMFILE: "S102",
}
CALLS = [
    "open",
    "read",
    "write",
    "fsync",
    "close",
    "link",
    "unlink",
    "rename",
    "replace",
    "mkdir",
    "rmdir",
    "stat",
    "scandir",
]
# A link that fails so may be one that the file system does not have: the file is renamed in its place.
TOLERATED = {("link", errno.EPERM), ("link", errno.EIO), ("link", errno.EMFILE)}

OPERATIONS: Dict[str, Callable[[DirectoryStorage], object]] = {
    "put": lambda storage: storage.put("pc/new", [b"x" * 5000]),
    "put anew": lambda storage: storage.put("pc/file", [b"some bytes"], replace=True),
    "read": lambda storage: storage.get("pc/file"),
    "forget the cache": lambda storage: storage.forget_cache("pc/file"),
    "list": lambda storage: storage.list("pc"),
    "list some": lambda storage: storage.list_some("pc", lambda name: True, 1),
    "stat": lambda storage: storage.stat("pc/file"),
    "modified": lambda storage: storage.modified_seconds("pc/file"),
    "rename": lambda storage: storage.rename("pc/file", "pc/moved"),
    "delete": lambda storage: storage.delete("pc/file"),
    "make": lambda storage: storage.make_directory("pc/deep/deeper"),
    "make alone": lambda storage: storage.make_directory("pc/alone", exclusive=True),
    "remove": lambda storage: storage.remove_directory("pc/empty"),
}


def fresh(folder: Path) -> DirectoryStorage:
    shutil.rmtree(folder, ignore_errors=True)
    storage = DirectoryStorage(str(folder))
    storage.make_directory("pc/empty")
    storage.put("pc/file", [b"some bytes"])
    return storage


class Fault:
    """The ``at``-th call of ``name`` fails, before its work or after it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, number: int, at: int, after: bool) -> None:
        self.fired = False
        self._left, self._number, self._after = at, number, after
        self._real = getattr(os, name)
        monkeypatch.setattr(os, name, self)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self._left -= 1
        if self._left:
            return self._real(*arguments, **named)
        if self._after or self._real.__name__ == "close":
            self._real(*arguments, **named)
        self.fired = True
        raise OSError(self._number, os.strerror(self._number))


def outcome(storage: DirectoryStorage, operation: str) -> str:
    try:
        OPERATIONS[operation](storage)
    except EngineError as error:
        return error.code
    return ""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("call", CALLS)
def test_each_error_of_each_call_in_each_operation(
    call: str, after: bool, memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if after and call in ("read", "open", "scandir", "stat"):
        after = False  # these change nothing
    reached = 0
    for operation in OPERATIONS:
        for at in (1, 2, 3):
            for number, code in CODES.items():
                storage = fresh(memory_path / "storage")
                with monkeypatch.context() as patch:
                    fault = Fault(patch, call, number, at, after)
                    told = outcome(storage, operation)
                if not fault.fired:
                    break
                reached += 1
                where = (operation, call, at, errno.errorcode[number], told)
                is_done = told == "" and (call, number) in TOLERATED | {("link", one) for one in CODES if after}
                assert told == code or is_done or (told == "" and call == "unlink"), where
                check_nothing_is_lost(memory_path / "storage" / "pc", operation)
                assert outcome(storage, operation) in ("", "S105", "S106"), where
    assert reached or call in ("rename",)


def check_nothing_is_lost(folder: Path, operation: str) -> None:
    held = [path for path in (folder / "file", folder / "moved") if path.exists()]
    assert held or operation == "delete"
    assert all(path.read_bytes() == b"some bytes" for path in held)
    new = folder / "new"
    assert not new.exists() or new.read_bytes() == b"x" * 5000


class Listing:
    """What ``os.scandir`` gives, of which the reading fails after the first name."""

    def __init__(self, folder: Any, number: int) -> None:
        self._found, self._number = real_scandir(folder), number

    def __enter__(self) -> Iterator[Any]:
        yield_first = iter([next(self._found)])

        def entries() -> Iterator[Any]:
            yield from yield_first
            raise OSError(self._number, os.strerror(self._number))

        return entries()

    def __exit__(self, *dummy: object) -> None:
        self._found.close()


real_scandir = os.scandir


@pytest.mark.parametrize(("number", "code"), CODES.items())
def test_a_listing_that_breaks_off_is_no_short_listing(
    number: int, code: str, memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = fresh(memory_path / "storage")
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", lambda folder: Listing(folder, number))
        assert outcome(storage, "list") == code


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.ENOTSUP])
def test_a_file_system_that_can_not_sync_directories_is_a_storage(
    number: int, memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = fresh(memory_path / "storage")
    sync = os.fsync

    def only_files(descriptor: int) -> None:
        if os.path.isdir("/proc/self/fd/%d" % descriptor):
            raise OSError(number, os.strerror(number))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", only_files)
    assert {operation: outcome(storage, operation) for operation in ("put", "make", "remove")} == dict.fromkeys(
        ("put", "make", "remove"), ""
    )


@pytest.mark.parametrize("number", [errno.ENOTCONN, errno.ESTALE])
def test_a_mount_that_does_not_answer_is_not_called_a_missing_directory(
    number: int, memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = memory_path / "storage"
    root.mkdir()
    fails: Dict[str, Tuple[Callable[..., Any], str]] = {name: (getattr(os, name), name) for name in ("stat", "lstat")}

    def failing(name: str) -> Callable[..., Any]:
        def call(path: Any, *arguments: Any, **named: Any) -> Any:
            if str(path) == str(root):
                raise OSError(number, os.strerror(number))
            return fails[name][0](path, *arguments, **named)

        return call

    for name in fails:
        monkeypatch.setattr(os, name, failing(name))
    with pytest.raises(StorageMountGone) as caught:
        open_storage({"url": str(root)})
    assert caught.value.code == "S101"
    assert "mount" in caught.value.as_dict()["hint"]
