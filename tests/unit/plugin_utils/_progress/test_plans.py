# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What check mode says without --diff."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.plans import plan

IMAGE = "2026-11-30_01-30-00"
VOLUMES: List[Dict[str, Any]] = [
    {
        "number": 1,
        "kind": "vfat",
        "label": "EFI",
        "mount_points": ["/boot/efi"],
        "size_bytes": 10**8,
        "in_use_bytes": 10**6,
    },
    {"number": 2, "kind": "", "size_bytes": 10**9, "in_use_bytes": 10**9, "reason": "no file system was recognised"},
    {
        "number": 3,
        "name": "plant/root",
        "kind": "ext4",
        "mount_points": ["/"],
        "size_bytes": 10**9,
        "state": "foretold",
    },
    {"number": 4, "kind": "ntfs", "size_bytes": 5, "selected": False},
]
PLANNED: Dict[str, Any] = {
    "image": None,
    "bytes_in_use": 955_000_000,
    "bytes_to_send": 163_000_000,
    "bytes_to_send_most": 163_000_000,
    "plan": [
        {
            "disk": "disk0",
            "path": "/dev/sda",
            "size_bytes": 2_300_000_000,
            "in_use_bytes": 955_000_000,
            "volumes": VOLUMES,
        }
    ],
    "rollover": {"deleted": ["2026-11-01_00-00-00"]},
}


def test_an_image_has_a_line_for_each_disk_and_volume() -> None:
    lines = plan("image", PLANNED)
    assert len(lines) == 2 + len(VOLUMES)
    for line, parts in zip(
        lines,
        (
            ("955 MB", "163 MB", "2026-11-01_00-00-00"),
            ("disk0", "/dev/sda", "2.3 GB", "955 MB"),
            ("partition 1", "/boot/efi", "vfat", "'EFI'", "100 MB", "1.0 MB"),
            ("partition 2", "imaged whole", "no file system was recognised"),
            ("plant/root", "(/)", "ext4", "snapshot"),
            ("partition 4", "not in the image"),
        ),
    ):
        assert all(part in line for part in parts), line


@pytest.mark.parametrize("images", [[], ["2026-11-01_00-00-00"]])
def test_an_estimate_without_a_read_disk_is_called_a_guess_with_its_range(images: List[str]) -> None:
    line = plan("image", dict(PLANNED, images=images))[0]
    assert all(part in line for part in ("guess: 163 MB", "nothing to 955 MB"))
    assert "guess" not in plan("image", dict(PLANNED, bytes_in_use=0, bytes_to_send=0))[0], "there is nothing to guess"


def test_an_agent_without_a_plan_has_the_first_line() -> None:
    older = {name: value for name, value in PLANNED.items() if name != "plan"}
    assert len(plan("image", older)) == 1
    assert plan("image", {"changed": True}) == []


def test_the_other_verbs() -> None:
    (said,) = plan("rollover", {"deleted": [IMAGE], "freed_bytes": 0, "trash": {"bytes": 5_000_000}})
    assert IMAGE in said
    assert "5.0 MB" in said
    assert plan("restore", {"image": IMAGE, "plan": ["one", "two"]})[1:] == ["  one", "  two"]
    assert len(plan("restore", {"image": IMAGE, "plan": [], "already_restored": True})) == 1
    entry = {"image": IMAGE, "plan": ["creates a boot entry"], "already_restored": True, "changed": True}
    assert plan("restore", entry)[1:] == ["  creates a boot entry"]
    assert "nothing to restore" not in plan("restore", entry)[0]
    copy = {"image": IMAGE, "target": "/mnt", "bytes_to_copy": 5_000_000}
    assert "5.0 MB" in plan("copy", dict(copy, changed=True))[0]
    assert "already" in plan("copy", dict(copy, changed=False))[0]
    version = {"image": IMAGE, "version": 4, "archive": "/archive", "bytes_to_copy": 5_000_000}
    assert "would" in plan("archive", dict(version, changed=True))[0]
    assert "already" in plan("archive", dict(version, changed=False))[0]
    coming = {"image": IMAGE, "version": 7, "archive": "/archive", "packs_to_copy": 0}
    assert "v7 in /archive" in plan("archive", dict(coming, changed=True))[0]
    assert plan("archive", dict(coming, changed=False)) == []
    assert plan("list", {"images": []}) == []
    assert "intact" in plan("verify", {"ok": True, "image": IMAGE, "level": "quick"})[0]


@pytest.mark.parametrize(
    ("result", "part"),
    [
        ({"changed": True, "installed": "2.0", "replaced": None, "sent_bytes": 12_000_000}, "would install"),
        ({"changed": True, "installed": "2.0", "replaced": "1.0", "sent_bytes": 5}, "would update"),
        ({"changed": True, "installed": None, "replaced": None, "sent_bytes": None}, "would remove"),
        ({"changed": False, "installed": "2.0", "replaced": None}, "already"),
    ],
)
def test_the_agent(result: Dict[str, Any], part: str) -> None:
    assert part in plan("agent", result)[0]
