# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which volume of Windows stands for a partition."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.disk.layout import Partition, read_layout
from engine.disk.source import FileSource
from engine.snapshot.contract import DiskToFreeze
from engine.snapshot.vss.volumes import KnownVolumes
from support.windows.disk_answers import DiskAnswers

MIB, GIB = 1 << 20, 1 << 30
SYSTEM = "\\\\?\\Volume{c}\\"


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> DiskAnswers:
    made = DiskAnswers()
    made.stand_in(monkeypatch)
    return made


@pytest.fixture
def disk(tmp_path: Path) -> DiskToFreeze:
    path = tmp_path / "disk"
    path.write_bytes(bytes(MIB))
    source = FileSource(str(path))
    return DiskToFreeze("\\\\.\\PhysicalDrive0", source, read_layout(source))


def partition(disk: DiskToFreeze, start_bytes: int, length_bytes: int) -> Partition:
    return disk.layout.partitions[0]._replace(number=2, start_bytes=start_bytes, length_bytes=length_bytes)


@pytest.mark.usefixtures("answers")
def test_the_volume_of_a_partition(disk: DiskToFreeze) -> None:
    found = KnownVolumes().on(disk, partition(disk, 2 * MIB, GIB))
    assert found is not None
    assert (found.name, found.points, found.why_not) == (SYSTEM, ("C:\\",), "")


@pytest.mark.usefixtures("answers")
def test_a_hidden_volume_is_found_by_its_device(disk: DiskToFreeze) -> None:
    found = KnownVolumes().on(disk, partition(disk, MIB, MIB))
    assert found is not None
    assert found.name.endswith("HarddiskVolume1\\")
    assert found.points == ()


@pytest.mark.usefixtures("answers")
def test_a_partition_that_windows_has_no_volume_on(disk: DiskToFreeze) -> None:
    assert KnownVolumes().on(disk, partition(disk, 2 * GIB, GIB)) is None
    assert KnownVolumes().on(disk._replace(path="\\\\.\\PhysicalDrive1"), partition(disk, 2 * MIB, GIB)) is None


@pytest.mark.parametrize("extents", [[(0, 2 * MIB, GIB), (1, MIB, GIB)], [(0, 3 * MIB, MIB)], [(0, 2 * MIB, 2 * GIB)]])
def test_a_volume_that_is_not_the_partition(answers: DiskAnswers, disk: DiskToFreeze, extents: object) -> None:
    answers.volume_names[SYSTEM[:-1]] = extents  # type: ignore[assignment]
    found = KnownVolumes().on(disk, partition(disk, 2 * MIB, GIB))
    assert found is not None
    assert found.why_not


def test_a_volume_of_which_windows_tells_nothing(answers: DiskAnswers) -> None:
    answers.empty["HarddiskVolume9"] = 5
    assert [one.rpartition("\\")[2] for one in KnownVolumes().unknown] == ["HarddiskVolume9"]


@pytest.mark.parametrize("code", [1, 50])
def test_a_volume_whose_place_windows_does_not_know(answers: DiskAnswers, code: int) -> None:
    """A disc has no place on a disk; a volume of any other kind has one that is not told."""
    answers.empty["HarddiskVolume9"] = code
    assert len(KnownVolumes().unknown) == 1
    answers.optical.append("\\\\?\\GLOBALROOT\\Device\\HarddiskVolume9")
    assert KnownVolumes().unknown == []


@pytest.mark.parametrize("path", ["\\\\.\\PhysicalDrive0", "\\\\.\\C:"])
def test_a_volume_of_bitlocker(answers: DiskAnswers, disk: DiskToFreeze, path: str) -> None:
    """Named as a disk or as a volume, which shows the decrypted bytes alone: the disk tells."""
    named = disk._replace(path=path)
    answers.devices["\\\\.\\C:"] = answers.volume_names[SYSTEM[:-1]]
    before = KnownVolumes().on(named, partition(disk, 2 * MIB, GIB))
    answers.begin[0, 2 * MIB] = b"\xeb\x58\x90-FVE-FS-"
    after = KnownVolumes().on(named, partition(disk, 2 * MIB, GIB))
    assert before is not None
    assert after is not None
    assert (before.is_encrypted, after.is_encrypted) == (False, True)
