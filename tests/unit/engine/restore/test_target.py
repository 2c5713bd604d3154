# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A target is written to by one restore at a time."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Callable

import pytest
from engine.errors import RestoreTargetBusy, RestoreTargetChanged
from engine.restore.target import Target
from support.filled import run
from support.refusing import failing


def test_two_restores_into_one_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    first, planned_with_it = Target(str(path)), Target(str(path))
    first.open_for_writing()
    with failing(RestoreTargetBusy, target=str(path)):
        Target(str(path)).open_for_writing()
    with failing(RestoreTargetChanged, reason=errno.EEXIST):
        planned_with_it.open_for_writing()
    first.close()
    second = Target(str(path))
    second.open_for_writing()
    second.grow(1 << 20)
    second.close()
    assert path.stat().st_size == 1 << 20


def test_a_target_that_another_took_the_name_of_is_not_opened(tmp_path: Path) -> None:
    path, other = tmp_path / "disk.img", tmp_path / "other.img"
    for one in (path, other):
        one.write_bytes(bytes(4096))
    target = Target(str(path))
    other.rename(path)
    with failing(RestoreTargetChanged, reason="another disk or file"):
        target.open_for_writing()
    target = Target(str(path))
    path.unlink()
    with failing(RestoreTargetChanged, reason=errno.ENOENT):
        target.open_for_writing()
    assert not path.exists()
    path.write_bytes(bytes(4096))
    target = Target(str(path))
    path.write_bytes(bytes(8192))
    with failing(RestoreTargetChanged, reason="8192 bytes, not 4096"):
        target.open_for_writing()


@pytest.mark.root
def test_a_device_that_was_replugged_is_another_one(tmp_path: Path, need: Callable[..., None]) -> None:
    need("losetup")
    for name in ("first", "second"):
        (tmp_path / name).write_bytes(bytes(1 << 20))
    loop = run("losetup", "-f", "--show", tmp_path / "first").strip()
    try:
        target = Target(loop)
        run("losetup", "-d", loop)
        run("losetup", loop, tmp_path / "second")
        with failing(RestoreTargetChanged, reason="another disk or file"):
            target.open_for_writing()
        again = Target(loop)
        again.open_for_writing()
        again.close()
    finally:
        run("losetup", "-d", loop)


def test_what_can_not_be_read_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(4096))
    target = Target(str(path))
    target.open_for_writing()

    def fails(*dummy: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("engine.restore.target.os.pread", fails)
    assert target.read(0, 512) == b""
    target.close()


def test_a_link_to_what_is_still_to_be_made_is_followed(tmp_path: Path) -> None:
    link = tmp_path / "link.img"
    link.symlink_to(tmp_path / "made.img")
    target = Target(str(link))
    target.open_for_writing()
    target.grow(4096)
    target.close()
    assert (tmp_path / "made.img").stat().st_size == 4096
    assert link.is_symlink()


@pytest.mark.root
def test_a_file_in_use_is_known_by_each_of_its_names(tmp_path: Path, need: Callable[..., None]) -> None:
    """A loop device on a file: a hard link, a mount of the folder elsewhere, a first name that was deleted."""
    need("losetup", "mount")
    path, other, bound = tmp_path / "disk.img", tmp_path / "other name.img", tmp_path / "bound"
    path.write_bytes(bytes(1 << 20))
    other.hardlink_to(path)
    bound.mkdir()

    def uses(name: Path) -> str:
        target = Target(str(name))
        try:
            return ", ".join(target.uses())
        finally:
            target.close()

    run("mount", "--bind", tmp_path, bound)
    loop = ""
    try:
        loop = run("losetup", "-f", "--show", path).strip()
        for name in (path, other, bound / "disk.img", bound / "other name.img"):
            assert loop in uses(name)
        path.unlink()
        assert loop in uses(other)
        run("losetup", "-d", loop)
        loop = ""
        assert not uses(other)
    finally:
        run("umount", bound)
        if loop:
            run("losetup", "-d", loop)
