# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The line at the end of each verb, from documents of results."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import pytest
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.endings import (
    ending,
    has_written,
    listed,
    trash_words,
)

IMAGE = "2026-11-30_01-30-00"
TRASH: Dict[str, Any] = {
    "packs": 2,
    "bytes": 300_000_000,
    "due_bytes": 100_000_000,
    "last_due": "a moment",
    "needs_image": True,
}
RESTORED: Dict[str, Any] = {
    "image": IMAGE,
    "disks": [{"disk": "disk0", "target": "/dev/sdb", "written_bytes": 4_200_000_000, "kept_bytes": 0}],
    "proof": "first",
    "seconds": 130.4,
}
CHECKED: Dict[str, Any] = {
    "storage": "sftp://nas/images",
    "free_bytes": 3_000_000_000,
    "total_bytes": 8_000_000_000,
    "write_mb_per_second": 112.0,
    "round_trip_milliseconds": 1.2,
    "may_rename": True,
    "may_replace": True,
    "may_delete": True,
    "images": 3,
}


def line(verb: str, result: Optional[Dict[str, Any]] = None, **more: Any) -> str:
    lines: List[str] = ending(verb, dict(result or {}, **more))
    assert len(lines) == 1, "a verb ends with one line"
    return lines[0]


def holds(words: str, *parts: str) -> None:
    for part in parts:
        assert part in words, part


def test_an_image_names_its_cost_and_the_images_that_went() -> None:
    facts = {"image": IMAGE, "seconds": 40.2, "bytes_in_use": 955_000_000, "bytes_stored": 163_000_000}
    holds(line("image", **facts), IMAGE, "40 s", "955 MB", "163 MB")
    assert "deleted" not in line("image", **facts, rollover={"deleted": [], "freed_bytes": 0})
    gone = line("image", **facts, rollover={"deleted": ["2026-11-01_00-00-00"], "freed_bytes": 7_000_000})
    holds(gone, "deleted", "2026-11-01_00-00-00", "7.0 MB")
    assert ending("image", {"image": None, "bytes_in_use": 1}) == []


def test_a_restore_names_image_target_amount_time_and_proof() -> None:
    words = line("restore", RESTORED)
    holds(words, IMAGE, "disk0 onto /dev/sdb", "4.2 GB", "2 min", "not read back")
    holds(line("restore", RESTORED, damaged=[{"disk": "disk0"}]), "INCOMPLETE")
    kept = [dict(RESTORED["disks"][0], kept_bytes=1_000_000)]
    holds(line("restore", RESTORED, disks=kept), "1.0 MB")
    whole = line("restore", image=IMAGE, already_restored=True, targets=[{"target": "/dev/sdb"}], disks=[])
    holds(whole, "/dev/sdb", IMAGE, "nothing was written")
    entry = line("restore", image=IMAGE, already_restored=True, changed=True, targets=[{"target": "/dev/sdb"}])
    holds(entry, "/dev/sdb", IMAGE, "boot entry")
    assert "nothing was written" not in entry


def test_a_verification_names_level_amount_and_outcome() -> None:
    facts = {"image": IMAGE, "level": "full", "checked_bytes": 2_000_000}
    holds(line("verify", ok=True, **facts), IMAGE, "full", "2.0 MB", "intact")
    since = line("verify", ok=True, good_since="2026-11-02T10:00:00Z", **facts)
    holds(since, "since 2026-11-0")
    assert "since" not in line("verify", ok=True, good_since=None, **facts)
    holds(line("verify", ok=False, problems=["one", "two"], **facts), IMAGE, "NOT intact", "2 problems")


def test_a_rollover_says_what_is_free_now_and_what_comes_free_when() -> None:
    words = line("rollover", deleted=[IMAGE], images=["a", "b"], freed_bytes=5_000_000, trash=TRASH)
    holds(words, IMAGE, "2 remain", "5.0 MB freed now", "300 MB", "100 MB", "a moment", "one more image")
    holds(line("rollover", deleted=[], images=["a"], freed_bytes=0), "no image", "0 bytes")


def test_the_check_of_a_storage_names_room_speed_permissions_and_trash() -> None:
    words = line("check", CHECKED, trash=TRASH)
    holds(words, "sftp://nas/images", "3.0 GB free of 8.0 GB", "112 MB/s", "1.2 ms", "3 images", "300 MB in the trash")
    holds(line("check", CHECKED, may_delete=False, may_rename=False), "not rename or delete")
    looked = {name: value for name, value in CHECKED.items() if not name.startswith(("may_", "write", "round"))}
    assert "account" not in line("check", **looked), "check mode tried no permission"


def test_a_copy_and_a_version_name_their_places() -> None:
    facts = {"image": IMAGE, "target": "/mnt/usb", "bytes_copied": 9_000_000, "bytes_kept": 1_000_000, "seconds": 3}
    holds(line("copy", changed=True, **facts), IMAGE, "/mnt/usb", "9.0 MB copied", "1.0 MB", "3 s")
    version = {"image": IMAGE, "version": 4, "archive": "sftp://nas/archive", "packs_copied": 1, "bytes_copied": 10**9}
    holds(line("archive", changed=True, **version), IMAGE, "v4", "sftp://nas/archive", "1.0 GB")
    holds(line("archive", changed=False, **version), "already")
    holds(line("archive", not_due=True, version=3), "v3")
    assert ending("archive", {"versions": [{"version": 1}]}) == [], "a list of versions has its own lines"


@pytest.mark.parametrize(
    ("result", "parts"),
    [
        (
            {"changed": True, "installed": "2.0", "replaced": None, "sent_bytes": 12_000_000},
            ("installed", "2.0", "12.0 MB"),
        ),
        ({"changed": True, "installed": "2.0", "replaced": "1.0", "sent_bytes": 0}, ("updated", "1.0", "2.0")),
        ({"changed": True, "installed": None, "replaced": "1.0"}, ("removed", "1.0")),
        ({"changed": False, "installed": "2.0", "replaced": None}, ("2.0", "already")),
        ({"changed": False, "installed": None, "replaced": None}, ("no agent",)),
    ],
)
def test_an_agent_names_its_version(result: Dict[str, Any], parts: List[str]) -> None:
    holds(line("agent", **result), *parts)


@pytest.mark.parametrize(
    ("run", "status", "parts"),
    [
        ("image-1", {"bytes_stored": 0}, ("nothing was stored",)),
        ("image-1", {"bytes_stored": 5_000_000}, ("no image", "5.0 MB")),
        ("restore-1", {"phase": "writing", "bytes_done": 8_000_000}, ("8.0 MB", "incomplete")),
        ("restore-1", {"phase": "writing", "bytes_done": 0}, ("incomplete",)),
        ("restore-1", {"phase": "verifying", "bytes_done": 8_000_000}, ("nothing was written",)),
        (
            "restore-1",
            {"phase": "waiting for the storage", "phase_before": "writing", "bytes_done": 8_000_000},
            ("8.0 MB", "incomplete"),
        ),
        (
            "restore-1",
            {"phase": "waiting for the storage", "phase_before": "verifying", "bytes_done": 8_000_000},
            ("nothing was written",),
        ),
        ("restore-1", {"phase": "waiting for the storage", "bytes_done": 8_000_000}, ("incomplete",)),
        ("restore-1", {}, ("incomplete",)),
    ],
)
def test_a_cancelled_run_says_what_remains(run: str, status: Dict[str, Any], parts: List[str]) -> None:
    holds(line("cancel", changed=True, run=run, state="cancelled", status=status), "cancelled the run %s" % run, *parts)


def test_a_run_that_had_ended_was_not_cancelled() -> None:
    for changed, state in ((False, "done"), (True, "done"), (False, "cancelled")):
        holds(line("cancel", changed=changed, run="image-1", state=state, status={}), "not cancelled", state)


@pytest.mark.parametrize(
    ("verb", "status", "is_changed"),
    [
        ("image", {"state": "failed", "phase": "waiting"}, False),
        ("image", {"state": "failed", "phase": "reading", "bytes_stored": 1}, True),
        ("image", {"state": "cancelled", "phase": "committing", "bytes_stored": 0}, True),
        ("restore", {"state": "failed", "phase": "verifying", "bytes_done": 5}, False),
        ("restore", {"state": "failed", "phase": "writing", "bytes_done": 5}, True),
        ("restore", {"state": "lost", "phase": "verifying"}, True),
        ("restore", {"state": "failed", "phase": "writing", "bytes_done": 0}, True),
        ("restore", {"state": "failed", "phase": "waiting for the storage", "phase_before": "writing"}, True),
        ("restore", {"state": "failed", "phase": "waiting for the storage", "phase_before": "verifying"}, False),
        ("restore", {"state": "failed", "phase": "waiting for the storage", "phase_before": "working"}, False),
        ("restore", {"state": "cancelled", "phase": "waiting for the storage", "bytes_done": 5}, True),
        ("restore", {"state": "failed", "phase": "another word"}, True),
        ("restore", {"state": "failed"}, True),
        ("image", {"state": "failed", "phase": "waiting for the storage", "phase_before": "committing"}, True),
        ("image", {"state": "failed", "phase": "waiting for the storage", "phase_before": "reading"}, False),
    ],
)
def test_a_failed_run_has_changed_something_only_if_it_wrote(
    verb: str, status: Dict[str, Any], is_changed: bool
) -> None:
    assert has_written(verb, status) is is_changed


def test_an_empty_trash_has_no_words_and_long_lists_are_cut() -> None:
    assert trash_words({}) == trash_words({"bytes": 0, "packs": 0}) == ""
    assert listed([str(number) for number in range(12)]).endswith("9 and 2 more")


def test_other_verbs_and_older_agents_have_no_line() -> None:
    for verb in ("list", "pin", "compare", "image", "restore", "verify", "rollover", "check", "copy", "archive"):
        assert ending(verb, {"changed": True}) == []
