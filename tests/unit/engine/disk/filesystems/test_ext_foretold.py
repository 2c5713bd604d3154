# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode on a volume that the run will freeze: what is in use is told although its journal is not empty."""

from __future__ import annotations

import subprocess
from pathlib import Path

from engine.disk.filesystems.contract import VolumeState
from engine.disk.filesystems.registry import detect
from engine.disk.source import FileSource


def test_only_an_estimate_trusts_a_mounted_volume(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.write_bytes(b"")
    subprocess.run(["mke2fs", "-q", "-t", "ext4", str(volume), "32M"], check=True)
    with FileSource(str(volume)) as source:
        clean = detect(source)
        assert clean is not None
        expected = clean.used(VolumeState.FROZEN)
    subprocess.run(["debugfs", "-w", "-R", "feature needs_recovery", str(volume)], check=True, capture_output=True)
    with FileSource(str(volume)) as source:
        mounted = detect(source)
        assert mounted is not None
        trusted = {state: mounted.used(state).trusted for state in VolumeState}
        assert [state for state, is_trusted in trusted.items() if is_trusted] == [VolumeState.FORETOLD]
        assert mounted.used(VolumeState.FORETOLD).extents == expected.extents
