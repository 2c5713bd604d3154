# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever lies in a storage, the verbs of the engine's command line work and stay under 200 MiB of memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.hostile_storage import ATTACKS, Attacker, measure

MOST_BYTES = 200 << 20
CHOSEN = [
    "SHA256SUMS of 160 MiB, no line of ours",
    "manifests of 8 MiB, millions of values",
    "checkpoints of 127 MiB",
]


@pytest.mark.parametrize("title", CHOSEN)
def test_a_run_and_a_rollover_stay_small(title: str, memory_path: Path) -> None:
    storage, drive = memory_path / "storage", memory_path / "drive"
    drive.write_bytes(bytes(range(256)) * 4096)
    first = measure(storage, "image", drives=[str(drive)], limit_read_rate=0)
    assert first.status == 0, first.last
    ATTACKS[title](Attacker(storage, first.last["image"]))
    for verb, settings in (("image", {"drives": [str(drive)], "limit_read_rate": 0}), ("rollover", {"keep": 9})):
        done = measure(storage, verb, **settings)
        assert done.status == 0, done.last
        assert done.peak_bytes < MOST_BYTES, verb
