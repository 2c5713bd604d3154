# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 at any moment of a restore, as it was imaged or resized: the target does not boot, and the same command completes it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, Tuple

import pytest
from engine.errors import RestoreTargetBusy
from support.filled import MIB, run
from support.imaging import PASSWORD
from support.paths import ROOT
from support.resizing import Scene, check_target, make_scene
from support.restoring import MARK
from support.whole_disks import Part

pytestmark = pytest.mark.root
PARTS = (
    Part("root", "ext", 64, ("-t", "ext4")),
    Part("recovery", "ntfs", 40, ("-c", "4096")),
)
WISHES: Dict[str, Dict[str, Any]] = {"plain": {}, "larger": {"grow": "1"}, "smaller": {"shrink": True}}
SIZES = {"plain": 0, "larger": 48, "smaller": -32}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, need) -> Scene:
    need("sgdisk", "sfdisk", "ntfsresize", "resize2fs", "e2fsck", "ntfs-3g")
    return make_scene(tmp_path_factory.mktemp("scene"), "gpt", PARTS, files=30)


def start(scene: Scene, target: Path, wishes: Dict[str, Any]) -> subprocess.Popen[bytes]:
    request = {
        "verb": "restore",
        "device": "pc",
        "storage": {"url": str(scene.storage)},
        "secrets": {"password": PASSWORD},
        "map": {"disk0": str(target)},
        "overwrite": True,
        **wishes,
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


def finish(scene: Scene, target: Path, wishes: Dict[str, Any]) -> None:
    """Run the same command to its end; a tool that outlived its parent holds the target until it ends."""
    for dummy in range(20):
        if start(scene, target, wishes).wait() == 0:
            return
        time.sleep(0.5)
    raise AssertionError("the second try does not complete the target")


def wait_for_mark(process: subprocess.Popen[bytes], target: Path, seconds: float) -> Tuple[float, float]:
    """Wait until the target is marked, and then at most ``seconds`` for the end; return how long both took."""
    begun = time.monotonic()
    marked = 0.0
    while process.poll() is None and not (marked and time.monotonic() - marked > seconds):
        with open(target, "rb") as file:
            if not marked and file.read(len(MARK)) == MARK:
                marked = time.monotonic()
        time.sleep(0.001)
    ended = time.monotonic()
    return (marked or ended) - begun, ended - (marked or ended)


def play(scene: Scene, kind: str, kills: int, seed: int) -> Dict[str, int]:
    wishes, chance = WISHES[kind], random.Random(seed)
    seen = dict.fromkeys(("untouched", "marked", "finished"), 0)
    target = scene.target(SIZES[kind])
    old = b"an earlier life of the target" * 40000
    before, behind = wait_for_mark(start(scene, target, wishes), target, 60 * 60)
    undisturbed = target.rename(scene.folder / "undisturbed")
    for number in range(kills):
        target = scene.target(SIZES[kind])
        with open(target, "r+b") as file:
            file.write(old)
        process = start(scene, target, wishes)
        moment = chance.uniform(-0.25, 1.0)
        if moment < 0:  # while it plans, or proves the image
            time.sleep((1 + moment) * before)
        else:
            taken = wait_for_mark(process, target, moment * behind)
            if process.poll() is not None:
                behind = taken[1]  # the machine is faster now than in the run that was measured
        process.send_signal(signal.SIGKILL)
        status = process.wait()
        with open(target, "rb") as file:
            head = file.read(len(old))
        state = "finished" if status == 0 else "untouched" if head == old else "marked"
        if state == "marked" and head[510:512] == b"\x55\xaa" and not head.startswith(MARK):
            state = "finished"  # killed behind its last write: all of it must be there
            check_target(scene, target)
        if state == "marked":
            assert_does_not_boot(scene, target, wishes)
        seen[state] += 1
        finish(scene, target, wishes)
        if kind == "plain":
            run("cmp", target, undisturbed)
        if number % 4 == 0:
            check_target(scene, target)
    return seen


def assert_does_not_boot(scene: Scene, target: Path, wishes: Dict[str, Any]) -> None:
    """Neither a BIOS nor a UEFI nor a kernel finds anything to start, and the program says that the restore is not complete."""
    with open(target, "rb") as file:
        head = file.read(1024)
    assert head.startswith(MARK)
    assert head[510:512] != b"\x55\xaa"
    probed = subprocess.run(["blkid", "-p", "-o", "export", str(target)], check=False, capture_output=True, text=True)
    assert "PTTYPE" not in probed.stdout
    table = subprocess.run(["sfdisk", "--json", str(target)], check=False, capture_output=True)
    assert table.returncode != 0
    planned = wait_for_tools(scene, target, wishes)
    assert planned["restore_plan"]["disks"][0]["state"] == "interrupted"
    assert planned["already_restored"] is False


def wait_for_tools(scene: Scene, target: Path, wishes: Dict[str, Any]) -> Dict[str, Any]:
    """The plan; a tool that outlived its parent holds the target until it ends."""
    for dummy in range(40):
        try:
            return scene.restore(target, check=True, **wishes)
        except RestoreTargetBusy:
            time.sleep(0.5)
    raise AssertionError("a tool does not end")


@pytest.mark.parametrize(
    "kind", ["larger", *(pytest.param(one, marks=pytest.mark.long) for one in ("plain", "smaller"))]
)
def test_a_second_try_completes_what_a_kill_left(kind: str, scene: Scene) -> None:
    seen = play(scene, kind, 3, seed=5)
    assert sum(seen.values()) == 3


@pytest.mark.long
@pytest.mark.parametrize("kind", sorted(WISHES))
def test_twenty_kills(kind: str, scene: Scene, record_testsuite_property: Callable[[str, object], None]) -> None:
    seen = play(scene, kind, 20, seed=11)
    record_testsuite_property("states after the kills of %s" % kind, seen)
    assert sum(seen.values()) == 20
    assert seen["marked"] >= 5


@pytest.mark.long
def test_the_same_target_can_be_restored_without_the_wish_after_a_kill(scene: Scene) -> None:
    """What a half-done growth left on the target does not disturb a restore of the disk as it was."""
    target = scene.target(SIZES["larger"])
    for dummy in range(50):
        process = start(scene, target, WISHES["larger"])
        while process.poll() is None:
            with open(target, "rb") as file:
                if file.read(len(MARK)) == MARK:
                    process.send_signal(signal.SIGKILL)
                    break
        process.wait()
        with open(target, "rb") as file:
            if file.read(len(MARK)) == MARK:
                break
    finish(scene, target, {})
    volumes = check_target(scene, target)
    assert [(one["start"], one["size"]) for one in volumes] == [(one["start"], one["size"]) for one in scene.table]
    assert target.stat().st_size == scene.size + SIZES["larger"] * MIB
