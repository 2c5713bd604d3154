# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rollover keeps, for random stories of jobs, disks, keys and pins: against rules that are written as sets."""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, List, Set, Tuple

import pytest
from engine.errors import RequestInvalid
from engine.image.format.contents import DiskContents, VolumeEntry
from engine.image.format.manifest import Manifest
from engine.image.upkeep.keeping import Policy, Verdict, judge, orphans
from engine.image.writing.coming import ComingDisk, coming_image
from hypothesis import given, settings
from hypothesis import strategies as st

JOBS = ("", "daily", "monthly")
KEYS = ("", "ours", "other")
DISKS = ("serial:A", "wwn:b", "gpt:c")
NUMBERS = st.integers(0, 999)


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
@given(images_of, policies, st.sets(NUMBERS), st.sampled_from([None, "", "ours"]), st.booleans())
def test_rules(images: List[Manifest], policy: Policy, pins: Set[int], openable: Any, proves: bool) -> None:
    protected = {images[number % len(images)].image: "it is pinned" for number in pins}
    is_proved = proves and openable == "ours"
    verdicts = judge(images, policy, protected, openable, is_proved)
    assert list(verdicts) == [manifest.image for manifest in reversed(images)]
    stays = {manifest.image for manifest in images if not verdicts[manifest.image].goes}
    assert stays
    for position, manifest in enumerate(images):
        name, newer = manifest.image, images[position + 1 :]
        mine = [one for one in newer if one.job == manifest.job]
        if is_proved and manifest.key_id == "ours":
            mine = [one for one in mine if one.key_id == "ours"]
        if not is_proved and openable is None and manifest.key_id:
            mine = [one for one in mine if one.key_id]  # without a password unencrypted ones push no encrypted one out
        covered = set().union(*(parts(one) for one in mine)) if mine else set()
        last_of = {part for part in parts(manifest) - covered if not forgotten(part, policy)}
        ours = [one.sequence for one in images if is_proved and one.key_id == "ours"]
        until = (
            [one for one in newer if ours and one.sequence < ours[0]] if ours and manifest.sequence < ours[0] else newer
        )
        last_of_key = manifest.key_id not in ("", openable) and all(one.key_id != manifest.key_id for one in until)
        if manifest.job in policy.keep:
            must_stay = len(mine) < policy.keep[manifest.job] or name in protected or last_of_key or bool(last_of)
        elif manifest.job in policy.forget_jobs:
            must_stay = name in protected or last_of_key
        else:
            must_stay = True
        if must_stay:
            assert name in stays, verdicts[name]
        elif name in stays:
            assert verdicts[name] == Verdict(False, "it is the only remaining image", True)
            proved = [one for one in images if is_proved and one.key_id == "ours"]
            assert stays & {one.image for one in proved or images} == {name}
    for job in policy.keep:
        assert all(manifest.job != job for manifest in images) or any(
            manifest.image in stays for manifest in images if manifest.job == job
        )


def test_a_policy_that_keeps_none_is_refused() -> None:
    with pytest.raises(RequestInvalid):
        judge([], Policy({"daily": 2, "monthly": 0}), {}, None)


def test_jobs_that_are_not_defined() -> None:
    images = [made(number, job, "", {}) for number, job in enumerate(["", "a", "a", "b", "c"])]
    assert orphans(images, Policy({"b": 1})) == {}
    assert orphans(images, Policy({"b": 1}, frozenset(["c"]))) == {"a": 2}
    assert orphans(images, Policy({"": 1}, frozenset(), frozenset(["c"]))) == {"a": 2, "b": 1}


def test_what_looks_newer_does_not_take_the_place_of_the_last_image_of_an_earlier_key() -> None:
    """Any account may store a manifest of a key that the password does not open. That key ended before the present one began."""
    disks: Dict[str, Tuple[int, FrozenSet[int]]] = {}
    keys = [(1, "old"), (2, "old"), (3, "ours"), (4, "ours"), (5, "ours"), (9, "old")]
    images = [made(number, "", key, disks) for number, key in keys]
    images.insert(2, images[1]._replace(image="image-002b"))  # the same number, a later name
    verdicts = judge(images, Policy({"": 1}), {}, "ours", is_proved=True)
    stays = {image for image, verdict in verdicts.items() if not verdict.goes}
    assert stays == {"image-002", "image-002b", "image-005", "image-009"}
