# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan in an image's result: how each disk and volume is held."""

from __future__ import annotations

import subprocess
from pathlib import Path

from engine.verbs.image_plan import image_plan
from engine.verbs.opened_disks import OpenedDisks
from engine.verbs.request import ImageRequest, parse

MIB = 1 << 20


def test_each_volume_is_told_with_what_is_in_use_and_why_it_is_imaged_whole(tmp_path: Path) -> None:
    disk, volume = tmp_path / "disk.img", tmp_path / "volume"
    disk.write_bytes(bytes(40 * MIB))
    subprocess.run(["sfdisk", "-q", str(disk)], input=b"label: gpt\nstart=1MiB, size=24MiB\nsize=8MiB\n", check=True)
    volume.write_bytes(b"")
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-L", "data", str(volume), "24M"], check=True)
    with disk.open("r+b") as file:
        file.seek(MIB)
        file.write(volume.read_bytes())
    document = {"verb": "image", "device": "pc", "storage": {"url": str(tmp_path)}, "drives": [str(disk)]}
    request = parse(dict(document, timestamp="2026-11-30_00-00-00", check=True))
    assert isinstance(request, ImageRequest)
    opened = OpenedDisks(request)
    try:
        (told,) = image_plan(opened.disks)
    finally:
        opened.close()
    assert (told["disk"], told["path"], told["size_bytes"], told["snapshot"]) == (
        "disk0",
        str(disk),
        40 * MIB,
        "offline",
    )
    ext, unknown = told["volumes"]
    assert (ext["number"], ext["kind"], ext["label"], ext["state"], ext["reason"]) == (1, "ext4", "data", "offline", "")
    assert 0 < ext["in_use_bytes"] < ext["size_bytes"] == 24 * MIB
    assert unknown["in_use_bytes"] == unknown["size_bytes"] == 8 * MIB
    assert unknown["reason"]
    assert sum(one["in_use_bytes"] for one in told["volumes"]) <= told["in_use_bytes"] < told["size_bytes"]
