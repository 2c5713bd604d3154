# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time of a device document: one for all sections, on a clock of the test; late sections are named and not compared."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from engine.device.compare.compare import compare
from engine.device.document import collect as collecting
from engine.device.document import network, ports, rpm, tree
from engine.device.document.addresses import Address
from engine.device.document.items import Items
from engine.device.document.tree import SystemTree, TookTooLong, Unreadable
from support.system_trees import build

SECONDS = 5.0
STEP_SECONDS = 0.05  # between two looks at the clock
NAMES = [one.name for one in collecting._READERS]
Reader = Callable[[SystemTree], Items]


class Clock:
    """A clock that only moves when a reader works."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def works(self, seconds: float, key: str = "item") -> Reader:
        """A reader that needs this time, and looks at the clock as those of the engine do."""

        def read(of: SystemTree) -> Items:
            for dummy in range(round(seconds / STEP_SECONDS)):
                of.check_time()
                self.now += STEP_SECONDS
            of.check_time()
            return {key: {"value": "x"}}

        return read


@pytest.fixture(name="clock")
def the_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(tree, "time", clock)
    monkeypatch.setattr(collecting, "time", clock)
    return clock


@pytest.fixture(name="collected")
def the_document(clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Dict[str, Any]]:
    def collected(**seconds: float) -> Dict[str, Any]:
        """The document of a system whose sections need these times, all others next to nothing."""
        readers = tuple(
            collecting._Section(name, clock.works(seconds.get(name, seconds.get("others", 0.0)))) for name in NAMES
        )
        monkeypatch.setattr(collecting, "_READERS", readers)
        return collecting.collect(str(tmp_path))

    return collected


Collected = Callable[..., Dict[str, Any]]


def test_all_sections_together_have_five_seconds(collected: Collected, clock: Clock) -> None:
    began = clock.now
    found = collected(others=60.0)
    assert SECONDS <= clock.now - began <= SECONDS + STEP_SECONDS
    assert set(found["unreadable"]) >= set(NAMES)
    assert set(found["sections"]) >= set(NAMES), "a section that was not read is there, and empty"


@pytest.mark.parametrize("name", [NAMES[0], "software", NAMES[-1]])
def test_a_slow_section_is_read_again_in_the_time_that_the_others_left(
    name: str, collected: Collected, clock: Clock
) -> None:
    began = clock.now
    found = collected(**{name: 3.5})
    assert found["unreadable"] == {}
    assert found["sections"][name] == {"item": {"value": "x"}}
    assert clock.now - began <= SECONDS


def test_two_slow_sections_are_read_again(collected: Collected) -> None:
    assert collected(software=1.4, services=1.4)["unreadable"] == {}


@pytest.mark.parametrize("slow", [NAMES[:1], NAMES[:4], NAMES[4:9]])
def test_sections_that_never_end_cost_no_other_one(slow: List[str], collected: Collected, clock: Clock) -> None:
    began = clock.now
    found = collected(**dict.fromkeys(slow, 60.0), others=STEP_SECONDS)
    assert sorted(found["unreadable"]) == sorted(slow)
    assert clock.now - began <= SECONDS + STEP_SECONDS


def test_a_section_that_did_not_make_it_is_neither_removed_nor_added(collected: Collected) -> None:
    whole, late = collected(), collected(software=60.0)
    for before, after in ((whole, late), (late, whole)):
        told = compare(before, after)
        assert (told["sections"], told["count"]) == ({}, 0)
        assert [one["section"] for one in told["not_compared"]] == ["software"]
        assert late["unreadable"]["software"] in told["not_compared"][0]["reason"]


def test_a_section_that_can_not_be_read_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: List[str] = []

    def refused(dummy_tree: SystemTree) -> Items:
        asked.append("again")
        raise Unreadable("no permission")

    monkeypatch.setattr(collecting, "_READERS", (collecting._Section("software", refused),))
    assert collecting.collect(str(tmp_path))["unreadable"] == {"software": "no permission"}
    assert asked == ["again"]


def test_the_records_of_a_real_tree_end_in_time_too(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file of a dying disk takes a second."""
    system = build(tmp_path, "debian12")
    data = SystemTree.data

    def slow(self: SystemTree, *given: Any) -> Any:
        found = data(self, *given)
        clock.now += 1.0
        return found

    monkeypatch.setattr(SystemTree, "data", slow)
    began = clock.now
    found = collecting.collect(str(system.root))
    assert clock.now - began <= SECONDS + 1.0
    assert "software" in found["unreadable"] or found["sections"]["software"]


@pytest.mark.usefixtures("clock")
def test_rpm_itself_has_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    given: List[float] = []

    def never_ends(words: List[str], timeout: float, **dummy: Any) -> None:
        given.append(timeout)
        raise subprocess.TimeoutExpired(words, timeout)

    monkeypatch.setattr(rpm.subprocess, "run", never_ends)
    running = SystemTree("/")
    running.limit(0.75)
    with pytest.raises(TookTooLong):
        list(rpm._asked(running))
    assert given == [0.75]


def test_ports_are_not_told_without_their_programs_where_the_time_ends(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = build(tmp_path, "debian12")
    descriptors = SystemTree.names

    def late(self: SystemTree, place: str) -> List[str]:
        clock.now += 60.0 if place.endswith("/fd") else 0.0
        return descriptors(self, place)

    whole = ports.read_ports(SystemTree(str(system.root)))
    assert [one for one in whole.values() if one["program"]]
    monkeypatch.setattr(SystemTree, "names", late)
    with pytest.raises(TookTooLong):
        ports.read_ports(SystemTree(str(system.root)))


def test_a_client_of_dhcp_that_waits_on_its_lent_address_is_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = build(tmp_path, "debian12")
    found = []
    for number, address in ((40, "10.0.3.40"), (60, "10.0.3.60")):
        line = (
            "  7: %02X03000A:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000   998        0 9%d 2 0 0"
            % (number, number)
        )
        system.write("/proc/net/udp", "heading\n%s\n" % line)
        monkeypatch.setattr(ports, "lent_addresses", lambda dummy_tree, one=address: {one: "dynamic IPv4"})
        found.append(ports.read_ports(SystemTree(str(system.root))))
    assert [key for key in found[0] if key.startswith("udp")] == ["udp dynamic IPv4:68"]
    assert found[0] == found[1]


def test_lent_addresses_are_those_of_the_kernel_and_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = [
        Address("eth0", "192.0.2.7/24", 4, False),
        Address("eth1", "10.0.3.40/24", 4, True),
        Address("eth2", "10.0.4.40/24", 4, False),  # a client that tells the kernel nothing of the lease
        Address("eth2", "2001:db8::7/64", 6, False),
    ]
    monkeypatch.setattr(network, "read_addresses", lambda: addresses)
    monkeypatch.setattr(network, "configured", lambda dummy_tree: {"eth2": ["dhcp"]})
    monkeypatch.setattr(network, "is_dynamic", lambda lines: lines == ["dhcp"])
    assert network.lent_addresses(SystemTree("/")) == {"10.0.3.40": "dynamic IPv4", "10.0.4.40": "dynamic IPv4"}
