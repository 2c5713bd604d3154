# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A built file appears under its name complete, or the old one stays; a failed write leaves no other file."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any, List, Set

import pytest
from engine.errors import BundleFailed
from engine.install.publishing import publish

OLD, NEW = b"old", b"new" * 1000


def files_below(folder: Path) -> Set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_folders_above_are_made_and_the_file_has_all_bytes(tmp_path: Path) -> None:
    path = tmp_path / "bundles" / "linux" / "agent.zip"
    publish(str(path), NEW)
    assert path.read_bytes() == NEW
    assert files_below(tmp_path) == {"bundles/linux/agent.zip"}
    assert not stat.S_IMODE(path.stat().st_mode) & 0o111


def test_a_file_of_that_name_is_replaced_by_another_file(tmp_path: Path) -> None:
    """A reader that has the old one open reads the old one to its end."""
    path = tmp_path / "agent.zip"
    path.write_bytes(OLD)
    with path.open("rb") as reader:
        publish(str(path), NEW)
        assert reader.read() == OLD
    assert path.read_bytes() == NEW
    assert files_below(tmp_path) == {"agent.zip"}


def test_the_bytes_are_durable_before_the_name_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: List[str] = []
    synced, replaced = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        assert os.fstat(descriptor).st_size == len(NEW)
        calls.append("fsync")
        synced(descriptor)

    def replace(source: str, target: str) -> None:
        assert Path(source).read_bytes() == NEW
        assert not Path(target).exists()
        calls.append("replace")
        replaced(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    publish(str(tmp_path / "agent.zip"), NEW)
    assert calls == ["fsync", "replace"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_step_that_fails_leaves_the_old_file_and_no_other(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "agent.zip"
    path.write_bytes(OLD)

    def fail(*dummy: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(BundleFailed) as caught:
        publish(str(path), NEW)
    assert caught.value.fields == {"path": str(path), "reason": os.strerror(errno.ENOSPC)}
    assert path.read_bytes() == OLD
    assert files_below(tmp_path) == {"agent.zip"}


def test_an_interrupt_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "agent.zip"
    path.write_bytes(OLD)

    def interrupt(*dummy: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        publish(str(path), NEW)
    assert path.read_bytes() == OLD
    assert files_below(tmp_path) == {"agent.zip"}


@pytest.mark.parametrize(("name", "number"), [("file/agent.zip", errno.ENOTDIR), ("folder", errno.EISDIR)])
def test_a_path_that_can_not_be_a_file_is_a_failure_with_its_reason(name: str, number: int, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(OLD)
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(BundleFailed) as caught:
        publish(str(tmp_path / name), NEW)
    reasons = {os.strerror(number), os.strerror(errno.EEXIST)}  # makedirs says that a file is where a folder should be
    assert caught.value.fields["path"] == str(tmp_path / name)
    assert caught.value.fields["reason"] in reasons
    assert files_below(tmp_path) == {"file"}
    assert (tmp_path / "folder" / "inside").is_dir()
