# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A storm of a thousand rounds: work at once, kills, honest faults and lies, and an independent look after each round."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.small_runs import make_small
from support.storm import Storm

_ROUNDS = int(os.environ.get("STORM_ROUNDS", "1000"))
_SEED = int(os.environ.get("STORM_SEED", "1"))


@pytest.mark.long
def test_no_image_that_a_run_promised_is_lost_in_a_storm(memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)
    storm = Storm(memory_path / "base", _SEED)
    for dummy in range(_ROUNDS):
        storm.round()
    assert storm.settle()
    lies = [kind for kind in storm.faults if kind not in ("failed before", "failed after", "full", "killed")]
    assert len(lies) >= 10, lies
    assert sum(storm.faults.values()) >= 5 * _ROUNDS
    assert storm.told["write: done"] >= _ROUNDS // 2
