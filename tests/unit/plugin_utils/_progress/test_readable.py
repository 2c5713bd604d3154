# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Odd results of a device end in lines, never in a traceback: bounded in number and length, and steering nothing."""

from __future__ import annotations

from typing import Any, Dict

import pytest
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.answers import RESULTS
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.endings import ending
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.plans import plan
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.readable import MOST_LINES, readable
from hypothesis import given, settings
from hypothesis import strategies as st

MOST_CHARACTERS = 20_000
INNER = (
    *("deleted", "freed_bytes", "bytes", "due_bytes", "last_due", "needs_image", "disk", "path", "size_bytes", "label"),
    *("in_use_bytes", "volumes", "mount_points", "name", "number", "kind", "state", "reason", "selected", "target"),
    *("written_bytes", "kept_bytes", "phase", "phase_before", "bytes_done", "bytes_stored"),
)
OUTER = sorted({name for fields in RESULTS.values() for name in fields} | {"run", "state", "status", "installed"})
VERBS = [*RESULTS, "agent", "cancel"]
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("restore-1\x1b[2J\n"),
    lambda more: st.lists(more, max_size=3) | st.dictionaries(st.sampled_from(INNER), more, max_size=6),
    max_leaves=12,
)
USUAL: Dict[str, Any] = {
    **dict.fromkeys(("bytes_in_use", "bytes_to_send", "bytes_copied", "bytes_to_copy", "packs_copied"), 5),
    "ok": True,
    "deleted": [],
    "storage": "s",
    "version": 3,
    "archive": "a",
    "state": "cancelled",
    "changed": True,
}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(VERBS), st.dictionaries(st.sampled_from(OUTER), ODD, max_size=8), st.booleans(), st.booleans())
def test_no_result_of_a_device_ends_in_a_traceback(
    verb: str, odd: Dict[str, Any], is_usual: bool, is_check: bool
) -> None:
    result = dict(USUAL, **odd) if is_usual else odd
    lines = plan(verb, result) if is_check else ending(verb, result)
    assert len(lines) <= MOST_LINES + 1
    assert all(len(line) <= MOST_CHARACTERS and line.isprintable() for line in lines)


@pytest.mark.parametrize(
    "odd",
    [
        {"rollover": {"deleted": 5}},
        {"rollover": {"deleted": ["old"], "freed_bytes": "x"}},
        {"plan": [{"size_bytes": "x", "volumes": 3}, 5]},
        {"plan": [{"volumes": [{"mount_points": [5], "size_bytes": []}]}]},
    ],
)
def test_an_image_with_odd_inner_values_has_its_lines(odd: Dict[str, Any]) -> None:
    assert "i" in ending("image", dict(USUAL, image="i", **odd))[0]
    assert plan("image", dict(USUAL, **odd))


def test_a_crowd_of_entries_is_cut_and_counted() -> None:
    crowd = [{"disk": "disk%d" % number} for number in range(100_000)]
    lines = plan("image", dict(USUAL, plan=crowd))
    assert len(lines) == MOST_LINES + 1
    assert "%d more" % (100_001 - MOST_LINES) in lines[-1]
    assert len(plan("restore", {"image": "i", "plan": ["one"] * 100_000})) == MOST_LINES + 1


def test_what_is_as_promised_stays() -> None:
    result = {"image": "i", "seconds": 1.5, "trash": {"bytes": 5}, "disks": [{"target": "/dev/sdb", "kept_bytes": 1}]}
    assert readable(result) == result
