# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the format, the writer and the storage run under Windows Python as they are."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Iterator

import pytest
from support.paths import ROOT
from support.windows.device import WindowsDevice
from support.windows.kinds import WINDOWS_10

FILES = (
    "image/format",
    "image/writing/test_known_chunks.py",
    "image/writing/test_pack_stream.py",
    "image/writing/test_what_was_saved.py",
    "image/writing/test_writer_limited_accounts.py",
    "image/upkeep/test_heal_packs.py",
    "storage/test_retry.py",
    "test_names.py",
)


@pytest.fixture(scope="module")
def new_device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WindowsDevice]:
    with WindowsDevice(tmp_path_factory.mktemp("device") / "prefix", WINDOWS_10) as made:
        yield made


def copy_checkout(place: Path) -> None:
    """What the tests need of this checkout."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("plugins/module_utils/engine", "tests/support", "tests/data", "tests/unit/engine"):
        shutil.copytree(ROOT / name, place / name, ignore=ignored)
    for name in ("pyproject.toml", "tests/conftest.py"):
        shutil.copy(ROOT / name, place / name)


def test_they_pass(new_device: WindowsDevice) -> None:
    copy_checkout(new_device.host_path(r"C:\work"))
    names = ["tests/unit/engine/" + name for name in FILES]
    ran = new_device.python("-m", "pytest", "-p", "no:xdist", "--tb=short", *names, folder=r"C:\work", seconds=900)
    assert ran.status == 0, ran.output[-6000:] + ran.errors[-2000:]
    points = "".join(re.findall(r"^[.]+(?= +\[|$)", ran.output, re.MULTILINE))
    assert len(points) > 100, "hardly any test ran: %s" % ran.output[-2000:]
