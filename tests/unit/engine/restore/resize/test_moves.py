# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GRUB for BIOS names its core by the sector: the BIOS boot partition stays where it is, in sectors of the size that it was written for."""

from __future__ import annotations

import pytest
from engine.disk.layout import Partition, imaged_whole
from engine.disk.source import MemorySource
from engine.errors import RestoreCannotMove, RestoreSectorSizeDiffers
from engine.restore.resize import sectors
from engine.restore.resize.moves import check_moves
from engine.restore.resize.shift import Cut, Shift
from engine.restore.resize.volume import volumes_of

MIB = 1 << 20
SOURCE = MemorySource(bytes(8 * MIB))
PARTITIONS = [
    Partition(1, MIB, 2 * MIB, "0fc63daf-8483-4772-8e79-3d69d8477de4", "a", "", "data", False),
    Partition(2, 3 * MIB, MIB, "21686148-6449-6e6f-744e-656564454649", "b", "", "bios-boot", False),
    Partition(3, 4 * MIB, MIB, "0fc63daf-8483-4772-8e79-3d69d8477de4", "c", "", "data", False),
]
LAYOUT = imaged_whole(SOURCE, "")._replace(scheme="gpt", partitions=PARTITIONS)
VOLUMES = volumes_of(SOURCE, PARTITIONS)


def test_the_bios_boot_partition_does_not_move() -> None:
    with pytest.raises(RestoreCannotMove) as caught:
        check_moves("disk0", "/dev/x", LAYOUT, VOLUMES, Shift([Cut(3 * MIB, MIB)]))
    assert (caught.value.code, caught.value.fields["partition"]) == ("R142", 2)
    assert check_moves("disk0", "/dev/x", LAYOUT, VOLUMES, Shift([Cut(4 * MIB, MIB)])) == []  # what is behind it may


def test_the_bios_boot_partition_stays_in_its_sectors() -> None:
    with pytest.raises(RestoreSectorSizeDiffers) as caught:
        sectors.check("disk0", "/dev/x", LAYOUT, VOLUMES[1:2], 512, 4096, 24576)
    assert caught.value.code == "R104"
    assert "partition 2" in str(caught.value.fields["reason"])
