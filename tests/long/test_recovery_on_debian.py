# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recovery program on Debian 11, 12 and 13: nothing installed but python3, no network, everything read-only but the target."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Callable, List

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


@pytest.mark.parametrize("release", ["bullseye", "bookworm", "trixie", "sid"])
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


def typed_commands(text: str) -> List[str]:
    """What a page says to type of the program."""
    return re.findall(r"^ {6}python3 plantops-recovery\.pyz (.*)$", text, re.MULTILINE)


@pytest.mark.parametrize("release", ["bullseye", "trixie"])
def test_the_page_alone_says_what_to_type(release: str, stick: Path, tmp_path: Path, need: Callable[..., None]) -> None:
    """RECOVERY.txt followed as it is, in both languages: the medium is all that there is, the storage can't be seen."""
    need("debootstrap", "unshare", "sha256sum")
    text = (stick / "pc" / "RECOVERY.txt").read_text(encoding="utf-8")
    english, german = text.split("Wiederherstellung von pc")
    assert typed_commands(english) == typed_commands(german)
    assert [line.split()[0] for line in typed_commands(english)] == ["verify", "plan", "restore", "--help"]
    for number, page in enumerate((english, german)):
        target = "/mnt/target/disk-%d" % number
        for line in typed_commands(page):
            words = line.replace(" . ", " /mnt/stick ").replace("/dev/sdX", target).split()
            done = inside(debian_root(release), stick, tmp_path, *words, *(["--yes"] if words[0] == "restore" else []))
            assert done.status == 0, (line, done.errors, done.output)
            assert (tmp_path / target.rpartition("/")[2]).exists() == (words[0] in ("restore", "--help"))
        assert (tmp_path / ("disk-%d" % number)).read_bytes() == (stick.parent / "disk.raw").read_bytes()
        (without_python,) = re.findall(r"^ {6}(sha256sum .*)$", page, re.MULTILINE)
        checked = subprocess.run(["sh", "-euc", without_python], cwd=str(stick), stdout=subprocess.DEVNULL, check=False)
        assert checked.returncode == 0


@pytest.mark.parametrize("release", ["bullseye", "bookworm"])
def test_the_minimal_python_gets_one_sentence(
    release: str, stick: Path, tmp_path: Path, need: Callable[..., None]
) -> None:
    need("debootstrap", "unshare")
    done = inside(debian_root(release, "python3-minimal"), stick, tmp_path, "images", "/mnt/stick")
    assert done.status == 3
    assert done.errors.count("\n") == 1
    assert "python3-minimal" in done.errors
