# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk of Windows as a target: whole sectors are written, volumes are locked, and what comes into use is refused."""

from __future__ import annotations

import random
from typing import Callable, List

import pytest
from engine.errors import (
    DiskAccessDenied,
    EngineError,
    RestoreOnWindows,
    RestoreTargetBusy,
    RestoreTargetChanged,
    RestoreWriteFailed,
)
from engine.restore import windows_target
from engine.restore.windows_target import WindowsDiskTarget
from support.windows.disk_answers import DiskAnswers

NAME = r"\\.\PhysicalDrive1"
SIZE_BYTES = 1 << 20


@pytest.fixture(params=[512, 4096])
def windows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> DiskAnswers:
    """A Windows whose disk 1 is free and has a volume that no program has open."""
    made = DiskAnswers()
    made.stand_in(monkeypatch)
    made.give(monkeypatch, 1, bytearray(random.Random(3).randbytes(SIZE_BYTES)), request.param)
    made.devices["HarddiskVolume7"] = [(1, 1 << 19, 1 << 18)]
    monkeypatch.setattr(windows_target, "_BUFFER_BYTES", 64 << 10)
    return made


def test_any_piece_is_written_and_nothing_beside_it(windows: DiskAnswers) -> None:
    expected, chance = bytearray(windows.contents[1]), random.Random(4)
    target = WindowsDiskTarget(NAME)
    target.open_for_writing()
    for number in range(200):
        windows.most_bytes = 8192 if number % 2 else 1 << 30
        start = chance.randrange(SIZE_BYTES)
        pieces = [chance.randbytes(chance.choice([1, 100, 512, 5000, 70000])) for dummy in range(3)]
        data = b"".join(pieces)[: SIZE_BYTES - start]
        target.write_pieces(start, [data])
        expected[start : start + len(data)] = data
        assert windows.contents[1] == expected
        assert target.read(start, len(data)) == data
    target.sync()
    target.close()
    assert windows.open_handles == {}


def test_volumes_are_locked_and_dismounted_before_the_first_write_and_windows_looks_again_at_the_end(
    windows: DiskAnswers,
) -> None:
    target = WindowsDiskTarget(NAME)
    windows.events.clear()
    target.open_for_writing()
    assert "\\\\?\\GLOBALROOT\\Device\\HarddiskVolume7" in windows.open_handles.values(), (
        "its lock ends with its handle"
    )
    target.write(0, bytes(512))
    target.sync()
    target.close()
    assert windows.events == ["lock", "lock", "dismount", "write", "flush", "update"]


def test_a_disk_that_is_used_is_refused_with_every_reason(windows: DiskAnswers) -> None:
    windows.mount("E:\\", [(1, 1 << 20, 8 << 20)])
    windows.clustered.append(1)
    with pytest.raises(RestoreOnWindows) as refused:
        WindowsDiskTarget(NAME)
    reason = str(refused.value.fields["reason"])
    assert "cluster" in reason
    assert "E:" in reason
    assert windows.open_handles == {}


def mount(windows: DiskAnswers) -> None:
    windows.mount("E:\\", [(1, 1 << 20, 8 << 20)])


def open_it(windows: DiskAnswers) -> None:
    windows.in_use.append("HarddiskVolume7")


def exchange(windows: DiskAnswers) -> None:
    windows.contents[1] = bytearray(2 * SIZE_BYTES)


def take_away(windows: DiskAnswers) -> None:
    windows.closed.append(1)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (mount, RestoreOnWindows),
        (open_it, RestoreOnWindows),
        (exchange, RestoreTargetChanged),
        (take_away, RestoreOnWindows),
    ],
)
def test_what_happens_between_the_look_and_the_first_write_is_noticed(
    windows: DiskAnswers, change: Callable[[DiskAnswers], None], error: type[EngineError]
) -> None:
    target = WindowsDiskTarget(NAME)
    change(windows)
    with pytest.raises(error):
        target.open_for_writing()
    assert "write" not in windows.events
    assert windows.open_handles == {}


def test_a_volume_that_a_program_opens_in_the_last_moment_is_busy(
    windows: DiskAnswers, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = WindowsDiskTarget(NAME)
    monkeypatch.setattr(windows_target, "uses_of_disk", lambda path: [])
    windows.in_use.append("HarddiskVolume7")
    with pytest.raises(RestoreTargetBusy):
        target.open_for_writing()
    assert windows.open_handles == {}


@pytest.mark.usefixtures("windows")
def test_two_restores_at_once_do_not_mix() -> None:
    first, second = WindowsDiskTarget(NAME), WindowsDiskTarget(NAME.lower())
    assert first.identity == second.identity
    first.open_for_writing()
    with pytest.raises(RestoreTargetBusy):
        second.open_for_writing()
    first.close()
    second.open_for_writing()
    second.close()


@pytest.mark.parametrize(("number", "error"), [(19, RestoreWriteFailed), (1117, RestoreWriteFailed)])
def test_a_write_that_fails_names_its_place(windows: DiskAnswers, number: int, error: type[EngineError]) -> None:
    target = WindowsDiskTarget(NAME)
    target.open_for_writing()
    windows.write_error = number
    with pytest.raises(error) as failed:
        target.write(4096, bytes(512))
    assert failed.value.fields["offset_bytes"] == 4096
    assert str(number) in str(failed.value)
    target.close()


def test_a_disk_that_is_not_ours_to_write_to_is_told(windows: DiskAnswers, monkeypatch: pytest.MonkeyPatch) -> None:
    target = WindowsDiskTarget(NAME)
    denied: List[str] = []

    def refuse(path: str) -> int:
        denied.append(path)
        raise PermissionError(13, "Access is denied", None, 5)

    del windows.devices["HarddiskVolume7"]
    monkeypatch.setattr(windows_target.devices, "open_writable", refuse)
    with pytest.raises(DiskAccessDenied):
        target.open_for_writing()
    assert denied == [NAME]
    assert windows.open_handles == {}
