# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sentence of a run that failed: what is whole, what counts for the next run, and what was made all the same."""

from __future__ import annotations

from typing import List

import pytest
from engine.amounts import size
from engine.errors import RunCancelled, StorageFull, StorageUnreachable
from engine.image.device_directory import DeviceDirectory
from support.refusing import check_sentence
from support.small_runs import DEVICE, SmallDisk, make_small, run_image
from support.storages import HookedStorage, MemoryStorage


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def fail_after(storage: MemoryStorage, operation: str, part: str, times: int) -> StorageUnreachable:
    """Make an image over a line that is lost when ``operation`` on a path with ``part`` was begun so often."""
    left = [times]

    def lose(moment: str, what: str, path: str) -> None:
        if moment == "before" and operation in what and part in path:
            left[0] -= 1
        if left[0] <= 0:
            raise StorageUnreachable(storage="share", reason="the line is cut")

    with pytest.raises(StorageUnreachable) as caught:
        run_image(HookedStorage(storage, lose), SmallDisk())
    check_sentence(caught.value)
    return caught.value


@pytest.mark.parametrize("images", [0, 1])
def test_what_was_sent_and_what_is_whole(images: int) -> None:
    storage = MemoryStorage()
    for dummy in range(images):
        run_image(storage, SmallDisk(seed=2))
    before = DeviceDirectory(storage, DEVICE).packs()
    error = fail_after(storage, "put", "/packs/", 4)
    assert (error.code, error.fields["reason"]) == ("S101", "the line is cut")
    assert error.fields["has_images"] is bool(images)
    sent = DeviceDirectory(storage, DEVICE).packs()
    stored_bytes = sum(length for name, length in sent.items() if name not in before)
    assert 0 < int(str(error.fields["uploaded_bytes"])) <= stored_bytes
    assert "the %s already uploaded" % size(int(str(error.fields["uploaded_bytes"]))) in str(error)


def test_the_progress_and_the_failure_tell_one_truth() -> None:
    """On a full storage: what a person reads as stored is what the failure says the next run reuses."""
    seen: List[int] = []

    def full(moment: str, operation: str, path: str) -> None:
        if moment == "before" and operation == "put" and "/packs/" in path:
            raise StorageFull(storage="share", path=path)

    with pytest.raises(StorageFull) as caught:
        run_image(
            HookedStorage(MemoryStorage(), full),
            SmallDisk(),
            progress=lambda phase, done_bytes, total_bytes, stored_bytes: seen.append(stored_bytes),
        )
    assert caught.value.fields["uploaded_bytes"] == 0
    assert seen
    assert set(seen) == {0}


def test_all_that_was_stored_is_told_when_the_image_is_committed() -> None:
    seen: List[int] = []
    made = run_image(
        MemoryStorage(),
        SmallDisk(),
        progress=lambda phase, done_bytes, total_bytes, stored_bytes: seen.append(stored_bytes),
    )
    assert seen == sorted(seen)
    assert seen[-1] == sum(made.new_packs.values())


def test_nothing_was_sent() -> None:
    assert fail_after(MemoryStorage(), "put", "/packs/", 1).fields["uploaded_bytes"] == 0


@pytest.mark.parametrize("times", [1, 3, 5, 8])
def test_nothing_was_sent_when_the_line_is_lost_before_the_run_knows_what_is_there(times: int) -> None:
    storage = MemoryStorage()
    run_image(storage, SmallDisk(seed=2))
    assert fail_after(storage, "", "", times).fields["uploaded_bytes"] == 0


def test_what_follows_the_commit_is_lost() -> None:
    storage = MemoryStorage()
    error = fail_after(storage, "delete", "checkpoint", 1)
    image = DeviceDirectory(storage, DEVICE).images()[-1].image
    assert error.fields["committed"] == image
    assert image in str(error)


def test_a_run_that_is_cancelled_after_its_commit_has_made_its_image() -> None:
    """While the lease is given back the line may be away, and whoever waits for it be told to stop."""

    def cancel(moment: str, operation: str, path: str) -> None:
        if (moment, operation, path) == ("before", "delete", "%s/lease.json" % DEVICE):
            raise RunCancelled

    storage = MemoryStorage()
    result = run_image(HookedStorage(storage, cancel), SmallDisk())
    assert [manifest.image for manifest in DeviceDirectory(storage, DEVICE).images()] == [result.image]
