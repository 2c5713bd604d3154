# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a server or a line makes of answers: an error of the catalogue, soon, in bounded memory.

``SPOILT_SEED`` and ``SPOILT_RUNS`` choose the cases.
"""

from __future__ import annotations

import contextlib
import os
import resource
import time
from pathlib import Path
from typing import Callable, Dict, List

import pytest
from engine.errors import EngineError
from engine.smb import link as smb_link
from engine.storage.contract import Storage
from engine.storage.sftp.storage import SftpStorage
from engine.storage.smb.storage import SmbStorage
from support.mutating import SpoilingProxy, SpoilingSftp
from support.refusing import check_sentence
from support.samba_server import PASSWORD, samba
from support.sftp_stub import PASSWORD as SFTP_PASSWORD
from support.sftp_stub import StubServer

SEED = int(os.environ.get("SPOILT_SEED", "0"))
LIMIT_SECONDS = 20.0
TIMEOUT_SECONDS = 1.0
MORE_MEMORY_KIB = 200 << 10
SMB_OPTIONS: Dict[str, Dict[str, str]] = {
    "smb signed": {"smb encrypt": "off"},
    "smb encrypted": {"smb encrypt": "required"},
    "smb 2": {"server max protocol": "SMB2_10"},
}


@pytest.fixture(autouse=True)
def flushes_are_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server may take minutes to bring to the disk what it has; here one second is long."""
    monkeypatch.setattr(smb_link, "_FLUSH_SECONDS", TIMEOUT_SECONDS)


def use(storage: Storage, folder: str) -> None:
    """Everything that a storage can be asked for."""
    storage.make_directory(folder)
    storage.put(folder + "/a", [b"x" * 100_000], replace=True)
    assert storage.get(folder + "/a", 0, 1 << 20).count(b"x") <= 100_000
    assert len(storage.list(folder)) <= 200_000
    storage.stat(folder + "/a")
    storage.rename(folder + "/a", folder + "/b")
    storage.make_directory(folder + "/c", exclusive=True)
    storage.remove_directory(folder + "/c")
    storage.delete(folder + "/b")
    storage.space()


def spoil(open_storage: Callable[[int], contextlib.AbstractContextManager], count: int, password: str) -> None:
    """Use a storage under each seed; what is not an error of the catalogue ends the test."""
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ends: List[str] = []
    for seed in range(SEED, SEED + int(os.environ.get("SPOILT_RUNS", str(count)))):
        started = time.monotonic()
        print("seed", seed, flush=True)
        try:
            with open_storage(seed) as storage:
                use(storage, "folder-%d" % seed)
            ends.append("")
        except EngineError as error:
            check_sentence(error, [password])
            ends.append(error.code)
        assert time.monotonic() - started < LIMIT_SECONDS, seed
    assert set(ends) - {""}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < peak_kib + MORE_MEMORY_KIB


def over_sftp(folder: Path, count: int) -> None:
    @contextlib.contextmanager
    def opened(seed: int):
        with StubServer(SpoilingSftp, (seed,)) as server:
            with SftpStorage(server.settings(str(folder)), timeout_seconds=TIMEOUT_SECONDS) as storage:
                yield storage

    spoil(opened, count, SFTP_PASSWORD)


def over_smb(folder: Path, options: Dict[str, str], count: int) -> None:
    with samba(folder, options=options) as server, contextlib.closing(SpoilingProxy(server.port)) as proxy:
        settings = {**server.settings, "port": proxy.port, "timeout_seconds": TIMEOUT_SECONDS}

        @contextlib.contextmanager
        def opened(seed: int):
            proxy.seed = seed
            with SmbStorage(settings) as storage:
                yield storage

        spoil(opened, count, PASSWORD)


def test_sftp(memory_path: Path) -> None:
    over_sftp(memory_path, 25)


@pytest.mark.parametrize("name", sorted(SMB_OPTIONS))
def test_smb(memory_path: Path, name: str) -> None:
    over_smb(memory_path, SMB_OPTIONS[name], 25)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_sftp_at_length(memory_path: Path) -> None:
    over_sftp(memory_path, 500)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", sorted(SMB_OPTIONS))
def test_smb_at_length(memory_path: Path, name: str) -> None:
    over_smb(memory_path, SMB_OPTIONS[name], 500)
