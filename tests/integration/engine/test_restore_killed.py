# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 of the engine's command line at any moment of a restore onto a used disk: neither the old table nor an old boot sector is
left, no old mark survives, and the same command completes."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import pytest
from engine.disk.layout import read_layout
from engine.disk.source import FileSource
from support.imaging import PASSWORD, image
from support.playbooks import ROOT
from support.restoring import MARK
from support.whole_disks import Part, WholeDisk, build_disk

IMAGED = (Part("efi", "fat", 40, ("-F", "32", "-s", "1")), Part("root", "ext", 48), Part("rest", "ext", 40))
OLD = (Part("one", "ext", 24), Part("two", "ext", 56), Part("three", "fat", 36, ("-F", "32", "-s", "1")))
RAID_MARK = b"\xfc\x4e\x2b\xa9 a superblock of the target's earlier life"


class Scene:
    """An image of one disk, a used disk to restore it onto, and the command that does it."""

    def __init__(self, folder: Path, scheme: str, complete: Callable[[Scene], object]) -> None:
        (folder / "new").mkdir()
        (folder / "old").mkdir()
        self.imaged = build_disk(folder / "new", "gpt", IMAGED, files=12)
        self.old = build_disk(folder / "old", scheme, OLD, files=12)
        with open(self.old.path, "r+b") as file:
            file.truncate(self.imaged.path.stat().st_size)
            for placed in self.old.parts:
                file.seek(placed.start_bytes + placed.size_bytes - 64 * 1024)
                file.write(RAID_MARK)
        if scheme == "gpt":
            subprocess.run(["sgdisk", "-e", self.old.path], check=True, capture_output=True)
        self.storage, self.target = folder / "storage", folder / "target.raw"
        image(self.storage, self.imaged.path)
        self.fresh()
        started = time.monotonic()
        complete(self)
        self.seconds = time.monotonic() - started
        self.expected = self.target.read_bytes()
        assert boots(self.imaged, self.expected) == boots(self.imaged, self.imaged.path.read_bytes())

    def fresh(self) -> None:
        shutil.copyfile(self.old.path, self.target)

    def command(self) -> subprocess.Popen[bytes]:
        request = {
            "verb": "restore",
            "device": "pc",
            "storage": {"url": str(self.storage)},
            "secrets": {"password": PASSWORD},
            "map": {"disk0": str(self.target)},
            "overwrite": True,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "engine.agent.command"],
            env=dict(os.environ, PYTHONPATH=str(ROOT / "plugins" / "module_utils")),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(request).encode())
        process.stdin.close()
        return process


def by_command(scene: Scene) -> None:
    assert scene.command().wait() == 0


def boots(disk: WholeDisk, data: bytes) -> List[bytes]:
    return [data[placed.start_bytes : placed.start_bytes + 512] for placed in disk.parts]


def check_state(scene: Scene, old: bytes) -> str:
    data = scene.target.read_bytes()
    if data == old:
        return "untouched"
    if data == scene.expected:
        return "finished"
    assert data.startswith(MARK), "neither untouched, nor finished, nor marked"
    assert data[510:512] != b"\x55\xaa"
    with FileSource(str(scene.target)) as source:
        assert read_layout(source).scheme == "none"
    told = subprocess.run(["blkid", "-p", "-o", "export", scene.target], check=False, capture_output=True, text=True)
    assert "PTTYPE" not in told.stdout
    return "marked"


def wait_for_mark(process: subprocess.Popen[bytes], target: Path) -> None:
    """Wait until the restore has begun to write, or has ended."""
    while process.poll() is None:
        with open(target, "rb") as file:
            if file.read(len(MARK)) == MARK:
                return
        time.sleep(0.001)


def play(scene: Scene, kills: int, chance: random.Random) -> Dict[str, int]:
    old = scene.old.path.read_bytes()
    seen = dict.fromkeys(("untouched", "marked", "finished"), 0)
    left = kills
    while left:
        scene.fresh()
        for dummy in range(chance.randint(1, 4)):
            if not left:
                break
            left -= 1
            process = scene.command()
            # A loaded machine moves the moments: every second kill counts from the first byte that is written.
            begins = chance.uniform(0.45, 1.05) if left % 2 else chance.uniform(0.0, 0.2)
            if not left % 2:
                wait_for_mark(process, scene.target)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(begins * scene.seconds)
            process.send_signal(signal.SIGKILL)
            process.wait()
            state = check_state(scene, old)
            seen[state] += 1
            if state == "finished":
                break
        assert scene.command().wait() == 0
        assert scene.target.read_bytes() == scene.expected
        assert RAID_MARK not in scene.expected
    return seen


@pytest.mark.parametrize(("scheme", "kills"), [pytest.param("gpt", 14, marks=pytest.mark.long), ("dos", 16)])
def test_killed_at_random_moments(scheme: str, kills: int, tmp_path: Path, need: Callable[..., None]) -> None:
    need("sfdisk", "sgdisk", "mke2fs", "mkfs.fat", "blkid")
    seen = play(Scene(tmp_path, scheme, by_command), kills, random.Random(scheme))
    assert seen["marked"] >= 1, seen


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["gpt", "dos"])
def test_killed_at_very_many_moments(scheme: str, tmp_path: Path, need: Callable[..., None]) -> None:
    need("sfdisk", "sgdisk", "mke2fs", "mkfs.fat", "blkid")
    seen = play(Scene(tmp_path, scheme, by_command), 300, random.Random(scheme + " at length"))
    assert seen["marked"] >= 60, seen


@pytest.mark.parametrize("scheme", ["gpt", "dos"])
@pytest.mark.parametrize("cleared", ["nothing", "the ends of the disk"])
def test_killed_between_the_marker_and_the_clearing(
    scheme: str, cleared: str, memory_path: Path, monkeypatch: pytest.MonkeyPatch, need: Callable[..., None]
) -> None:
    """The table is gone then, and with it the places of old marks: the marker itself tells them."""
    from engine.restore.target import Target
    from support.imaging import restore

    need("sfdisk", "sgdisk", "mke2fs", "mkfs.fat")
    scene = Scene(memory_path, scheme, lambda one: restore(one.storage, one.target, overwrite=True))
    scene.fresh()
    write: Callable[..., Any] = Target.write_pieces
    writes: List[Tuple[int, int]] = []

    def stopping(target: Target, offset_bytes: int, pieces: List[bytes]) -> None:
        if len(writes) >= (1 if cleared == "nothing" else 2):
            raise KeyboardInterrupt
        writes.append((offset_bytes, sum(map(len, pieces))))
        write(target, offset_bytes, pieces)

    with monkeypatch.context() as patch:
        patch.setattr(Target, "write_pieces", stopping)
        with pytest.raises(KeyboardInterrupt):
            restore(scene.storage, scene.target, overwrite=True)
    assert scene.target.read_bytes().count(RAID_MARK) >= 1
    restore(scene.storage, scene.target)
    data = scene.target.read_bytes()
    assert RAID_MARK not in data
    assert data == scene.expected
