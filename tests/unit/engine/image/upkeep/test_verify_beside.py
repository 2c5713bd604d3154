# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Damage beside an image (slots, records, identity, copies) is found by a verify, and its file named."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from engine.errors import EngineError
from support import imaging
from support.small_runs import make_small


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position // 8] ^= 1 << position % 8
    path.write_bytes(data)


def test_flipped_bit_beside_the_image_is_found_and_its_file_named(memory_path: Path) -> None:
    """In all that is stored of a device but what changes while runs work, and what is on its way out."""
    drive, base = memory_path / "drive", memory_path / "storage"
    drive.write_bytes(bytes(range(256)) * 4096)
    imaging.image(base, drive)
    assert imaging.verify(base)["ok"]
    beside = [path for path in (base / "pc").rglob("*") if path.is_file() and "packs" not in path.parts]
    beside = [path for path in beside if path.name not in ("lease.json", "run.json", "result.json")]
    beside = [path for path in beside if path.name != "README.txt"]  # for people; no reader of images looks into it
    assert {"device-id.json", "encrypted", "copies.tar", "image.json"} <= {path.name for path in beside}
    assert [path for path in beside if path.name.startswith("verified-")]
    chance = random.Random(13)
    for path in beside:
        whole = path.read_bytes()
        for position in [0, len(whole) * 8 - 1, *(chance.randrange(len(whole) * 8) for dummy in range(6))]:
            flip(path, position)
            for level in ("storage", "full"):
                try:
                    problems = imaging.verify(base, level, check=True)["problems"]
                except EngineError as error:
                    problems = [str(error)]
                assert any(path.name in problem for problem in problems), (path.name, position, level, problems)
            path.write_bytes(whole)
    assert imaging.verify(base)["ok"]
