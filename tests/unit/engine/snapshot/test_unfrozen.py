# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks of a system without snapshots: offline, read live by an explicit setting, or refused (rule 1)."""

from __future__ import annotations

from typing import List

import pytest
from engine.disk.filesystems.contract import VolumeState
from engine.disk.layout import read_layout
from engine.disk.source import MemorySource
from engine.errors import VolumeMounted
from engine.host.mounts import Use
from engine.snapshot import unfrozen
from engine.snapshot.contract import DiskToFreeze
from engine.snapshot.unfrozen import Unfrozen


def disk() -> DiskToFreeze:
    source = MemorySource(bytes(1 << 20))
    return DiskToFreeze("disk", source, read_layout(source))  # type: ignore[arg-type]


def used(monkeypatch: pytest.MonkeyPatch, uses: List[Use]) -> None:
    monkeypatch.setattr(unfrozen, "uses_of", lambda path: uses)


@pytest.mark.parametrize("setting", ["required", "preferred", "none"])
def test_a_disk_that_nobody_uses(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    used(monkeypatch, [Use(2 << 20, 3 << 20, "elsewhere", False)])
    one = disk()
    with Unfrozen([one], setting) as freeze:
        found = freeze.frozen["disk"]
        assert (found.how, found.warnings) == ("offline", [])
        assert {found.state_of(partition) for partition in one.layout.partitions} == {VolumeState.OFFLINE}


@pytest.mark.parametrize("setting", ["preferred", "none"])
def test_a_disk_in_use_is_read_live_where_the_setting_allows_it(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    used(monkeypatch, [Use(0, 1 << 62, "Windows", False)])
    one = disk()
    with Unfrozen([one], setting) as freeze:
        found = freeze.frozen["disk"]
        assert found.how == "live"
        assert len(found.warnings) == 1
        assert {found.state_of(partition) for partition in one.layout.partitions} == {VolumeState.LIVE}


def test_a_disk_in_use_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    used(monkeypatch, [Use(0, 1 << 62, "Windows", False)])
    with pytest.raises(VolumeMounted):
        Unfrozen([disk()], "required")
