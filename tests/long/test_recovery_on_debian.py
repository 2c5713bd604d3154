# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recovery program on Debian 11, 12 and 13: nothing installed but python3, no network, everything read-only but the target."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable

import pytest
from support.bare_root import inside
from support.debian import debian_root
from support.imaging import image
from support.plain_disks import make_disk
from support.recovery import copy, program

pytestmark = [pytest.mark.long, pytest.mark.root]


@pytest.fixture(scope="module")
def stick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("debian")
    disk = folder / "disk.raw"
    make_disk(disk, 32, 12, 1)
    image(folder / "storage", disk)
    copy(folder / "storage", folder / "stick", program=str(program()))
    return folder / "stick"


@pytest.mark.parametrize("release", ["bullseye", "bookworm", "trixie"])
def test_an_image_comes_back_where_nothing_is_installed(
    release: str, stick: Path, tmp_path: Path, need: Callable[..., None]
) -> None:
    need("debootstrap", "unshare")
    root = debian_root(release)
    listed = inside(root, stick, tmp_path, "images", "/mnt/stick", "--json")
    assert listed.status == 0, listed.errors
    assert [one["device"] for one in json.loads(listed.output)["devices"]] == ["pc"]
    arguments = ("restore", "/mnt/stick", "pc", "--to", "disk0=/mnt/target/restored.raw", "--yes", "--json")
    done = inside(root, stick, tmp_path, *arguments)
    assert done.status == 0, done.errors + done.output
    assert (tmp_path / "restored.raw").read_bytes() == (stick.parent / "disk.raw").read_bytes()


@pytest.mark.parametrize("release", ["bullseye", "bookworm"])
def test_the_minimal_python_gets_one_sentence(
    release: str, stick: Path, tmp_path: Path, need: Callable[..., None]
) -> None:
    need("debootstrap", "unshare")
    done = inside(debian_root(release, "python3-minimal"), stick, tmp_path, "images", "/mnt/stick")
    assert done.status == 3
    assert done.errors.count("\n") == 1
    assert "python3-minimal" in done.errors
