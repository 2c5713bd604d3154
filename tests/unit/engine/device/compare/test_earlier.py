# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of release 0.1.0 hold device information of another form, which is compared as far as it goes."""

from __future__ import annotations

from typing import Any, Dict

from engine.device.compare.compare import compare
from engine.device.compare.earlier import document_of

LAYOUT = {
    "scheme": "gpt",
    "disk_id": "x",
    "size_bytes": 1 << 30,
    "sector_bytes": 512,
    "partitions": [{"number": 1, "start_bytes": 1 << 20, "length_bytes": 10 << 20, "type_id": "t"}],
}
OLD: Dict[str, Any] = {
    "version": 1,
    "operating_system": "Debian GNU/Linux 11 (bullseye)",
    "kernel": "5.10.0-30-amd64",
    "architecture": "x86_64",
    "firmware": "uefi",
    "vendor": "Maker",
    "product": "Box",
    "serial": "S1",
    "processors": 4,
    "memory_mib": 7829,
    "interfaces": {"eth0": "02:00:00:00:00:01"},
    "disks": {"disk0": {"name": "disk0", "stable_id": "serial:S3", "layout": LAYOUT, "volumes": []}},
}


def new(**kernel: Any) -> Dict[str, Any]:
    old = document_of(OLD)
    sections: Dict[str, Any] = {name: dict(items) for name, items in old["sections"].items()}
    sections["operating_system"]["kernel"] = dict(sections["operating_system"]["kernel"], **kernel)
    sections["hardware"]["pci 0000:00:1f.6"] = {"vendor": "8086"}
    sections["software"] = {"nginx": {"version": "1"}}
    return {"schema_version": 1, "sections": sections, "unreadable": {}}


def test_what_only_the_later_document_tells_is_not_a_change() -> None:
    told = compare(document_of(OLD), new(), "old")
    assert (told["count"], told["sections"]) == (0, {})
    assert [one["section"] for one in told["not_compared"]] == ["software"]


def test_what_both_tell_is_compared() -> None:
    told = compare(document_of(OLD), new(version="6.1.0-26-amd64"), "old")
    assert told["sections"]["operating_system"]["changed"] == [
        {"key": "kernel", "field": "version", "before": "5.10.0-30-amd64", "after": "6.1.0-26-amd64"}
    ]
    assert told["count"] == 1


def test_a_document_of_today_is_taken_as_it_is() -> None:
    information = dict(new(), disks=OLD["disks"], drives={})
    assert document_of(information) == new()


def test_information_that_says_nothing_is_a_document_too() -> None:
    for information in ({}, {"disks": 7, "interfaces": [], "sections": None}, {"model": "test"}):
        told = compare(document_of(information), new(), "old")
        assert told["count"] == 0
