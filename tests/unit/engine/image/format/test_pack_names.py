# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flat sets and maps of pack names are what Python's own are, whatever is asked of them."""

from __future__ import annotations

from typing import Dict, List

import pytest
from engine.image.format import pack_names
from engine.image.format.pack_names import NamesOfPacks, PackNames, PackSizes, SizesOfPacks
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = st.integers(0, 60).map(lambda number: "%064x" % (number * 0x9E3779B97F4A7C15 << 130 & (1 << 256) - 1))


@pytest.fixture(autouse=True, scope="module")
def small_steps():
    """A few names are many here, so that runs are merged and nothing becomes a set of Python's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pack_names, "MOST_PLAIN", 0)
        patch.setattr(pack_names, "_RUN_RECORDS", 5)
        patch.setattr(pack_names, "_SLICE_RECORDS", 2)
        yield


def names_of(names: List[str]) -> NamesOfPacks:
    collected = NamesOfPacks()
    for name in names:
        collected.add(name)
    return collected


@settings(max_examples=200, deadline=None)
@given(st.lists(NAMES), st.lists(NAMES), NAMES)
def test_names_are_a_set(first: List[str], second: List[str], other: str) -> None:
    collected = names_of(first)
    names = collected.done()
    assert isinstance(names, PackNames) or not first
    assert list(names) == sorted(set(first))
    assert len(names) == len(set(first))
    assert collected.had_twins == (len(set(first)) < len(first))
    assert (other in names) == (other in first)
    assert names - frozenset(second) == set(first) - set(second)
    assert frozenset(second) - names == set(second) - set(first)
    assert names | names_of(second).done() == set(first) | set(second)
    assert names & set(second) == set(first) & set(second)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(NAMES, st.integers(0, 1 << 40)),
    st.lists(st.tuples(NAMES, st.none() | st.integers(0, 1 << 40))),
)
def test_sizes_are_a_map(stored: Dict[str, int], changes: List[tuple]) -> None:
    collected = SizesOfPacks()
    for name, size_bytes in stored.items():
        collected.add(name, size_bytes)
    sizes, model = collected.done(), dict(stored)
    assert isinstance(sizes, PackSizes) or not stored
    for name, size_bytes in changes:
        if size_bytes is None:
            assert sizes.pop(name, None) == model.pop(name, None)
        else:
            sizes[name] = model[name] = size_bytes
        assert len(sizes) == len(model)
    assert dict(sizes) == model
    assert sorted(sizes) == sorted(model)


@pytest.mark.parametrize("name", ["", "00", "g" * 64, "00" * 33, None, 7])
def test_what_is_no_name_is_not_there(name: object) -> None:
    names = names_of(["00" * 32]).done()
    assert name not in names
