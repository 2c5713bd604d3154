# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The document of a run: every field, for every end, within bounds, as the published schema says."""

from __future__ import annotations

import json
from typing import Any, Dict, Optional

import jsonschema
import pytest
from engine.errors import RunCancelled
from engine.fleet import run_result
from engine.fleet.run_result import FIELDS, Run, compose
from engine.image.format import documents
from hypothesis import given
from hypothesis import strategies as st
from support.paths import ROOT

SCHEMA = json.loads((ROOT / "docs" / "schemas" / "result.json").read_text(encoding="utf-8"))
RUN = Run("press-07", "image", "daily", "2026-11-29T17:50:00Z", "2026-11-29T17:51:00Z", "image-1")
SIZES = {"bytes_in_use": 1000, "bytes_stored": 100, "seconds": 2.0}


def test_the_schema_has_exactly_the_fields_and_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert set(SCHEMA["properties"]) == set(SCHEMA["required"]) == set(FIELDS)
    assert SCHEMA["properties"]["state"]["enum"] == list(run_result.STATES)


@pytest.mark.parametrize(
    ("result", "error", "expected"),
    [
        (SIZES, None, {"state": "ok", "bytes_in_use": 1000, "error_code": None, "message": None}),
        ({}, RunCancelled().as_dict(), {"state": "cancelled", "error_code": "J101"}),
        ({}, {"code": "S100", "message": "m", "hint": ""}, {"state": "failed", "message": "m", "hint": None}),
        ({"image": "x"}, {"code": "J183", "message": "m", "hint": "h"}, {"state": "failed", "image": "x"}),
        ({"ok": False, "problems": ["a", "b"]}, None, {"state": "failed", "error_code": "I101", "message": "a b"}),
    ],
)
def test_the_end_of_a_run_is_told(result: Any, error: Optional[Dict[str, str]], expected: Dict[str, Any]) -> None:
    document = compose(RUN, result, error)
    jsonschema.validate(document, SCHEMA)
    assert {name: document[name] for name in expected} == expected


def test_rates_are_whole_numbers_and_a_run_of_no_time_has_none() -> None:
    document = compose(RUN, SIZES)
    assert document["rates"] == {"seconds": 2, "in_use_bytes_per_second": 500, "stored_bytes_per_second": 50}
    assert compose(RUN, dict(SIZES, seconds=0.0))["rates"]["in_use_bytes_per_second"] is None
    assert documents.parse(run_result.encode(document)) == document, "the documents of an image hold no floats"


def test_a_rollover_tells_what_was_deleted_in_the_storages_of_jobs() -> None:
    own = {"deleted": ["a"], "freed_bytes": 5, "images": ["b"], "trashed_packs": ["p"]}
    jobs = {"weekly": {"deleted": ["c"], "freed_bytes": 7, "images": ["d"], "secret": "x"}, "never": {"images": []}}
    document = compose(RUN._replace(verb="rollover"), dict(own, jobs=jobs))
    jsonschema.validate(document, SCHEMA)
    assert document["rollover"] == {
        "deleted": ["a", "c"],
        "freed_bytes": 12,
        "images": ["b"],
        "trashed_packs": 1,
        "jobs": {
            "weekly": {"deleted": ["c"], "freed_bytes": 7, "images": ["d"]},
            "never": {"deleted": [], "images": []},
        },
    }


def test_what_is_long_is_cut_and_what_steers_a_terminal_is_shown() -> None:
    warnings = ["w\x1b[2J\n" * 2000] * 500
    document = compose(RUN, {"warnings": warnings, "rollover": {"deleted": ["a"], "trashed_packs": ["p"] * 9}})
    jsonschema.validate(document, SCHEMA)
    assert "\x1b" not in json.dumps(document, ensure_ascii=False)
    assert document["rollover"] == {"deleted": ["a"], "trashed_packs": 9}
    big = {"against": "x", "count": 1, "sections": {"s": {"added": ["a" * run_result.MAX_COMPARISON_BYTES]}}}
    assert compose(RUN, {"comparison": big})["comparison"] == {"against": "x", "count": 1, "sections": None}


def test_a_comparison_is_taken_and_the_texts_of_a_diff_are_not() -> None:
    comparison = {"against": "i", "count": 1, "sections": {"software": {"added": ["a"], "removed": [], "changed": []}}}
    assert compose(RUN, {"comparison": comparison})["comparison"] == comparison
    assert compose(RUN, {"comparison": {"before": "a", "after": "b"}})["comparison"] is None


@given(st.text(), st.text())
def test_any_name_is_safe_as_a_file_name(device: str, verb: str) -> None:
    for name in (run_result.safe_name(device), run_result.file_name(device, verb)):
        assert name
        assert not name.startswith((".", " "))
        assert set(name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
        assert len(name) < 200
