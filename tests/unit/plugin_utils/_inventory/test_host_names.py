# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of hosts are expanded as Ansible itself expands them, and what it refuses is refused."""

from __future__ import annotations

from typing import List, Optional

import pytest
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible_collections.plantops.imaging.plugins.plugin_utils._inventory.host_names import BrokenRange, expanded
from hypothesis import given, settings
from hypothesis import strategies as st

EXPANDED = [
    "press-11",
    "press-[01:03]",
    "press-[08:11].plant.example",
    "press-[1:9:4]",
    "press-[:3]",
    "press-[7:7]",
    "oven-[a:c]",
    "oven-[a:C]",
    "oven-[a:i:3]",
    "[a:c]",
    "[01:02]-press",
    "l[1:2]p[a:b]",
    "l[01:02][a:b]",
    "press-11:2222",
    "press-[1:2]:22",
    "press-[1:2].x:22",
    "10.0.0.[1:3]",
    "10.0.0.[1:3]:22",
    "2001:db8::8",
    "[2001:db8::7]:22",
    "Presse-Süd",
    "press_11",
    "q:x",
    "press-11:",
]
REFUSED = [
    "press-[1-3]",
    "press-[1,3]",
    "press-[1]",
    "press-[]",
    "press-[a:3]",
    "press-[001:2]",
    "press-[1:]",
    "press-[1:9:x]",
    "press-[1:2:3:4]",
    "press-[aa:cc]",
    "press-[c:a]",
    "press-[1:3",
    "press-[1:9:0]",
]


def of_ansible(pattern: str) -> Optional[List[str]]:
    try:
        names, dummy_port = BaseInventoryPlugin()._expand_hostpattern(pattern)
    except Exception:  # of any kind: an index, a number, an error of its own
        return None
    return [str(name) for name in names]


def of_ours(pattern: str) -> Optional[List[str]]:
    try:
        return expanded(pattern)
    except BrokenRange:
        return None


@pytest.mark.parametrize("pattern", EXPANDED)
def test_as_ansible_expands_it(pattern: str) -> None:
    found = of_ansible(pattern)
    assert found
    assert of_ours(pattern) == found


@pytest.mark.parametrize("pattern", REFUSED)
def test_as_ansible_refuses_it(pattern: str) -> None:
    assert of_ansible(pattern) is None
    assert of_ours(pattern) is None


def test_a_range_that_ends_before_it_begins_has_no_hosts_for_ansible_and_is_refused_here() -> None:
    assert of_ansible("press-[13:11]") == []
    assert of_ours("press-[13:11]") is None


def test_a_range_of_millions_ends_early() -> None:
    assert of_ours("press-[1:99999999]") is None
    assert of_ours("a[1:999]b[1:999]c[1:999]") is None


PIECES = ["b1", "-x", ".y", "[1:3]", "[a:c]", "[01:02]", "[1:2:3]", "[1", "]", "[", "[c:a]", "[0:1:0]", "ü"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=4), st.sampled_from(["", ":22"]))
def test_any_composed_name_as_ansible_does(pieces: List[str], port: str) -> None:
    pattern = "h%sz%s" % ("".join(pieces), port)
    assert of_ours(pattern) == of_ansible(pattern)
