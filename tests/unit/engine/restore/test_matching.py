# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which disk of a machine is which of an image: identity first, then size and model; what two could claim is no match."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence

import pytest
from engine.errors import RestoreMapInvalid, RestoreMatchMissing, RestoreTargetIsOtherDisk
from engine.image.format.contents import DiskContents
from engine.image.format.manifest import DiskEntry
from engine.restore import matching
from engine.restore.imaged import ImagedDisk, OtherDisks
from engine.restore.matching import AUTO, EVERY, DiskHere, Given, complete, match, refuse_other_disk
from engine.restore.selected import marked_name
from engine.restore.target import marker
from support.refusing import check_sentence

GIB = 1 << 30
NONE = OtherDisks()


def mark(disk: str, image: str = "2026-11-23_20-00-00", wanted: Optional[List[int]] = None) -> bytes:
    return marker("press-07", image, 5, marked_name(disk, wanted), "")


def entry(
    number: int,
    stable_id: str,
    table: str = "",
    model: str = "SSD 870",
    gib: int = 128,
    others: OtherDisks = NONE,
) -> ImagedDisk:
    contents = DiskContents(model, table, [])
    name = "disk%d" % number
    return ImagedDisk(DiskEntry(name, stable_id, gib * GIB, 512, GIB, "", 0, contents), mark(name), others)


def here(
    path: str,
    *hardware: str,
    table: str = "",
    model: str = "SSD 870",
    gib: int = 128,
    internal: bool = True,
    mark: bytes = b"",
) -> DiskHere:
    return DiskHere(path, frozenset(hardware), table, gib * GIB, model, internal, mark)


def paths(entries: Sequence[ImagedDisk], disks: Sequence[DiskHere]) -> List[str]:
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


NAMED = OtherDisks(frozenset(["serial:OWN", "gpt:own"]), frozenset([(64 * GIB, "HDD 1")]))


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (here("/dev/sdb", "serial:OWN"), ""),
        (here("/dev/sdb", "wwn:1", "serial:OWN"), ""),
        (here("/dev/sdb", table="gpt:own"), ""),
        (here("/dev/sdb", "serial:NEW"), "/dev/sdb"),
        (here("/dev/sdb", table="gpt:new"), "/dev/sdb"),
    ],
    ids=["serial", "one of two", "table", "new", "new table"],
)
def test_a_disk_that_the_device_had_beside_the_image_is_not_a_replacement(one: DiskHere, expected: str) -> None:
    assert paths([entry(0, "serial:DEAD", others=NAMED)], [one]) == [expected]
    if not expected:
        (found,) = match([entry(0, "serial:DEAD", others=NAMED)], [one])
        assert "/dev/sdb" in found.reason


def test_an_imaged_disk_without_a_serial_number_is_not_the_disk_with_its_copy() -> None:
    disks = [here("/dev/sdb", "serial:OWN", table="gpt:aa"), here("/dev/sdc", table="gpt:aa")]
    assert paths([entry(0, "gpt:aa", others=NAMED)], disks[:1]) == [""]
    assert paths([entry(0, "gpt:aa", others=NAMED)], disks) == ["/dev/sdc"]


def test_a_kind_of_which_the_device_had_a_nameless_disk_is_not_certain() -> None:
    one = here("/dev/sdb", model="HDD 1", gib=64)
    assert paths([entry(0, "serial:DEAD", model="HDD 1", gib=64, others=NAMED)], [one]) == [""]
    assert paths([entry(0, "serial:DEAD", model="HDD 1", gib=64)], [one]) == ["/dev/sdb"]


@pytest.mark.parametrize("wanted", [None, [2], [1, 3]])
def test_a_disk_with_the_marker_of_an_interrupted_restore_is_that_disk(wanted: Optional[List[int]]) -> None:
    entries = [entry(0, "gpt:aa"), entry(1, "gpt:bb"), entry(10, "gpt:cc")]
    disks = [here("/dev/vda"), here("/dev/vdb", mark=mark("disk0", wanted=wanted)), here("/dev/vdc", table="gpt:bb")]
    assert paths(entries, disks) == ["/dev/vdb", "/dev/vdc", "/dev/vda"]  # what is left is of the kind of the last
    assert paths([entry(0, "gpt:aa", others=NAMED)], [disks[1]._replace(table="gpt:own")]) == ["/dev/vdb"]


@pytest.mark.parametrize(
    "other",
    [mark("disk0", "2026-11-24_20-00-00"), mark("disk1"), mark("disk10"), marker("press-08", "x", 5, "disk0", "")],
)
def test_the_marker_of_another_image_or_disk_tells_nothing(other: bytes) -> None:
    assert paths([entry(0, "gpt:aa")], [here("/dev/vda", mark=other, gib=256)]) == [""]


def test_two_disks_with_the_marker_are_not_told_apart_by_it() -> None:
    disks = [here(path, mark=mark("disk0"), gib=256) for path in ("/dev/vda", "/dev/vdb")]
    (found,) = match([entry(0, "gpt:aa")], disks)
    assert (found.path, "/dev/vda" in found.reason) == ("", True)
    assert paths([entry(0, "serial:A1")], [disks[0], here("/dev/vdb", "serial:A1", mark=mark("disk0"))]) == ["/dev/vdb"]


def given(path: str = "/dev/sda", table: str = "", mark: bytes = b"", holds_data: bool = True) -> Given:
    return Given(path, table, mark, holds_data)


def describe_as(monkeypatch: pytest.MonkeyPatch, *hardware: str) -> None:
    """The disks here are what a test says, not those of the machine."""
    monkeypatch.setattr(
        matching, "_described", lambda target: here(target.path, *hardware, table=target.table, mark=target.mark)
    )


def test_a_target_that_is_another_disk_of_the_image_is_refused_by_both_names(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [entry(0, "serial:A1"), entry(1, "serial:B2")]
    describe_as(monkeypatch, "serial:B2")
    with pytest.raises(RestoreTargetIsOtherDisk) as caught:
        refuse_other_disk(entries, 0, given(), [])
    assert caught.value.code == "R169"
    assert all(name in str(caught.value) for name in ("/dev/sda", "disk0", "disk1"))
    refuse_other_disk(entries, 0, given(), ["disk1"])
    refuse_other_disk(entries, 1, given(), [])


def test_a_target_with_the_marker_of_another_disk_of_the_image_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disks without a serial number change their names while a restore is interrupted."""
    entries = [entry(0, "gpt:aa"), entry(1, "gpt:bb")]
    describe_as(monkeypatch)
    with pytest.raises(RestoreTargetIsOtherDisk) as caught:
        refuse_other_disk(entries, 0, given(mark=mark("disk1")), [])
    assert (caught.value.fields["other"], caught.value.fields["disk"]) == ("disk1", "disk0")
    refuse_other_disk(entries, 1, given(mark=mark("disk1")), [])
    refuse_other_disk(entries, 1, given(mark=mark("disk1", wanted=[2])), [])


@pytest.mark.parametrize(
    ("hardware", "table", "other"), [(["serial:OWN"], "gpt:x", "serial:OWN"), ([], "gpt:own", "gpt:own")]
)
def test_a_target_that_the_device_had_beside_the_image_is_refused_if_it_holds_data(
    hardware: List[str], table: str, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [entry(0, "serial:A1", table="gpt:aa", others=NAMED)]
    describe_as(monkeypatch, *hardware)
    with pytest.raises(RestoreTargetIsOtherDisk) as caught:
        refuse_other_disk(entries, 0, given(table=table), ["disk1", "3"])
    assert (caught.value.code, caught.value.fields["other"]) == ("R169", other)
    check_sentence(caught.value)
    refuse_other_disk(entries, 0, given(table=table), [other])
    refuse_other_disk(entries, 0, given(table=table, holds_data=False), [])
    refuse_other_disk(entries, 0, given(table="gpt:aa" if hardware else "gpt:new"), [])  # a copy that stays beside it


def test_two_disks_with_one_table_are_not_taken_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [entry(0, "gpt:aa", table="gpt:aa"), entry(1, "gpt:aa", table="gpt:aa")]
    describe_as(monkeypatch)
    refuse_other_disk(entries, 0, given("/dev/loop0", "gpt:aa"), [])
