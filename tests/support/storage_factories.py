# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every storage there is, for suites that run over all of them.

A factory takes a directory, starts what it needs there, and yields a function that opens the storage: each call gives
a new ``Storage`` over the same root, as another process would have it.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Callable, ContextManager, Dict, Iterator

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
Factory = Callable[[Path], ContextManager[Open]]


@contextlib.contextmanager
def memory(dummy_folder: Path) -> Iterator[Open]:
    storage = MemoryStorage()
    yield lambda: storage


@contextlib.contextmanager
def directory(folder: Path) -> Iterator[Open]:
    yield lambda: DirectoryStorage(str(folder / "storage"))


@contextlib.contextmanager
def sftp(folder: Path) -> Iterator[Open]:
    with SftpServer(folder) as server, contextlib.ExitStack() as opened:
        yield lambda: opened.enter_context(SftpStorage(server.settings()))


@contextlib.contextmanager
def sftp_without_extensions(folder: Path) -> Iterator[Open]:
    (folder / "images").mkdir()
    with plain_server(folder / "images") as server, contextlib.ExitStack() as opened:
        yield lambda: opened.enter_context(SftpStorage(server.settings()))


def sftp_proftpd(options: str = "") -> Factory:
    """A factory for a ProFTPD with further lines of its configuration."""

    @contextlib.contextmanager
    def factory(folder: Path) -> Iterator[Open]:
        with proftpd(folder, options) as server, contextlib.ExitStack() as opened:
            yield lambda: opened.enter_context(SftpStorage(server.settings))

    return factory


@contextlib.contextmanager
def sftp_with_retries(folder: Path) -> Iterator[Open]:
    with SftpServer(folder) as server, contextlib.ExitStack() as opened:
        yield lambda: opened.enter_context(RetryingStorage(SftpStorage(server.settings()), 60.0))


def smb(**server: Any) -> Factory:
    """A factory for a share; ``server`` is what ``SambaServer`` is to be told."""

    @contextlib.contextmanager
    def factory(folder: Path) -> Iterator[Open]:
        with samba(folder, **server) as running, contextlib.ExitStack() as opened:
            yield lambda: opened.enter_context(SmbStorage(running.settings))

    return factory


@contextlib.contextmanager
def smb_with_retries(folder: Path) -> Iterator[Open]:
    with samba(folder) as server, contextlib.ExitStack() as opened:
        yield lambda: opened.enter_context(RetryingStorage(SmbStorage(server.settings), 60.0))


FACTORIES: Dict[str, Factory] = {
    "memory": memory,
    "directory": directory,
    "sftp": sftp,
    "sftp_without_extensions": sftp_without_extensions,
    "sftp_proftpd": sftp_proftpd(),
    "sftp_proftpd_plain": sftp_proftpd("SFTPExtensions -fsync -posixRename -statvfs -hardlink -homeDirectory"),
    "sftp_with_retries": sftp_with_retries,
    "smb": smb(),
    "smb_encrypted": smb(options={"smb encrypt": "required"}),
    "smb_2": smb(options={"server max protocol": "SMB2_10"}),
    "smb_odd_path": smb(share=ODD_SHARE, below="Sicherung größe 2\\ab cd"),
    "smb_with_retries": smb_with_retries,
}

# Every version of SMB 2 and 3 that Samba speaks; ``smb_2`` above and ``smb`` (3.1.1) stand for all in the short run.
DIALECTS = {"SMB2_02": 0x0202, "SMB2_10": 0x0210, "SMB3_00": 0x0300, "SMB3_02": 0x0302, "SMB3_11": 0x0311}
LONG_FACTORIES: Dict[str, Factory] = {
    "smb_at_%s" % name.lower(): smb(options={"server max protocol": name}) for name in DIALECTS if name != "SMB2_10"
}
