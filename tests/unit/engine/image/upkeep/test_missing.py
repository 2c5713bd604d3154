# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks and volumes that only older images hold: named with the last image that holds them, until somebody agrees."""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, List, Set, Tuple

import pytest
from engine.image.format.contents import DiskContents, VolumeEntry
from engine.image.format.manifest import Manifest
from engine.image.upkeep.keeping import Policy, judge, orphan_sentences
from engine.image.upkeep.missing import find_missing, sentences
from engine.image.writing.coming import ComingDisk, coming_image
from hypothesis import given, settings
from hypothesis import strategies as st

JOBS = ("", "daily", "monthly")
KEYS = ("", "ours", "other")
DISKS = ("serial:A", "wwn:b", "gpt:c")


def made(number: int, job: str, key: str, disks: Dict[str, Tuple[int, FrozenSet[int]]]) -> Manifest:
    """An image; ``disks`` are ids with their size and the starts of their volumes."""
    contents = [
        ComingDisk(name, size, DiskContents("", "", [VolumeEntry(1, str(start), 1) for start in sorted(volumes)]))
        for name, (size, volumes) in disks.items()
    ]
    return coming_image("pc", job, contents)._replace(image="image-%03d" % number, sequence=number, key_id=key)


held = st.tuples(st.sampled_from([100, 200]), st.frozensets(st.integers(1, 3), max_size=2))
images_of = st.lists(
    st.tuples(st.sampled_from(JOBS), st.sampled_from(KEYS), st.dictionaries(st.sampled_from(DISKS), held, max_size=3)),
    min_size=1,
    max_size=14,
).map(lambda drawn: [made(number, *one) for number, one in enumerate(drawn)])
policies = st.builds(
    Policy,
    st.dictionaries(st.sampled_from(JOBS), st.integers(1, 3), min_size=1),
    st.none() | st.frozensets(st.sampled_from(JOBS[1:])),
    st.frozensets(st.sampled_from(JOBS)),
    st.frozensets(st.sampled_from(["serial:a", "b", "gpt:c/1"])),
).map(lambda policy: policy._replace(forget_jobs=policy.forget_jobs - set(policy.keep)))


def parts(manifest: Manifest) -> Set[Tuple[Any, ...]]:
    disks = {(disk.stable_id, disk.size_bytes) for disk in manifest.disks}
    volumes = {(disk.stable_id, "/", volume.id) for disk in manifest.disks for volume in disk.contents.volumes}
    return disks | volumes


def forgotten(part: Tuple[Any, ...], policy: Policy) -> bool:
    disk = part[0].lower()
    names = {disk, disk.partition(":")[2]}
    if len(part) == 3:
        names |= {part[2], *("%s/%s" % (name, part[2]) for name in names)}
    return bool(names & policy.forget_disks)


@settings(max_examples=300, deadline=None)
@given(images_of, policies)
def test_what_is_missing_is_named_with_the_last_image_that_holds_it_and_that_one_stays(
    images: List[Manifest], policy: Policy
) -> None:
    newest = images[-1]
    policy = policy._replace(keep={newest.job: 1}, forget_jobs=frozenset())
    verdicts = judge(images, policy, {}, "", False)
    found = find_missing(images, newest, policy.forget_disks)
    own = [manifest for manifest in images[:-1] if manifest.job == newest.job]
    expected = {part for manifest in own for part in parts(manifest)} - parts(newest)
    expected = {part for part in expected if not forgotten(part, policy)}
    for part in expected:
        last = [manifest.image for manifest in own if part in parts(manifest)][-1]
        assert not verdicts[last].goes
        whole = {one.id for one in found if one.image == last}
        assert ("%s/%s" % (part[0], part[2]) if len(part) == 3 else part[0]) in whole or part[0] in whole
    assert {one.image for one in found} <= {manifest.image for manifest in own}
    assert bool(found) == bool(expected)
    # The same again and again until it is forgotten, when the images go by the count.
    everything = policy._replace(forget_disks=frozenset(name.lower() for name in DISKS))
    assert find_missing(images, newest, everything.forget_disks) == []
    last_keys = {key: one.image for one in images for key in [one.key_id] if key}
    gone = {name for name, verdict in judge(images, everything, {}, "", False).items() if verdict.goes}
    assert gone == {manifest.image for manifest in own} - set(last_keys.values())


def test_warnings_are_bounded_whatever_a_storage_holds() -> None:
    images = [made(number, "job %d" % number, "", {}) for number in range(300)]
    assert len(orphan_sentences(images, Policy({"": 1}, frozenset()))) == 21
    many = [made(number, "", "", {"serial:\x1b[2J%d" % number: (100, frozenset())}) for number in range(300)]
    told = sentences(find_missing(many, made(999, "", "", {}), frozenset()))
    assert len(told) == 21
    assert all(text.isprintable() for text in told)


@pytest.mark.parametrize("table", ["gpt:0f0f0f0f-0000-4000-8000-00000000000a", "mbr:1234abcd"])
@pytest.mark.parametrize("was_the_id", [True, False])
def test_a_restored_disk_is_known_by_its_table(table: str, was_the_id: bool) -> None:
    def of(number: int, name: str, its_table: str) -> Manifest:
        return coming_image("pc", "", [ComingDisk(name, 100, DiskContents("", its_table))])._replace(
            image="image-%d" % number, sequence=number
        )

    old = of(1, table if was_the_id else "serial:OLD", "" if was_the_id else table)
    (found,) = find_missing([old], of(2, "serial:NEW", table), frozenset())
    assert (found.kind, found.now) == ("replaced", "serial:NEW")
    (other,) = find_missing([old], of(2, "serial:NEW", "mbr:99999999"), frozenset())
    assert (other.kind, other.now) == ("missing", "")
    for shared in ("mbr:00000000", "gpt:00000000-0000-0000-0000-000000000000"):
        (other,) = find_missing([of(1, "serial:OLD", shared)], of(2, "serial:NEW", shared), frozenset())
        assert other.kind == "missing"
