# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The storm of ``tests/long/test_storm_at_length.py`` for some rounds."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.small_runs import make_small
from support.storm import Storm


@pytest.mark.parametrize("seed", [11, 12])
def test_no_image_that_a_run_promised_is_lost(seed: int, memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)
    storm = Storm(memory_path / "base", seed)
    for dummy in range(25):
        storm.round()
    assert storm.settle()
    assert sum(storm.faults.values()) > 100
    assert storm.told["write: done"] > 10
