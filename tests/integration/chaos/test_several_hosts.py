# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The matrix of docs/concurrency.md: every operation against every other, at the same time, each from a host of its own."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest
from engine.errors import StorageFailed
from engine.image.access import Passwords, key_for_reading
from engine.image.device_directory import DeviceDirectory
from engine.image.upkeep.rollover import roll_over
from engine.image.upkeep.verify import verify_image
from engine.storage.open import open_storage
from support.chaos import Moments
from support.other_host import PASSWORD as WORD
from support.other_host import OtherHost
from support.refusing import check_sentence, failing
from support.samba_server import samba
from support.sftp_server import SftpServer
from support.small_runs import DEVICE, SmallDisk, make_small, read_image, run_image
from support.storages import HookedStorage, MemoryStorage

PAIRS = [
    ("image", "image"),
    ("image", "rollover"),
    ("image", "verify"),
    ("image", "read"),
    ("rollover", "rollover"),
    ("rollover", "verify"),
    ("rollover", "read"),
    ("verify", "verify"),
    ("verify", "read"),
]
ALL = ("image", "image", "rollover", "rollover", "verify", "read", "read")
ROUNDS = 3


@contextlib.contextmanager
def server(kind: str, folder: Path) -> Iterator[Dict[str, Any]]:
    if kind == "sftp":
        with SftpServer(folder) as sftp:
            yield sftp.settings()
    else:
        with samba(folder) as share:
            yield share.settings


def together(kind: str, folder: Path, verbs: Tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Three images; then all of ``verbs`` at once, from as many hosts; then what must hold."""
    make_small(monkeypatch)
    contents: Dict[str, str] = {}
    with server(kind, folder) as settings, contextlib.closing(open_storage(settings)) as storage:
        disk = SmallDisk(seed=99)
        for number in range(3):
            disk.write(number)
            result = run_image(storage, disk, Passwords(password=WORD))
            contents[result.image] = hashlib.sha256(disk.expected()).hexdigest()
        hosts: List[OtherHost] = []
        try:
            for number, verb in enumerate(verbs):
                hosts.append(OtherHost("host-%d" % number, verb, settings, ROUNDS, number))
            rounds = [(host.verb, answer) for host in hosts for answer in host.rounds()]
        finally:
            for host in hosts:
                host.end()
        for verb, answer in rounds:
            if verb == "image":
                assert "error" not in answer, answer  # who comes second waits for the lease
                assert answer["image"] not in contents
                contents[answer["image"]] = answer["content"]
        images = [manifest.image for manifest in DeviceDirectory(storage, DEVICE).images()]
        for verb, answer in rounds:
            check_round(verb, answer, contents, images)
        assert images == sorted(images)
        assert images[-1] == max(contents)
        assert len(images) >= 2
        if "rollover" not in verbs:
            assert images == sorted(contents)
        for image in images:
            assert verify_image(storage, DEVICE, image, "full", password=WORD, record=False).ok
            assert hashlib.sha256(read_image(storage, image, WORD)).hexdigest() == contents[image]


def check_round(verb: str, answer: Dict[str, Any], contents: Dict[str, str], images: List[str]) -> None:
    """What was read is right, and what could not be read is an image that a rollover has deleted meanwhile."""
    if verb == "rollover":
        assert "error" not in answer, answer
        # Samba, as Windows, removes no directory with a file in it that somebody reads, though the file was deleted.
        assert all("not removed yet" in warning for warning in answer["warnings"]), answer
    elif verb == "verify":
        assert answer.get("ok") or answer["image"] not in images, answer
    elif verb == "read":
        assert answer.get("content") == contents[answer["image"]] or answer["image"] not in images, answer
        assert "content" not in answer or answer["content"] == contents[answer["image"]], answer


@pytest.mark.parametrize("kind", ["sftp", pytest.param("smb", marks=pytest.mark.long)])
@pytest.mark.parametrize("verbs", PAIRS, ids="-".join)
def test_two_at_the_same_time(
    verbs: Tuple[str, ...], kind: str, memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together(kind, memory_path, verbs, monkeypatch)


@pytest.mark.parametrize("kind", ["sftp", "smb"])
def test_all_at_the_same_time(kind: str, memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together(kind, memory_path, ALL, monkeypatch)


def swept_before(part: str, times: int) -> Tuple[MemoryStorage, HookedStorage]:
    """A storage on which another host rolls over each time before a file with ``part`` in its name is put."""
    storage = MemoryStorage()
    left = [times]

    def sweep(moment: str, operation: str, path: str) -> None:
        if (moment, operation) == ("before", "put") and part in path and left[0]:
            left[0] -= 1
            roll_over(storage, DEVICE, 3, openable_key=None)

    return storage, HookedStorage(storage, sweep)


def test_checkpoints_that_are_swept_again_and_again_cost_a_run_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)
    storage, swept = swept_before(".checkpoint", 1000)
    disk = SmallDisk()
    result = run_image(swept, disk)
    assert read_image(storage, result.image) == disk.expected()
    assert verify_image(storage, DEVICE, result.image, "full").ok


@pytest.mark.parametrize(("times", "succeeds"), [(3, True), (12, True), (1000, False)])
def test_a_commit_whose_directory_is_swept(times: int, succeeds: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)
    storage, swept = swept_before("device.json", times)
    disk = SmallDisk()
    if succeeds:
        assert read_image(storage, run_image(swept, disk).image) == disk.expected()
        return
    with failing(StorageFailed, reason="rollovers") as caught:
        run_image(swept, disk)
    check_sentence(caught.value)
    assert DeviceDirectory(storage, DEVICE).images() == []


@pytest.mark.parametrize("with_key", [False, True], ids=["without", "with the key"])
@pytest.mark.parametrize("keep", [2, 3], ids=["the same", "more than the other"])
def test_a_rollover_at_each_call_of_another(keep: int, with_key: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes second finds what it would delete gone: that is no contradiction of the storage, and no damage."""
    make_small(monkeypatch)
    start = MemoryStorage()
    disk = SmallDisk()
    for number in range(5):
        disk.write(number)
        run_image(start, disk, Passwords(password=WORD))
    images = DeviceDirectory(start, DEVICE).images()
    opened = key_for_reading(DeviceDirectory(start, DEVICE), images[-1], WORD)
    key = opened if with_key else None
    kept = [manifest.image for manifest in images[-2:]]
    for at in itertools.count(1):
        storage = start.copy()
        other = functools.partial(roll_over, storage, DEVICE, 2, openable_key=None, key=opened)
        moments = Moments(at, other)
        report = roll_over(HookedStorage(storage, moments), DEVICE, keep, openable_key=images[-1].key_id, key=key)
        assert keep == 3 or report.warnings == []
        if moments.count < at:
            break
        assert [manifest.image for manifest in DeviceDirectory(storage, DEVICE).images()] == kept
        assert all(verify_image(storage, DEVICE, image, "full", password=WORD, record=False).ok for image in kept)
