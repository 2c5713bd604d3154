# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patience with a service that other programs use, and the end of a set on every way out."""

from __future__ import annotations

import uuid
from typing import Any, Dict, List

import pytest
from engine.snapshot.vss import record
from engine.snapshot.vss.interface import Refused, Shadow
from engine.snapshot.vss.shadow_set import PATIENCE, ShadowSet, VolumeRefused

SET, COPY = uuid.UUID(int=1), uuid.UUID(int=2)
BUSY, FULL, NEVER = 0x80042316, 0x8004231F, 0x80042302


class Service:
    """The calls in their order. ``wrong``: which codes a call answers, one after the other."""

    def __init__(self, wrong: Dict[str, List[int]]) -> None:
        self.wrong = wrong
        self.calls: List[str] = []
        self.now = 0.0
        self.pauses: List[float] = []
        self.recorded: List[uuid.UUID] = []

    def __getattr__(self, name: str) -> Any:
        def call(*dummy: object) -> Any:
            self.calls.append(name)
            if self.wrong.get(name):
                raise Refused(name, self.wrong[name].pop(0))
            answers = {"start_set": SET, "add": COPY, "shadow": Shadow(COPY, SET, "device", "volume"), "writers": []}
            return answers.get(name)

        return call

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def take(self) -> ShadowSet:
        return ShadowSet(["volume"], make=lambda: self, sleep=self.sleep, clock=lambda: self.now)  # type: ignore[arg-type,return-value]


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    made = Service({})
    monkeypatch.setattr(record, "add", made.recorded.append)
    monkeypatch.setattr(record, "remove", lambda one: made.recorded.remove(one) if one in made.recorded else None)
    return made


def test_a_set_is_on_record_until_it_is_deleted(service: Service) -> None:
    made = service.take()
    assert service.recorded == [SET]
    assert made.close() == []
    assert service.recorded == []
    assert service.calls[-3:] == ["complete", "delete_set", "release"]
    assert made.close() == []
    assert service.calls[-1] == "release"


def test_another_program_is_waited_for_for_minutes(service: Service) -> None:
    service.wrong["start_set"] = [BUSY] * 30
    service.take()
    assert service.calls.count("start_set") == 31
    assert service.calls.count("gather_writers") == 1, "the writers were asked again"
    assert service.now > 120
    assert min(service.pauses) >= PATIENCE.pause_seconds
    assert len(set(service.pauses)) > 20, "two programs that wait for each other meet again"


def test_the_wait_has_an_end(service: Service) -> None:
    service.wrong["start_set"] = [BUSY] * 1000
    with pytest.raises(Refused):
        service.take()
    assert PATIENCE.in_progress_seconds <= service.now < PATIENCE.in_progress_seconds + 60
    assert "abort" not in service.calls, "the set of the other program is not ours to abort"
    assert service.calls[-1] == "release"


def test_a_set_that_meets_another_one_at_its_end_is_made_again(service: Service) -> None:
    service.wrong["make"] = [BUSY, BUSY]
    service.take()
    assert service.calls.count("abort") == 2
    assert service.calls.count("release") == 2
    assert service.recorded == [SET]


def test_a_busy_device_gets_three_tries(service: Service) -> None:
    service.wrong["make"] = [0x80042314] * 3
    with pytest.raises(Refused):
        service.take()
    assert service.calls.count("make") == 3
    assert service.recorded == []


def test_what_no_second_try_can_change_gets_none(service: Service) -> None:
    service.wrong["make"] = [FULL]
    with pytest.raises(Refused):
        service.take()
    assert service.pauses == []


def test_a_volume_that_is_refused_is_named(service: Service) -> None:
    service.wrong["add"] = [FULL]
    with pytest.raises(VolumeRefused) as caught:
        service.take()
    assert (caught.value.volume, caught.value.cause.code) == ("volume", FULL)
    assert service.calls[-3:] == ["abort", "delete_set", "release"]


@pytest.mark.parametrize("name", ["begin", "gather_writers", "prepare", "make", "shadow"])
def test_an_interrupt_ends_the_set(service: Service, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def interrupt(*dummy: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(service, name, interrupt, raising=False)
    with pytest.raises(KeyboardInterrupt):
        service.take()
    assert service.calls[-1] == "release"
    assert ("abort" in service.calls) == (name in ("prepare", "make", "shadow"))
    assert service.recorded == []


def test_shadow_copies_that_can_not_be_deleted_stay_on_record(service: Service) -> None:
    made = service.take()
    service.wrong["delete_set"] = [NEVER]
    assert len(made.close()) == 1
    assert service.recorded == [SET]
    assert service.calls[-1] == "release"


def test_a_service_that_ended_is_left_alone(service: Service) -> None:
    """AbortBackup and DeleteSnapshots fail, too; the failure before them is the one that is reported."""
    service.wrong.update(make=[FULL], abort=[NEVER], delete_set=[NEVER])
    with pytest.raises(Refused) as caught:
        service.take()
    assert (caught.value.step, caught.value.code) == ("make", FULL)
    assert service.calls[-1] == "release"
    assert service.recorded == [SET]


def test_a_record_that_can_not_be_written_stops_the_set(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(dummy: uuid.UUID) -> None:
        raise OSError(5, "refused")

    monkeypatch.setattr(record, "add", refuse)
    with pytest.raises(OSError, match="refused"):
        service.take()
    assert "make" not in service.calls
    assert service.calls[-3:] == ["abort", "delete_set", "release"]
