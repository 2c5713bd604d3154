# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of images: what a person reads off it."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional

import pytest
import yaml
from ansible_collections.plantops.imaging.plugins.filter import image_table as image_table_filter
from engine.verbs.image_table import age, age_seconds, image_table, verified
from jinja2.nativetypes import NativeEnvironment

IMAGE: Dict[str, Any] = {
    "image": "2026-11-22_13-45-10",
    "age_seconds": 90_000,
    "disks": [{"name": "disk0", "stable_id": "serial:1", "model": "QEMU"}, {"name": "disk1", "stable_id": "serial:2"}],
    "size_bytes": 64_000_000_000,
    "in_use_bytes": 12_345_678,
    "encrypted": True,
    "job": "",
    "verified": [],
    "pinned": False,
    "version": None,
}


LATE: Dict[str, Any] = {"level": "full", "ok": True, "verified_at": "2026-11-22T13:45:10Z", "good_since": None}


def cells(devices: List[Dict[str, Any]]) -> List[Dict[str, str]]:
    """Each row by its heads: a cell begins where its head begins."""
    heads, *rows = image_table(devices)
    names = [name.strip() for name in heads.split("  ") if name.strip()]
    places = [match.start() for match in re.finditer(r"(?:^|(?<=  ))\S", heads)]
    ends = [*places[1:], 10_000]
    return [{name: row[place:end].strip() for name, place, end in zip(names, places, ends)} for row in rows]


def test_an_image_in_one_line() -> None:
    (row,) = cells([{"device": "press-07", "images": [IMAGE]}])
    assert row == {
        "DEVICE": "press-07",
        "IMAGE": "2026-11-22_13-45-10",
        "AGE": "25 hours",
        "DISKS": "QEMU serial:1, serial:2",
        "SIZE": "64.0 GB",
        "IN USE": "12.3 MB",
        "KEY": "encrypted",
        "JOB": "-",
        "VERIFIED": "never",
        "PINNED": "no",
    }


def test_a_device_without_an_image_has_a_line_and_versions_a_column() -> None:
    rows = cells([{"device": "a", "images": []}, {"device": "b", "images": [dict(IMAGE, version=3)]}])
    assert [(row["DEVICE"], row["IMAGE"], row["VERSION"]) for row in rows] == [
        ("a", "none", "-"),
        ("b", "2026-11-22_13-45-10", "v3"),
    ]


def test_names_from_disks_and_storages_harm_no_terminal() -> None:
    disks = [{"name": "disk0", "stable_id": "x", "model": "\x1b[2J\nQEMU"}]
    lines = image_table([{"device": "a\x1b]0;b\x07", "images": [dict(IMAGE, disks=disks)]}])
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("found", "cell"),
    [
        ([], "never"),
        ([{"level": "full", "ok": True, "verified_at": "2026-11-22T13:45:10Z"}], "full ok 2026-11-22"),
        ([{"level": "full", "ok": True, "verified_at": None}], "full ok"),
        ([dict(LATE, good_since="2026-10-01T13:45:10Z")], "full ok 2026-11-22, intact since 2026-10-01"),
        ([dict(LATE, good_since="2026-11-22T01:45:10Z")], "full ok 2026-11-22"),
        ([dict(LATE, good_since="2026-12-01T01:45:10Z")], "full ok 2026-11-22"),
        ([dict(LATE, ok=False, good_since="2026-10-01T13:45:10Z")], "full DAMAGED 2026-11-22"),
        (
            [dict(LATE, ok=False, verified_at="2026-10-07T00:00:00Z"), dict(LATE, good_since="2026-10-01T13:45:10Z")],
            "full ok 2026-11-22; before: full DAMAGED 2026-10-07",
        ),
        ([{"level": "quick", "ok": False, "verified_at": None}], "quick DAMAGED"),
        (
            [{"level": "full", "ok": False, "verified_at": None}, {"level": "quick", "ok": True, "verified_at": None}],
            "quick ok; before: full DAMAGED",
        ),
    ],
)
def test_verifications(found: List[Dict[str, Any]], cell: str) -> None:
    assert verified(found) == cell


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "unknown"),
        (-86400, "in the future"),
        (-5, "0 minutes"),
        (59, "0 minutes"),
        (119, "1 minute"),
        (7199, "119 minutes"),
        (7200, "2 hours"),
        (172_799, "47 hours"),
        (172_800, "2 days"),
        (86400 * 400, "400 days"),
    ],
)
def test_ages(seconds: Optional[int], words: str) -> None:
    assert age(seconds) == words


def test_an_age_needs_two_moments() -> None:
    assert age_seconds("2026-11-22_13-45-10", "2026-11-23_13-45-11") == 86401
    assert age_seconds("by hand", "2026-11-23_13-45-11") is None
    assert age_seconds("2026-11-22_13-45-10", "") is None


def test_the_example_of_the_filter_is_a_table_of_both_devices() -> None:
    (task,) = yaml.safe_load(image_table_filter.EXAMPLES)
    environment = NativeEnvironment()
    environment.filters["plantops.imaging.image_table"] = image_table
    images = {"press_%s_images" % one: {"devices": [{"device": one, "images": []}]} for one in ("07", "08")}
    heads, *rows = environment.from_string(task["ansible.builtin.debug"]["msg"]).render(images)
    assert heads.startswith("DEVICE")
    assert [row.split()[0] for row in rows] == ["07", "08"]
