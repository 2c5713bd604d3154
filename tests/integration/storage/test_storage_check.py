# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check before the first image: every storage passes it, and what is missing is one sentence."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Dict

import pytest
from engine.entries import Space
from engine.errors import EngineError, PasswordWrong, StorageFull, StoragePermissionDenied, StorageReadBackDiffers
from engine.storage.check import check_storage
from engine.storage.contract import PARTIAL_SUFFIX, Storage
from engine.storage.local.storage import DirectoryStorage
from engine.verbs.dispatch import run_job
from support.storage_factories import SharedServers
from support.storages import HookedStorage, MemoryStorage


@pytest.mark.parametrize(
    "name",
    [
        "directory",
        "memory",
        "sftp",
        "sftp_without_extensions",
        "sftp_proftpd",
        "sftp_proftpd_plain",
        "smb",
        "smb_encrypted",
    ],
)
def test_every_storage_passes_and_nothing_stays(name: str, shared_servers: SharedServers) -> None:
    with shared_servers.storage(name) as (dummy_root, opener):
        storage = opener()
        found = check_storage(storage, "press-07")
        assert found.may_delete
        assert found.may_replace
        assert found.may_rename
        assert found.undeletable == ""
        # The server is this machine; one in memory has no clock of its own.
        assert (found.clock_ahead_seconds is None) == (name == "memory")
        assert abs(found.clock_ahead_seconds or 0) < 60
        assert found.write_bytes_per_second > 0
        assert storage.list("press-07") == []


def refusing(*operations: str) -> Storage:
    """A storage whose account may not do some things."""

    def hook(moment: str, operation: str, path: str) -> None:
        if moment == "before" and operation in operations:
            raise StoragePermissionDenied(storage="memory", operation=operation, path=path)

    return HookedStorage(MemoryStorage(), hook)


def test_an_account_that_may_not_delete_is_told_apart() -> None:
    found = check_storage(refusing("delete"), "pc")
    assert not found.may_delete
    assert found.may_replace
    assert found.undeletable.startswith("pc/check-")
    assert found.undeletable.endswith(PARTIAL_SUFFIX)
    assert not check_storage(refusing("rename"), "pc").may_rename


@pytest.mark.parametrize("operation", ["list", "make_directory", "put"])
def test_what_every_run_needs_is_an_error(operation: str) -> None:
    with pytest.raises(StoragePermissionDenied):
        check_storage(refusing(operation), "pc")


def test_bytes_that_come_back_wrong_and_a_full_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = MemoryStorage()
    monkeypatch.setattr(storage, "read", lambda path, offset_bytes=0, length_bytes=None: iter([b"something else"]))
    with pytest.raises(StorageReadBackDiffers):
        check_storage(storage, "pc")

    def full(dummy_moment: str, operation: str, path: str) -> None:
        if operation == "put":
            raise StorageFull(storage="memory", path=path)

    with pytest.raises(StorageFull):
        check_storage(HookedStorage(MemoryStorage(), full), "pc")


def job(folder: Path, verb: str, **more: Any) -> Dict[str, Any]:
    (folder / "storage").mkdir(exist_ok=True)
    document = {"verb": verb, "device": "pc", "storage": {"url": str(folder / "storage")}}
    return run_job(dict(document, **more), lambda event: None, lambda: False)


def test_the_verb_tells_of_images_and_keys_and_tries_the_password(tmp_path: Path) -> None:
    (tmp_path / "disk.raw").write_bytes(bytes(1 << 20))
    before = job(tmp_path, "check", secrets={"password": "right"})
    assert before["images"] == 0
    assert before["has_key"] is False
    assert before["free_bytes"] > 0
    job(tmp_path, "image", secrets={"password": "right"}, drives=[str(tmp_path / "disk.raw")])
    after = job(tmp_path, "check", secrets={"password": "right"})
    assert after["images"] == 1
    assert after["has_key"] is True
    with pytest.raises(PasswordWrong):
        job(tmp_path, "check", secrets={"password": "wrong"})
    files = sorted(tmp_path.rglob("*"))
    looked = job(tmp_path, "check", check=True)
    assert "may_delete" not in looked
    assert sorted(tmp_path.rglob("*")) == files
    with pytest.raises(EngineError):
        run_job({"verb": "check", "device": "pc", "storage": {"url": "relative"}}, lambda event: None, lambda: False)


def test_the_verb_warns_where_the_next_image_may_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "disk.raw").write_bytes(random.Random(1).randbytes(4 << 20))
    job(tmp_path, "image", drives=[str(tmp_path / "disk.raw")])
    assert job(tmp_path, "check")["warnings"] == []
    monkeypatch.setattr(DirectoryStorage, "space", lambda storage: Space(1 << 30, 100_000))
    for check in (False, True):
        (warning,) = job(tmp_path, "check", check=check)["warnings"]
        assert "may need about" in warning
