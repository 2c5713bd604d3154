# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rule 1: what is in use though no list of the system shows it is not taken for offline."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path
from typing import Iterator, List

import pytest
from engine.errors import VolumeMounted
from engine.host.linux_mounts import HELD, uses_of
from support.filled import MIB, empty, run
from support.imaging import image

pytestmark = pytest.mark.alone


@contextlib.contextmanager
def loops(folder: Path, count: int, size_mib: int) -> Iterator[List[str]]:
    found: List[str] = []
    try:
        for number in range(count):
            disk = empty(folder / ("disk%d" % number), size_mib * MIB)
            found.append(run("losetup", "-f", "--show", disk).strip())
        yield found
    finally:
        for loop in found:
            run("losetup", "-d", loop)


def check_refused_and_then_offline(device: str, storage: Path, free: contextlib.ExitStack) -> None:
    with pytest.raises(VolumeMounted) as caught:
        image(storage, Path(device))
    assert caught.value.code == "N100"
    assert HELD in str(caught.value)
    assert [path for path in storage.rglob("*") if path.is_file()] == []
    live = image(storage, Path(device), snapshot="preferred")
    assert any(HELD in warning for warning in live["warnings"])
    free.close()
    assert uses_of(device) == []
    made = image(storage, Path(device), adopt=True)
    assert not any(HELD in warning for warning in made["warnings"])


@pytest.mark.root
def test_the_second_disk_of_a_btrfs(memory_path: Path, need) -> None:
    need("mkfs.btrfs", "losetup")
    with loops(memory_path, 2, 128) as (first, second), contextlib.ExitStack() as mounted:
        run("mkfs.btrfs", "-q", "-f", "-d", "raid0", "-m", "raid1", first, second)
        folder = memory_path / "mnt"
        folder.mkdir()
        run("mount", "-t", "btrfs", "-o", "device=%s,device=%s" % (first, second), first, folder)
        mounted.callback(run, "umount", folder)
        assert [use.mount_point for use in uses_of(first)] == [str(folder)]
        check_refused_and_then_offline(second, memory_path / "storage", mounted)


@pytest.mark.root
def test_a_volume_that_is_mounted_in_another_namespace_only(memory_path: Path, need) -> None:
    need("mke2fs", "unshare", "losetup")
    with loops(memory_path, 1, 16) as (device,), contextlib.ExitStack() as mounted:
        run("mke2fs", "-q", "-t", "ext4", device)
        folder = memory_path / "mnt"
        folder.mkdir()
        command = 'mount -t ext4 "$0" "$1" && echo mounted && read line'
        process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", command, device, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

        def end() -> None:
            process.communicate(b"done\n")

        mounted.callback(end)
        assert process.stdout is not None
        assert process.stdout.readline() == b"mounted\n"
        check_refused_and_then_offline(device, memory_path / "storage", mounted)


@pytest.mark.root
def test_a_device_that_nobody_holds_is_offline(memory_path: Path, need) -> None:
    need("losetup")
    with loops(memory_path, 1, 16) as (device,):
        assert uses_of(device) == []
        image(memory_path / "storage", Path(device))
