# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where volumes lay, as device information tells, and how they may have moved."""

from __future__ import annotations

import json
from typing import Any, Dict

from engine.image.format import constants as fmt
from engine.image.writing.volume_places import Move, VolumePlace, moves, places_of
from hypothesis import given
from hypothesis import strategies as st

MIB = 1 << 20


def information(*partitions: Dict[str, Any], volumes: object = ()) -> Dict[str, Any]:
    return {"disks": {"disk1": {"layout": {"partitions": list(partitions)}, "volumes": volumes}}}


def volume(start_mib: float, *names: str, length: int = 100 * MIB, kind: str = "") -> VolumePlace:
    return VolumePlace(int(start_mib * MIB), length, frozenset(names), kind)


def test_places_and_names_of_a_disk() -> None:
    told = information(
        {"number": 1, "start_bytes": MIB, "length_bytes": 5 * MIB, "unique_id": "P1"},
        {"number": 2, "start_bytes": 6 * MIB, "length_bytes": 7 * MIB, "unique_id": ""},
        volumes=[
            {"number": 1, "uuid": "", "kind": "lvm"},
            {"number": 1, "uuid": "of a logical volume", "kind": "ext4", "name": "group/volume"},
            {"number": 2, "uuid": "U2", "kind": "ntfs"},
        ],
    )
    assert places_of(told, 1) == [
        VolumePlace(MIB, 5 * MIB, frozenset(["partition P1"]), "lvm"),
        VolumePlace(6 * MIB, 7 * MIB, frozenset(["volume U2"]), "ntfs"),
    ]
    assert places_of(told, 0) == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(2 * fmt.MAX_DISK_BYTES),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "disks",
                    "disk0",
                    "layout",
                    "partitions",
                    "volumes",
                    "number",
                    "start_bytes",
                    "length_bytes",
                    "uuid",
                    "kind",
                ]
            ),
            inner,
        )
    ),
    max_leaves=30,
)


@given(json_values)
def test_whatever_a_storage_says_is_taken_or_passed_by(value: object) -> None:
    document = {"disks": {"disk0": {"layout": {"partitions": [value, {"start_bytes": 1, "length_bytes": value}]}}}}
    for told in (document, {"disks": value}, {"disks": {"disk0": value}}):
        for place in places_of(json.loads(json.dumps(told)), 0):
            assert 0 <= place.start_bytes <= fmt.MAX_DISK_BYTES
            assert 0 <= place.length_bytes <= fmt.MAX_DISK_BYTES


def test_so_many_volumes_are_not_taken() -> None:
    partitions = [{"number": 1, "start_bytes": one, "length_bytes": 1} for one in range(5000)]
    assert len(places_of(information(*partitions), 1)) <= 256


def test_what_a_name_ties_together_comes_first() -> None:
    before = [volume(1, "a"), volume(200, "b")]
    now = [volume(301, "b"), volume(501, "a")]
    found = list(moves(before, now))
    assert found[:2] == [
        Move(301 * 16, 401 * 16, 101 * 16, True),
        Move(501 * 16, 601 * 16, 500 * 16, True),
    ]
    assert [one.is_named for one in found] == [True, True, False, False]
    assert {one.by for one in found[2:]} == {300 * 16, 301 * 16}


def test_what_stayed_or_is_another_is_no_move() -> None:
    assert list(moves([volume(1, "a")], [volume(1, "a")])) == []
    assert list(moves([volume(1, "a", length=5)], [volume(9, "b", length=6)])) == []
    assert len(list(moves([volume(1, "a", length=5, kind="ntfs")], [volume(9, "b", length=6, kind="ntfs")]))) == 1


def test_only_whole_chunks_move() -> None:
    """From sector 63 to sector 2048, as old tables are brought up to date: no chunk of the volume stays the same."""
    old = VolumePlace(63 * 512, 100 * MIB, frozenset(["a"]), "ntfs")
    assert list(moves([old], [volume(1, "a")])) == []
    by_cylinders = VolumePlace(63 * 512 + 3 * fmt.CHUNK_BYTES, 100 * MIB, frozenset(["a"]), "ntfs")
    (move,) = moves([old], [by_cylinders])
    assert move.by == 3
