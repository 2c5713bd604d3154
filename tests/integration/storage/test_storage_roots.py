# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory that is the storage is its owner's to make, on every kind of storage; what is below it is ours."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple

import pytest
from engine.errors import EngineError, StorageDirectoryMissing, StorageUnreachable, StorageUrlInvalid
from engine.storage.open import open_storage
from engine.storage.sftp.storage import SftpStorage
from engine.storage.smb.storage import SmbStorage
from engine.verbs.dispatch import run_job
from support.proxy import Proxy
from support.samba_server import samba
from support.sftp_server import SftpServer


class Place(NamedTuple):
    """A storage, and where it lies."""

    settings: Dict[str, Any]
    root: Path
    port: int


@contextlib.contextmanager
def _sftp(folder: Path) -> Iterator[Place]:
    with SftpServer(folder) as server:
        yield Place(server.settings(), server.root, server.port)


@contextlib.contextmanager
def _smb(folder: Path) -> Iterator[Place]:
    with samba(folder) as server:
        yield Place(server.settings, server.root / "plant", server.port)


@contextlib.contextmanager
def _directory(folder: Path) -> Iterator[Place]:
    (folder / "images").mkdir()
    yield Place({"url": str(folder / "images")}, folder / "images", 0)


KINDS = {"sftp": _sftp, "smb": _smb, "directory": _directory}


@pytest.fixture(params=sorted(KINDS))
def place(request: Any, tmp_path: Path) -> Iterator[Place]:
    with KINDS[request.param](tmp_path) as place:
        yield place


def test_a_root_that_is_not_there_is_refused_and_not_made(place: Place) -> None:
    place.root.rmdir()
    calls: List[Callable[[Any], object]] = [
        lambda storage: storage.list(""),
        lambda storage: storage.put("file", [b"x"]),
        lambda storage: storage.make_directory("pc/packs"),
        lambda storage: storage.make_directory("pc", exclusive=True),
        lambda storage: storage.stat("pc"),
        lambda storage: storage.space(),
    ]
    for call in calls:
        with pytest.raises(StorageDirectoryMissing) as caught, open_storage(place.settings) as storage:
            call(storage)
        assert not caught.value.retry
    for verb in ("check", "list"):
        job = {"verb": verb, "device": "pc", "storage": place.settings}
        with pytest.raises(EngineError) as refused:
            run_job(job, lambda event: None, lambda: False)
        assert refused.value.code == StorageDirectoryMissing.code
    assert not place.root.exists()


def test_what_is_below_a_root_is_made(place: Place) -> None:
    with open_storage(place.settings) as storage:
        storage.make_directory("pc/packs/ab")
        storage.put("pc/packs/ab/file", [b"x"])
    assert (place.root / "pc/packs/ab/file").read_bytes() == b"x"


def test_a_root_that_is_a_file(place: Place) -> None:
    place.root.rmdir()
    place.root.write_bytes(b"")
    with pytest.raises(StorageUrlInvalid), open_storage(place.settings) as storage:
        storage.list("")


@pytest.mark.parametrize("kind", ["sftp", "smb"])
def test_a_root_that_was_there_may_come_back(tmp_path: Path, kind: str) -> None:
    """A server that restarts answers before it has mounted everything: the run waits, and makes no directory meanwhile."""
    with KINDS[kind](tmp_path / "server") as place, Proxy(place.port) as proxy:
        settings = _through(place.settings, place.port, proxy.port)
        with SftpStorage(settings) if kind == "sftp" else SmbStorage(settings) as storage:
            storage.put("file", [b"x"])
            moved = place.root.with_name("elsewhere")
            shutil.move(str(place.root), str(moved))
            proxy.cut()
            proxy.mend()
            for dummy in range(2):
                with pytest.raises(StorageUnreachable) as caught:
                    storage.put("other", [b"y"])
                assert caught.value.retry
            assert not place.root.exists()
            shutil.move(str(moved), str(place.root))
            assert storage.get("file") == b"x"


def _through(settings: Dict[str, Any], port: int, other: int) -> Dict[str, Any]:
    if "port" in settings:
        return dict(settings, port=other)
    return dict(settings, url=settings["url"].replace(":%d/" % port, ":%d/" % other))
