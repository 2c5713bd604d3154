# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every storage there is, for suites that run over all of them.

A kind starts what it needs in a directory and yields it ``Running``: each call of its ``open`` gives a new ``Storage``, as
another process would have it. A factory opens the storage of a server of its own; ``SharedServers`` starts each kind once
for many tests, each of which has a directory of its own there.
"""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path
from typing import Any, Callable, ContextManager, Dict, Iterator, NamedTuple, Tuple

from engine.storage.contract import Storage
from engine.storage.local.storage import DirectoryStorage
from engine.storage.retry import RetryingStorage
from engine.storage.sftp.storage import SftpStorage
from engine.storage.smb.storage import SmbStorage

from .proftpd_server import proftpd
from .samba_server import ODD_SHARE, samba
from .sftp_server import SftpServer
from .sftp_stub import plain_server
from .storages import MemoryStorage

Open = Callable[[], Storage]


class Running(NamedTuple):
    """``root`` is where the storage lies on this machine; ``open`` takes the name of a directory there, or nothing."""

    root: Path
    open: Callable[[str], Storage]
    makes_its_root: bool = False  # the storage does so, when it writes for the first time


Kind = Callable[[Path], ContextManager[Running]]
Factory = Callable[[Path], ContextManager[Open]]


@contextlib.contextmanager
def _memory(folder: Path) -> Iterator[Running]:
    storages: Dict[str, MemoryStorage] = {}
    yield Running(folder / "not on any disk", lambda below: storages.setdefault(below, MemoryStorage()), True)


@contextlib.contextmanager
def _directory(folder: Path) -> Iterator[Running]:
    yield Running(folder, lambda below: DirectoryStorage(str(folder / (below or "storage"))), True)


def _sftp_at(settings: Dict[str, Any], below: str) -> SftpStorage:
    return SftpStorage(dict(settings, url=settings["url"] + ("/" + below if below else "")))


@contextlib.contextmanager
def _sftp(folder: Path) -> Iterator[Running]:
    with SftpServer(folder) as server:
        yield Running(server.root, lambda below: _sftp_at(server.settings(), below))


@contextlib.contextmanager
def _sftp_without_extensions(folder: Path) -> Iterator[Running]:
    (folder / "images").mkdir()
    with plain_server(folder / "images") as server:
        yield Running(folder / "images", lambda below: _sftp_at(server.settings(), below))


def _sftp_proftpd(options: str = "") -> Kind:
    """A ProFTPD with further lines of its configuration."""

    @contextlib.contextmanager
    def kind(folder: Path) -> Iterator[Running]:
        with proftpd(folder, options) as server:
            yield Running(server.root, lambda below: _sftp_at(server.settings, below))

    return kind


def _smb(**server: Any) -> Kind:
    """A share; ``server`` is what ``SambaServer`` is to be told."""

    @contextlib.contextmanager
    def kind(folder: Path) -> Iterator[Running]:
        with samba(folder, **server) as running:
            settings = running.settings
            root = running.root.joinpath(*running.below.split("\\"))
            yield Running(
                root,
                lambda below: SmbStorage(dict(settings, url=settings["url"] + ("\\" + below if below else ""))),
            )

    return kind


def _with_retries(plain: Kind) -> Kind:
    @contextlib.contextmanager
    def kind(folder: Path) -> Iterator[Running]:
        with plain(folder) as running:
            yield running._replace(open=lambda below: RetryingStorage(running.open(below), 60.0))

    return kind


def _alone(kind: Kind) -> Factory:
    """A factory for a storage on a server that nobody else uses."""

    @contextlib.contextmanager
    def factory(folder: Path) -> Iterator[Open]:
        with kind(folder) as running, contextlib.ExitStack() as opened:
            yield lambda: opened.enter_context(running.open(""))

    return factory


_KINDS: Dict[str, Kind] = {
    "memory": _memory,
    "directory": _directory,
    "sftp": _sftp,
    "sftp_without_extensions": _sftp_without_extensions,
    "sftp_proftpd": _sftp_proftpd(),
    "sftp_proftpd_plain": _sftp_proftpd("SFTPExtensions -fsync -posixRename -statvfs -hardlink -homeDirectory"),
    "sftp_with_retries": _with_retries(_sftp),
    "smb": _smb(),
    "smb_encrypted": _smb(options={"smb encrypt": "required"}),
    "smb_2": _smb(options={"server max protocol": "SMB2_10"}),
    "smb_odd_path": _smb(share=ODD_SHARE, below="Sicherung größe 2\\ab cd"),
    "smb_with_retries": _with_retries(_smb()),
}

# Every version of SMB 2 and 3 that Samba speaks; ``smb_2`` above and ``smb`` (3.1.1) stand for all in the short run.
DIALECTS = {"SMB2_02": 0x0202, "SMB2_10": 0x0210, "SMB3_00": 0x0300, "SMB3_02": 0x0302, "SMB3_11": 0x0311}
_LONG_KINDS: Dict[str, Kind] = {
    "smb_at_%s" % name.lower(): _smb(options={"server max protocol": name}) for name in DIALECTS if name != "SMB2_10"
}

FACTORIES: Dict[str, Factory] = {name: _alone(kind) for name, kind in _KINDS.items()}
LONG_FACTORIES: Dict[str, Factory] = {name: _alone(kind) for name, kind in _LONG_KINDS.items()}


class SharedServers:
    """Servers that start when the first test asks for them and stay up: for tests that leave them as they are."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: Dict[str, Running] = {}
        self._numbers = itertools.count(1)
        self._started = contextlib.ExitStack()

    @contextlib.contextmanager
    def storage(self, name: str) -> Iterator[Tuple[Path, Open]]:
        """Give a test an empty directory of its own on that kind of server: where it lies here, and how it is opened."""
        if name not in self._running:
            folder = self._folder / name
            folder.mkdir()
            self._running[name] = self._started.enter_context({**_KINDS, **_LONG_KINDS}[name](folder))
        running = self._running[name]
        below = "test-%d" % next(self._numbers)
        root = running.root / below
        if not running.makes_its_root:
            root.mkdir()
            root.chmod(0o777)
        with contextlib.ExitStack() as opened:
            yield root, lambda: opened.enter_context(running.open(below))

    def stop(self) -> None:
        self._started.close()
