# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever lies in a storage, the verbs of the engine's command line work and stay under 200 MiB of memory."""

from __future__ import annotations

import contextlib
import tracemalloc
from pathlib import Path
from typing import Any, Dict, Optional

import pytest
from engine.storage.check import check_storage
from engine.storage.local.storage import DirectoryStorage
from engine.storage.sftp.storage import SftpStorage
from engine.storage.smb.storage import SmbStorage
from support.hostile_storage import ATTACKS, LISTINGS, SOON, Attacker, measure, reached

MOST_BYTES = 200 << 20
_CROWD = 30_000
# What says whose directory it is can't be replaced by an account that may only create: where it is damaged, no verb that
# writes or deletes believes that the directory is this machine's.
IDENTITY = "identity and mark of 120 MiB"
REFUSED = {(IDENTITY, "image"): "I110", (IDENTITY, "rollover"): "I110"}
QUICK = ["SHA256SUMS of 160 MiB, no line of ours", "an orphan pack of a million blobs", IDENTITY]


def attacked(
    title: str,
    storage: Path,
    folder: Path,
    reach: Optional[Dict[str, Any]],
    scale: float,
    verbs: Dict[str, Any],
    most_bytes: int = MOST_BYTES,
) -> None:
    drive = folder / "drive"
    drive.write_bytes(bytes(range(256)) * 4096)
    first = measure(storage, "image", drives=[str(drive)], limit_read_rate=0)
    assert first.status == 0, first.last
    ATTACKS[title](Attacker(storage, first.last["image"], scale))
    for verb, settings in verbs.items():
        more = {"drives": [str(drive)], "limit_read_rate": 0} if verb == "image" else {}
        done = measure(storage, verb, reach=reach, **settings, **more)
        expected = REFUSED.get((title, verb))
        assert done.status == (1 if expected else 0), (verb, done.last)
        assert done.last.get("code") == expected, verb
        assert done.peak_bytes < most_bytes, verb


@pytest.mark.parametrize("title", QUICK)
def test_a_run_and_a_rollover_stay_small(title: str, memory_path: Path) -> None:
    attacked(title, memory_path / "storage", memory_path, None, 1.0, {"image": {}, "rollover": {"keep": 9}}, 150 << 20)


@pytest.mark.parametrize("kind", ["SFTP", "SMB"])
def test_names_that_nobody_asks_for_take_no_memory(kind: str, memory_path: Path) -> None:
    with reached(kind, memory_path) as (folder, settings), contextlib.ExitStack() as opened:
        (folder / "crowd").mkdir()
        for number in range(_CROWD):
            (folder / "crowd" / ("%064d" % number)).touch()
        storage = opened.enter_context(SftpStorage(settings) if kind == "SFTP" else SmbStorage(settings))
        assert len(storage.list_some("crowd", lambda name: True, 10)) == 10
        tracemalloc.start()
        try:
            found = storage.list_some("crowd", lambda name: name.endswith("7777"))
            dummy_now, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert sorted(entry.name for entry in found) == ["%064d" % number for number in range(7777, _CROWD, 10_000)]
        assert peak_bytes < _CROWD * 100  # an entry alone takes twice as much


def test_a_check_of_a_crowded_directory_takes_no_memory(memory_path: Path) -> None:
    (memory_path / "pc").mkdir()
    for number in range(_CROWD):
        (memory_path / "pc" / ("%064d" % number)).touch()
    storage = DirectoryStorage(str(memory_path))
    tracemalloc.start()
    try:
        found = check_storage(storage, "pc", 1024)
        dummy_now, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.may_delete
    assert peak_bytes < _CROWD * 20  # a name alone takes more


def test_the_root_of_an_unencrypted_image_stays_bytes(memory_path: Path) -> None:
    drive = memory_path / "drive"
    drive.write_bytes(bytes(range(256)) * 4096)
    first = measure(memory_path / "storage", "image", drives=[str(drive)], limit_read_rate=0)
    ATTACKS["the root of an unencrypted image"](Attacker(memory_path / "storage", first.last["image"]))
    done = measure(memory_path / "storage", "verify", password="", image=SOON, level="full")
    assert done.last.get("ok") is False, done.last
    assert done.peak_bytes < MOST_BYTES


@pytest.mark.long
def test_packs_that_an_image_lists_stay_small(memory_path: Path) -> None:
    """The attacker's own image, verified without a password: half of its packs are missing, the others damaged."""
    drive = memory_path / "drive"
    drive.write_bytes(bytes(range(256)) * 4096)
    first = measure(memory_path / "storage", "image", drives=[str(drive)], limit_read_rate=0)
    attacker = Attacker(memory_path / "storage", first.last["image"], crowd=400_000)
    ATTACKS["a crowd of packs that an image lists"](attacker)
    done = measure(memory_path / "storage", "verify", password="", image=SOON, level="quick", check=True)
    assert len(done.last["problems"]) < 2000, done.last
    assert done.peak_bytes < 90 << 20


def test_a_wrong_password_tries_no_slot_that_takes_too_much(memory_path: Path) -> None:
    drive = memory_path / "drive"
    drive.write_bytes(bytes(range(256)) * 4096)
    first = measure(memory_path / "storage", "image", drives=[str(drive)], limit_read_rate=0)
    ATTACKS["4,000 key slots of 256 MiB"](Attacker(memory_path / "storage", first.last["image"], 0.01))
    right = measure(memory_path / "storage", "image", drives=[str(drive)], limit_read_rate=0)
    assert right.status == 0, right.last
    wrong = measure(memory_path / "storage", "image", password="another", drives=[str(drive)], limit_read_rate=0)
    assert wrong.last["code"] == "K110"
    assert max(right.peak_bytes, wrong.peak_bytes) < MOST_BYTES


@pytest.mark.long
@pytest.mark.parametrize("title", ATTACKS)
def test_every_attack_stays_small(title: str, memory_path: Path) -> None:
    verbs = {"image": {}, "list": {}, "verify": {"level": "quick"}, "rollover": {"keep": 9}, "check": {}}
    attacked(title, memory_path / "storage", memory_path, None, 1.0, verbs)


@pytest.mark.long
@pytest.mark.parametrize("title", LISTINGS)
@pytest.mark.parametrize("kind", ["SFTP", "SMB"])
def test_every_listing_over_a_network_stays_small(title: str, kind: str, memory_path: Path) -> None:
    with reached(kind, memory_path) as (storage, reach):
        attacked(title, storage, memory_path, reach, 0.2, {"image": {}, "list": {}, "check": {}})
