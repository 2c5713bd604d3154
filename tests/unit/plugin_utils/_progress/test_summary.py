# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The summary of a play: each end of a run in a row, and lists of who was done, failed or not reached."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.summary import (
    MOST_ROWS,
    MOST_WARNINGS,
    Summary,
)
from engine.errors import RunCancelled, StorageFull
from engine.fleet.run_result import Run, compose

RESULT = {
    "image": "2026-11-29_17-50-00",
    "bytes_in_use": 12 << 30,
    "bytes_stored": 340 << 20,
    "seconds": 720.0,
    "rollover": {"deleted": ["a", "b"]},
}


def document(verb: str = "image", job: str = "", **more: Any) -> Dict[str, Any]:
    run = Run("x", verb, job, "2026-11-29T17:50:00Z", "2026-11-29T17:50:40Z")
    error = more.pop("error", None)
    return compose(run, more, error)


def test_every_end_has_a_row_and_a_place_in_a_list() -> None:
    summary = Summary()
    summary.add_changes("press-01", 3)
    summary.add("press-01", document(**RESULT))
    summary.add("press-02", document(error={"code": "S104", "message": "It is away: \x1b[2J", "hint": "h"}))
    summary.add("press-03", document(error=RunCancelled().as_dict()))
    summary.add_unreachable("press-04")
    summary.add_unreachable("press-01")
    lines = summary.lines()
    rows = {line.split()[0]: line for line in reversed(lines) if line.startswith("press-")}
    for words in ("2026-11-29_17-50-00", "12.9 GB", "357 MB", "12 min", "3 changes", "2 old images deleted"):
        assert words in rows["press-01"]
    assert "S104" in rows["press-02"]
    assert "J101" in rows["press-03"]
    assert not any("\x1b" in line for line in lines)
    lists = dict(line.split(": ", 1) for line in lines if not line.startswith((" ", "press-", "IMAGING")))
    assert lists["imaged"] == "1 (press-01)"
    assert lists["failed S104"] == "1 (press-02)"
    assert lists["cancelled J101"] == "1 (press-03)"
    assert lists["not reached"] == "2 (press-01, press-04)"
    assert lists["no new image"] == "3 (press-02, press-03, press-04)"
    assert lists["changed disks"] == "none"
    assert "to do: h" in lines[lines.index(rows["press-02"]) + 1], "what to do follows the reason"


def test_a_step_that_fails_after_the_commit_does_not_hide_the_image() -> None:
    summary = Summary()
    error = {"code": "J183", "message": "The hook after failed: no mail.", "hint": "h"}
    summary.add("press-01", document(error=error, **RESULT))
    summary.add("press-02", document("verify", error=error, image="2026-11-29_17-50-00"))
    rows = {line.split()[0]: line for line in summary.lines() if line.startswith("press-")}
    assert "J183" in rows["press-01"]
    assert RESULT["image"] in rows["press-01"]
    assert RESULT["image"] not in rows["press-02"], "it was not made by this run"
    assert "failed J183: 2 (press-01, press-02)" in summary.lines()
    assert "no new image: 1 (press-02)" in summary.lines()


def lists_of(summary: Summary) -> Dict[str, str]:
    return dict(line.split(": ", 1) for line in summary.lines() if not line.startswith((" ", "press-", "IMAGING")))


def test_the_name_of_a_pack_takes_eight_digits_of_a_row() -> None:
    summary = Summary()
    error = StorageFull(storage="sftp://nas/images", path="press-01/packs/ab/%s" % ("ab12cd34" * 8))
    summary.add("press-01", document(error=error.as_dict()))
    (row,) = (line for line in summary.lines() if line.startswith("press-01"))
    assert "press-01/packs/ab/ab12cd34... failed" in row


def test_check_mode_says_what_would_be_imaged_and_does_not_miss_the_images() -> None:
    summary = Summary()
    planned = {name: value for name, value in RESULT.items() if name != "image"}
    summary.add("press-01", document(**planned))
    summary.add("press-02", document(error={"code": "S104", "message": "It is away.", "hint": "h"}))
    lists = lists_of(summary)
    assert lists["would be imaged"] == "1 (press-01)"
    assert lists["failed S104"] == "1 (press-02)"
    assert not {"imaged", "no new image"} & set(lists)


def test_each_job_of_a_device_has_its_row() -> None:
    summary = Summary()
    summary.add("press-01", document(job="system", **RESULT))
    summary.add("press-01", document(job="data", error={"code": "S104", "message": "It is away.", "hint": "h"}))
    summary.add("press-02", document(job="system", error={"code": "S104", "message": "It is away.", "hint": "h"}))
    summary.add("press-02", document(job="system", **RESULT))
    rows = [line for line in summary.lines() if line.startswith("press-")]
    assert [line.split()[0] for line in rows] == ["press-01", "press-01", "press-02"]
    assert all(part in rows[0] for part in ("job system", RESULT["image"]))
    assert all(part in rows[1] for part in ("job data", "S104"))
    assert "job" not in rows[2], "it has only one"
    lists = lists_of(summary)
    assert lists["imaged"] == "2 (press-01, press-02)"
    assert lists["failed S104"] == "1 (press-01)"
    assert lists["no new image"] == "none"


def test_many_devices_are_counted_and_those_that_failed_are_named() -> None:
    summary = Summary()
    for number in range(2000):
        error = {"code": "S104", "message": "It is away.", "hint": "h"} if number % 100 == 0 else None
        summary.add("press-%d" % number, document(error=error, **RESULT))
    lines = summary.lines()
    assert len(lines) < 2 * MOST_ROWS
    assert sum(line.startswith("press-") for line in lines) == 20
    assert any(line.startswith("imaged: 1980 (") for line in lines)
    assert any(line.startswith("failed S104: 20 (") for line in lines)


def test_another_verb_and_a_play_without_runs() -> None:
    assert Summary().lines() == []
    summary = Summary()
    summary.add("pc", document("verify", image="i", ok=True, level="full", problems=[], checked_bytes=5))
    assert "verify ok: 1 (pc)" in summary.lines()
    assert "40 s" in summary.lines()[1]


def test_changes_are_counted_only_where_the_device_was_compared() -> None:
    nothing = {"sections": {}, "count": 0, "not_compared": []}
    summary = Summary()
    for device, comparison in (
        ("first", dict(nothing, against="")),
        ("none", None),
        ("compared", dict(nothing, against="i")),
    ):
        summary.add_changes(device, 0)
        summary.add(device, document(comparison=comparison, **RESULT))
    assert {line.split()[0]: "0 changes" in line for line in summary.lines()[1:4]} == {
        "first": False,
        "none": False,
        "compared": True,
    }


def test_changed_disks_are_named_and_listed() -> None:
    added = [{"key": "serial:%d" % number} for number in range(6)]
    sections = {"disks": {"added": added, "removed": [{"key": "serial:WD-17"}], "changed": []}}
    comparison = {"against": "i", "sections": sections, "count": 7, "not_compared": []}
    summary = Summary()
    summary.add("press-01", document(comparison=comparison, **RESULT))
    summary.add("press-02", document(comparison={"against": "i", "sections": None, "count": 1}, **RESULT))
    lines = summary.lines()
    assert "changed disks: 1 (press-01)" in lines
    (disks,) = (line for line in lines if "disks: added" in line)
    assert "serial:0" in disks
    assert "and 2 more; removed serial:WD-17" in disks


def test_every_reason_why_a_device_was_not_reached_says_what_to_do() -> None:
    summary = Summary()
    reasons = {
        "off": "ssh: connect to host 192.0.2.7 port 22: No route to host",
        "key": "tech@192.0.2.8: Permission denied (publickey,password).",
        "reinstalled": "Host key verification failed.",
        "name": "ssh: Could not resolve hostname press-7: Name or service not known",
        "mute": "",
    }
    for device, reason in reasons.items():
        summary.add_unreachable(device, reason)
    lines = summary.lines()
    to_do = {}
    for device, reason in reasons.items():
        (number,) = (number for number, line in enumerate(lines) if line.startswith(device + " "))
        assert reason in lines[number]
        to_do[device] = lines[number + 1].split("to do: ")[1]
    assert to_do["off"] == to_do["mute"]
    assert len(set(to_do.values())) == 4
    assert "ssh-keygen -R" in to_do["reinstalled"]
    assert "ansible_host" in to_do["name"]


def test_the_text_of_each_warning_is_beside_the_names_of_its_devices() -> None:
    summary = Summary()
    summary.add("press-01", document(warnings=["The clock is wrong.", "Only here. \x1b[2J"], **RESULT))
    summary.add(
        "press-02", document(warnings=["The clock is wrong."], error={"code": "S104", "message": "m", "hint": "h"})
    )
    lines = summary.lines()
    assert "warning of 2 devices (press-01, press-02): The clock is wrong." in lines
    assert any(line.startswith("warning of press-01: Only here.") for line in lines)
    assert not any("\x1b" in line for line in lines)


def test_the_summary_of_a_hundred_devices_is_read_in_ten_seconds() -> None:
    summary = Summary()
    for number in range(100):
        error = {"code": "S101", "message": "It is away.", "hint": "h"} if number % 4 == 0 else None
        summary.add("press-%03d" % number, document(warnings=["The same.", "Of %d." % number], error=error, **RESULT))
    lines = summary.lines()
    assert len(lines) < 100
    assert any(line.startswith("warning of 100 devices (") for line in lines)
    assert sum(line.startswith("warning of ") for line in lines) == MOST_WARNINGS
    assert any(line.startswith("and 81 more warnings") for line in lines)
    assert summary.failed() == ["press-%03d" % number for number in range(0, 100, 4)]


def test_a_device_without_a_new_image_has_its_last_one(tmp_path: Path) -> None:
    def leave(device: str, **more: Any) -> str:
        (tmp_path / device).mkdir(exist_ok=True)
        path = tmp_path / device / ("%d-image.json" % len(list((tmp_path / device).iterdir())))
        path.write_text(json.dumps(more), encoding="utf-8")
        return str(path)

    summary = Summary()
    error = {"code": "S104", "message": "It is away.", "hint": "h"}
    for device in ("press-01", "press-02", "press-03", "press-04"):
        leave(device, image="2026-11-27_22-00-00", ended="2026-11-27T22:00:00Z")
    summary.add("press-01", dict(document(**RESULT), device="press-01"), leave("press-01", image=RESULT["image"]))
    summary.add("press-02", dict(document(error=error), device="press-02"), leave("press-02", image=None))
    summary.add(
        "press-03", dict(document(error=error, **RESULT), device="press-03"), leave("press-03", image=RESULT["image"])
    )
    summary.add_unreachable("press-04")
    lines = [line.strip() for line in summary.lines(now_seconds=1_795_978_400.0)]
    assert lines.count("last image: 2026-11-27_22-00-00, 44 h ago") == 2
    for device in ("press-02", "press-04"):
        (number,) = (number for number, line in enumerate(lines) if line.startswith(device + " "))
        assert lines[number + 2].startswith("last image: ")
    assert summary.failed() == ["press-02", "press-03", "press-04"]
