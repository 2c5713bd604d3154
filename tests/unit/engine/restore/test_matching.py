# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which disk of a machine is which of an image: identity first, then size and model; what two could claim is no match."""

from __future__ import annotations

from typing import Dict, List, Sequence

import pytest
from engine.errors import RestoreMapInvalid, RestoreMatchMissing, RestoreTargetIsOtherDisk
from engine.image.format.contents import DiskContents
from engine.image.format.manifest import DiskEntry
from engine.restore import matching
from engine.restore.matching import AUTO, EVERY, DiskHere, complete, match, refuse_other_disk

GIB = 1 << 30


def entry(number: int, stable_id: str, table: str = "", model: str = "SSD 870", gib: int = 128) -> DiskEntry:
    contents = DiskContents(model, table, [])
    return DiskEntry("disk%d" % number, stable_id, gib * GIB, 512, GIB, "", 0, contents)


def here(
    path: str, *hardware: str, table: str = "", model: str = "SSD 870", gib: int = 128, internal: bool = True
) -> DiskHere:
    return DiskHere(path, frozenset(hardware), table, gib * GIB, model, internal)


def paths(entries: Sequence[DiskEntry], disks: Sequence[DiskHere]) -> List[str]:
    return [one.path for one in match(entries, disks)]


def test_a_serial_number_counts_more_than_the_name_of_today() -> None:
    entries = [entry(0, "serial:A1"), entry(1, "wwn:5000c500a1b2c3d4")]
    disks = [here("/dev/sda", "wwn:5000c500a1b2c3d4", "serial:B2"), here("/dev/sdb", "serial:A1")]
    assert paths(entries, disks) == ["/dev/sdb", "/dev/sda"]
    assert paths([entry(1, "wwn:naa.5000C500A1B2C3D4")], disks) == ["/dev/sda"]


def test_a_disk_without_a_serial_number_is_known_by_its_table() -> None:
    entries = [entry(0, "gpt:aa", model=""), entry(1, "serial:S", table="gpt:bb", model="")]
    disks = [here("/dev/vda", table="gpt:bb", model=""), here("/dev/vdb", table="gpt:aa", model="")]
    assert paths(entries, disks) == ["/dev/vdb", "/dev/vda"]


def test_a_copy_of_a_disk_on_other_hardware_is_not_the_disk() -> None:
    entries = [entry(0, "serial:A1", table="gpt:aa")]
    assert paths(entries, [here("/dev/sdb", "serial:OTHER", table="gpt:aa", model="USB DISK", gib=256)]) == [""]


def test_a_replaced_disk_of_the_same_kind_gets_what_is_left() -> None:
    entries = [entry(0, "serial:DEAD"), entry(1, "serial:ALIVE")]
    disks = [here("/dev/sda", "serial:NEW"), here("/dev/sdb", "serial:ALIVE")]
    assert paths(entries, disks) == ["/dev/sda", "/dev/sdb"]


@pytest.mark.parametrize(
    "disks",
    [
        [here("/dev/sda", "serial:N1"), here("/dev/sdb", "serial:N2")],  # two of the kind
        [here("/dev/sda", "serial:N1", gib=256)],
        [here("/dev/sda", "serial:N1", model="")],
        [here("/dev/sda", "serial:N1", internal=False)],  # the stick with the images, or any that is removable
        [here("/dev/sda", "serial:A1"), here("/dev/sdb", "serial:A1")],  # two disks say they are the one
        [],
    ],
    ids=["two", "size", "model", "removable", "twice", "none"],
)
def test_what_is_not_certain_is_no_match(disks: List[DiskHere], monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [entry(0, "serial:A1")]
    assert paths(entries, disks) == [""]
    monkeypatch.setattr(matching, "disks_here", lambda folder: disks)
    with pytest.raises(RestoreMatchMissing) as caught:
        complete({"disk0": AUTO}, entries, "")
    assert caught.value.code == "R168"
    assert all(one.path in str(caught.value) for one in disks)


def test_two_imaged_disks_with_one_serial_number_match_neither() -> None:
    entries = [entry(0, "serial:A1"), entry(1, "serial:A1")]
    reasons = [one.reason for one in match(entries, [here("/dev/sda", "serial:A1")])]
    assert all("disk0 and disk1" in reason and "/dev/sda" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({EVERY: AUTO}, {"disk0": "/dev/sda", "disk1": "/dev/sdb"}),
        ({"disk1": AUTO}, {"disk1": "/dev/sdb"}),
        ({"disk0": "/x", "disk1": AUTO}, {"disk0": "/x", "disk1": "/dev/sdb"}),
        ({"disk0": "/x"}, {"disk0": "/x"}),
    ],
)
def test_auto_stands_for_the_match(
    given: Dict[str, str], expected: Dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    disks = [here("/dev/sda", "serial:A1"), here("/dev/sdb", "serial:B2")]
    monkeypatch.setattr(matching, "disks_here", lambda folder: disks)
    assert complete(given, [entry(0, "serial:A1"), entry(1, "serial:B2")], "") == expected


@pytest.mark.parametrize("given", [{EVERY: "/dev/sda"}, {EVERY: AUTO, "disk0": "/dev/sda"}])
def test_all_takes_nothing_but_auto(given: Dict[str, str]) -> None:
    with pytest.raises(RestoreMapInvalid):
        complete(given, [entry(0, "serial:A1")], "")


def test_a_target_that_is_another_disk_of_the_image_is_refused_by_both_names(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [entry(0, "serial:A1"), entry(1, "serial:B2")]
    monkeypatch.setattr(matching, "_described", lambda path, table: here(path, "serial:B2", table=table))
    with pytest.raises(RestoreTargetIsOtherDisk) as caught:
        refuse_other_disk(entries, 0, "/dev/sda", "", [])
    assert caught.value.code == "R169"
    assert all(name in str(caught.value) for name in ("/dev/sda", "disk0", "disk1"))
    refuse_other_disk(entries, 0, "/dev/sda", "", ["disk1"])
    refuse_other_disk(entries, 1, "/dev/sda", "", [])


def test_two_disks_with_one_table_are_not_taken_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [entry(0, "gpt:aa", table="gpt:aa"), entry(1, "gpt:aa", table="gpt:aa")]
    monkeypatch.setattr(matching, "_described", lambda path, table: here(path, table=table))
    refuse_other_disk(entries, 0, "/dev/loop0", "gpt:aa", [])
