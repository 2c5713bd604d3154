# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollover over real servers that are slow, fail and die; and what ten runs leave of which three are kept."""

from __future__ import annotations

import contextlib
import functools
import os
import random
import time
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest
from engine.errors import StorageUnreachable
from engine.image.device_directory import DeviceDirectory
from engine.storage.contract import PARTIAL_SUFFIX, Storage
from engine.storage.local.storage import DirectoryStorage
from engine.verbs.dispatch import run_job
from support import imaging
from support.aging import DAY, pass_time
from support.chaos import Chaos, Moments, Runs, live_bytes, make_quick
from support.chaos_servers import ChaosServer, chaos_server
from support.imaging_model import KILLED
from support.proxy import Proxy
from support.small_runs import DEVICE
from support.story_places import KillableStorage

CHUNK = 64 << 10
SEED = int(os.environ.get("CHAOS_SEED", "20261124"))


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    make_quick(monkeypatch)
    return Runs(monkeypatch)


@pytest.fixture(params=["sftp", "smb"])
def server(request: Any, tmp_path: Path) -> Iterator[ChaosServer]:
    with chaos_server(request.param, tmp_path) as server:
        yield server


# -- ten runs, three images -------------------------------------------------------------------------------------------


@contextlib.contextmanager
def storage_of(kind: str, folder: Path) -> Iterator[Dict[str, Any]]:
    """``settings`` of a storage, and the ``folder`` that it is in."""
    if kind == "directory":
        (folder / "storage").mkdir()
        yield {"settings": {"url": str(folder / "storage")}, "folder": folder / "storage"}
        return
    with chaos_server(kind, folder) as server:
        yield {"settings": server.settings("plant", server.port), "folder": server.make_folder("plant")}


@pytest.mark.parametrize("kind", ["directory", "sftp", pytest.param("smb", marks=pytest.mark.long)])
def test_three_images_stay_of_ten_runs(kind: str, tmp_path: Path, runs: Runs) -> None:
    days = [0]
    chance = random.Random(SEED)
    drive, target = tmp_path / "drive.img", tmp_path / "restored.img"
    data = bytearray(chance.getrandbits(8 * 96 * CHUNK).to_bytes(96 * CHUNK, "little"))
    contents: Dict[str, bytes] = {}
    with storage_of(kind, tmp_path) as place:

        def run(verb: str, **settings: Any) -> Dict[str, Any]:
            document = dict(imaging.job(Path("/"), verb, **settings), storage=place["settings"])
            return run_job(document, lambda event: None, lambda: False)

        for dummy in range(10):
            runs.next()
            drive.write_bytes(data)
            moment = time.time() + days[0] * DAY
            made = run("image", drives=[str(drive)], keep=3, limit_read_rate=0, controller_seconds=moment)
            image = made["image"]
            contents[image] = bytes(data)
            for number in chance.sample(range(96), 12):
                data[number * CHUNK : (number + 1) * CHUNK] = chance.getrandbits(8 * CHUNK).to_bytes(CHUNK, "little")
            days[0] += 2
            pass_time(place["folder"], 2 * DAY)
        left = [image["image"] for image in run("list")["images"]]
        assert left == sorted(contents)[-3:]
        for image in left:
            assert run("verify", image=image, level="full")["ok"]
            target.unlink(missing_ok=True)
            run("restore", image=image, map={"disk0": str(target)})
            assert target.read_bytes() == contents[image]
        check_size(DirectoryStorage(str(place["folder"])), left, time.time() + (days[0] - 2) * DAY)


def check_size(storage: Storage, images: list, last_rollover: float) -> None:
    """In use are no more than 1.3 times what the images need; in the trash is only what left with the last rollover."""
    found = DeviceDirectory(storage, DEVICE)
    assert set(found.packs()) == {pack for image in images for pack in found.sums(image).packs}
    assert sum(found.packs().values()) <= 1.3 * live_bytes(storage, images, imaging.PASSWORD)
    assert all(entry.since_seconds > last_rollover - DAY for entry in found.trash())


# -- rollovers that are killed, cut and slow --------------------------------------------------------------------------


def prepare(server: ChaosServer, runs: Runs) -> Chaos:
    """Five images, trash that is old enough to go, and a half-written file of a run that was killed."""
    base = Chaos(server, SEED, runs, 20.0)
    base.prepare(4)
    with base.open() as storage:
        base.roll_over(storage)
        base.pass_days(2)
        base.image(storage)
        base.disk.write(*range(20))
        base.image(storage)
    (server.root / base.below / DEVICE / ("keys/x.json.0%s" % PARTIAL_SUFFIX)).write_bytes(b"half")
    return base


def finish(chaos: Chaos) -> None:
    """What is there is whole, and the next rollover ends what this one began."""
    chaos.server.recover()
    chaos.check_images()
    with chaos.open() as storage:
        chaos.roll_over(storage)
    chaos.check_images()
    chaos.check_no_partial_files()
    assert len(chaos.expected) == 3
    chaos.remove()


def kill_in_turn(server: ChaosServer, runs: Runs, first: int, step: int) -> None:
    base = prepare(server, runs)
    moment, killed = first, True
    while killed:
        chaos = base.copy(moment)
        killable = KillableStorage(server.open(chaos.below), moment, server.proxy.cut)
        try:
            chaos.roll_over(killable)
            killed = False
        except KILLED:
            moment += step
        finish(chaos)
    assert moment > first + step


def lose_line(chaos: Chaos, in_turn: str) -> None:
    if in_turn == "answer":
        raise StorageUnreachable(storage="the server", reason="a fault of this test")
    chaos.server.proxy.cut()
    chaos.server.proxy.mend()


def lose_in_turn(server: ChaosServer, runs: Runs, in_turn: str, first: int, step: int) -> None:
    base = prepare(server, runs)
    moment = last = first
    while moment <= last:
        chaos = base.copy(moment)
        moments = Moments(moment, functools.partial(lose_line, chaos, in_turn))
        with chaos.open(moments) as storage:
            report = chaos.roll_over(storage)
        assert len(report.deleted) == 2
        finish(chaos)
        last = max(last, moments.count)
        moment += step
    assert last > first + step


def test_rollovers_killed_at_some_moments(server: ChaosServer, runs: Runs) -> None:
    kill_in_turn(server, runs, 1 + SEED % 40, 40)


@pytest.mark.parametrize("in_turn", ["answer", "line"])
def test_rollovers_whose_line_is_lost_at_some_moments(server: ChaosServer, runs: Runs, in_turn: str) -> None:
    lose_in_turn(server, runs, in_turn, 1 + SEED % 60, 60)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_rollovers_killed_at_every_moment(server: ChaosServer, runs: Runs) -> None:
    kill_in_turn(server, runs, 1, int(os.environ.get("CHAOS_STEP", "1")))


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("in_turn", ["answer", "line"])
def test_rollovers_whose_line_is_lost_at_every_moment(server: ChaosServer, runs: Runs, in_turn: str) -> None:
    lose_in_turn(server, runs, in_turn, 1, int(os.environ.get("CHAOS_STEP", "1")))


def test_a_rollover_at_20_ms_of_latency(server: ChaosServer, runs: Runs) -> None:
    chaos = prepare(server, runs)
    with Proxy(server.port, 0.02) as slow, server.open(chaos.below, slow.port) as storage:
        started = time.monotonic()
        assert len(chaos.roll_over(storage).deleted) == 2
        assert time.monotonic() - started < 30
    finish(chaos)
