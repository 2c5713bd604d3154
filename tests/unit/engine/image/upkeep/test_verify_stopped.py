# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A verify that could not go on says why; it never calls an image damaged that it could not read."""

from __future__ import annotations

import pytest
from engine.errors import EngineError, RunCancelled, StorageFailed, StorageLoginFailed, StorageUnreachable
from engine.image.upkeep.verify import verify_image
from support.small_runs import DEVICE, SmallDisk, make_small, run_image
from support.storages import HookedStorage, MemoryStorage

STOPS = [
    StorageLoginFailed(storage="share", username="backup", reason="its password was changed"),
    StorageUnreachable(storage="share", reason="the line is cut"),
    StorageFailed(storage="share", operation="reading", path="a pack", reason="the disk behind it fails"),
    RunCancelled(),
]


class Stop:
    """A hook that raises ``error`` from its ``moment``-th call on."""

    def __init__(self, moment: int, error: EngineError) -> None:
        self._left = moment
        self._error = error

    def __call__(self, *dummy: object) -> None:
        self._left -= 1
        if self._left <= 0:
            raise self._error


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


@pytest.mark.parametrize("level", ["quick", "storage", "full"])
@pytest.mark.parametrize("error", STOPS, ids=[error.code for error in STOPS])
def test_a_verify_that_can_not_go_on_finds_no_damage(level: str, error: EngineError) -> None:
    storage = MemoryStorage()
    image = run_image(storage, SmallDisk()).image
    before = dict(storage.files)
    operations = 0

    def count(*dummy: object) -> None:
        nonlocal operations
        operations += 1

    verify_image(HookedStorage(storage, count), DEVICE, image, level, record=False)

    for moment in range(1, operations + 1):
        with pytest.raises(type(error)):
            verify_image(HookedStorage(storage, Stop(moment, error)), DEVICE, image, level)
        assert storage.files == before
