# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks of plays: no partition table, nothing recognised, so imaged whole; with text that must never be seen, and noise."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Union

PASSWORD = "correct-horse-battery-staple-47"
PLAIN = b"THE-RECIPE-OF-LINE-3-IS-KNOWN-TO-NOBODY-ELSE "
MIB = 1 << 20


def make_disk(path: Path, size_mib: int, noise_mib: int, seed: Union[int, str]) -> None:
    with open(path, "wb") as disk:
        disk.truncate(size_mib * MIB)
        disk.seek(MIB)
        disk.write(PLAIN * 20_000)
        disk.seek(5 * MIB)
        disk.write(random.Random(seed).randbytes(noise_mib * MIB))
