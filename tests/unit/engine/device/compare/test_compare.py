# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparisons of device documents: nothing for the same, each difference once, both ways alike, and the rules that pass some by."""

from __future__ import annotations

import copy
import json
from typing import Any, Dict

import pytest
from engine.device.compare.compare import compare
from engine.device.compare.ignore import Ignored, parse_rules
from engine.device.compare.words import changes, diff, lines
from engine.errors import CompareIgnoreInvalid
from hypothesis import given
from hypothesis import strategies as st
from support.refusing import failing

_TEXTS = st.text(max_size=6)
_VALUES = st.none() | st.booleans() | st.integers() | _TEXTS | st.lists(_TEXTS, max_size=3)
_ITEMS = st.dictionaries(
    _TEXTS, st.dictionaries(_TEXTS.filter(lambda name: name != "key"), _VALUES, max_size=3), max_size=4
)
_NAMES = st.sampled_from(["software", "services", "users", "network"])
_DOCUMENTS = st.fixed_dictionaries(
    {
        "sections": st.dictionaries(_NAMES, _ITEMS, max_size=3),
        "unreadable": st.dictionaries(_NAMES, st.just("x"), max_size=1),
    }
)
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    _VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3)
)


def document(**sections: Any) -> Dict[str, Any]:
    return {"schema_version": 1, "sections": sections, "unreadable": {}}


BEFORE = document(
    software={"nginx": {"version": "1"}, "kernel-1": {"version": "1"}}, users={"a": {"uid": 1, "password": None}}
)
AFTER = document(
    software={"nginx": {"version": "2"}, "kernel-2": {"version": "2"}}, users={"a": {"uid": 1, "password": "set"}}
)


@given(_DOCUMENTS)
def test_a_document_does_not_differ_from_itself(one: Dict[str, Any]) -> None:
    told = compare(one, copy.deepcopy(one))
    assert (told["count"], told["sections"]) == (0, {})
    assert changes(told) == []
    assert diff(told) == {"before": "", "after": ""}


@given(_DOCUMENTS, _DOCUMENTS)
def test_the_way_back_is_the_same_differences_turned_round(one: Dict[str, Any], other: Dict[str, Any]) -> None:
    there, back = compare(one, other), compare(other, one)
    assert there["count"] == back["count"]
    assert set(there["sections"]) == set(back["sections"])
    for name, kinds in there["sections"].items():
        assert kinds["added"] == back["sections"][name]["removed"]
        assert kinds["removed"] == back["sections"][name]["added"]
        turned = [
            dict(entry, before=entry["after"], after=entry["before"]) for entry in back["sections"][name]["changed"]
        ]
        assert kinds["changed"] == turned


@given(_DOCUMENTS, _DOCUMENTS)
def test_applying_the_differences_makes_the_later_document(one: Dict[str, Any], other: Dict[str, Any]) -> None:
    """As far as both sides know: what is unknown on one side is not a difference."""
    there = compare(one, other)
    for name, kinds in there["sections"].items():
        items = copy.deepcopy(one["sections"][name])
        for entry in kinds["removed"]:
            del items[entry["key"]]
        for entry in kinds["added"]:
            items[entry["key"]] = {field: value for field, value in entry.items() if field != "key"}
        for entry in kinds["changed"]:
            assert items[entry["key"]][entry["field"]] == entry["before"]
            items[entry["key"]][entry["field"]] = entry["after"]
        expected = other["sections"][name]
        assert set(items) == set(expected)
        for key, item in items.items():
            for field in set(item) & set(expected[key]):
                assert item[field] == expected[key][field] or None in (item[field], expected[key][field])


@given(ANYTHING, ANYTHING)
def test_documents_of_anybody_are_compared_without_an_error(one: Any, other: Any) -> None:
    sides = [{"sections": value, "unreadable": value} for value in (one, other)]
    told = compare(*sides)
    lines(told)
    lines({"sections": one, "not_compared": other})
    changes({"sections": other})
    assert not compare(sides[0], sides[0])["count"]


def test_each_kind_of_difference_has_its_form() -> None:
    told = compare(BEFORE, AFTER, "2026-11-22_13-45-10")
    assert told == {
        "against": "2026-11-22_13-45-10",
        "sections": {
            "software": {
                "added": [{"key": "kernel-2", "version": "2"}],
                "removed": [{"key": "kernel-1", "version": "1"}],
                "changed": [{"key": "nginx", "field": "version", "before": "1", "after": "2"}],
            }
        },
        "count": 3,
        "not_compared": [],
    }
    assert [one["path"] for one in changes(told)] == [
        "software/kernel-2",
        "software/kernel-1",
        "software/nginx.version",
    ]


def test_a_section_that_one_side_could_not_read_is_not_compared() -> None:
    after = dict(copy.deepcopy(AFTER), unreadable={"software": "Permission denied"})
    del after["sections"]["users"]
    told = compare(BEFORE, after)
    assert told["sections"] == {}
    assert [one["section"] for one in told["not_compared"]] == ["software", "users"]
    assert "Permission denied" in lines(told)[0]


@pytest.mark.parametrize(
    ("rules", "count"),
    [
        ([], 3),
        (["software/nginx"], 2),
        (["software/kernel-*"], 1),
        (["software/*"], 0),
        (["*/*"], 0),
        (["soft*/[nk]*"], 0),
        (["users/*", "software/NGINX"], 3),
    ],
)
def test_rules_pass_differences_by(rules: Any, count: int) -> None:
    assert compare(BEFORE, AFTER, ignored=Ignored(parse_rules(rules)))["count"] == count


def test_a_rule_covers_keys_with_slashes_and_other_signs() -> None:
    rules = Ignored(["scheduled_tasks//etc/cron.d/*", "listening_ports/tcp 0.0.0.0:*"])
    assert rules.covers("scheduled_tasks", "/etc/cron.d/sync: /bin/true")
    assert rules.covers("listening_ports", "tcp 0.0.0.0:22")
    assert not rules.covers("listening_ports", "tcp [::]:22")


@pytest.mark.parametrize(
    "wrong",
    ["software/x", ["software"], ["softwar/nginx"], ["software/"], [7], [""], {"a": 1}, ["x" * 501], ["/x"], [None]],
    ids=json.dumps,
)
def test_rules_that_are_none_are_refused_by_name(wrong: Any) -> None:
    with pytest.raises(CompareIgnoreInvalid) as caught:
        parse_rules(wrong)
    entry = wrong[0] if isinstance(wrong, list) else wrong
    assert repr(entry)[:40] in str(caught.value)


def test_the_nearest_section_is_named() -> None:
    with failing(CompareIgnoreInvalid, reason="software"):
        parse_rules(["sofware/nginx"])


def test_lines_are_bounded_and_steer_nothing() -> None:
    many = document(software={"p%04d\n\x1b[2J" % number: {"version": "x" * 400} for number in range(500)})
    told = compare(document(software={}), many)
    found = lines(told, most=10)
    assert len(found) == 11
    assert all(line.isprintable() and len(line) < 400 for line in found)
    assert "490 more" in found[-1]
