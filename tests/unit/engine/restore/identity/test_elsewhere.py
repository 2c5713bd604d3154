# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Partitions of an MBR that move while Windows on another disk of the image names them: the boot configuration refuses the move with both names,
drive letters are a warning."""

from __future__ import annotations

import struct
from typing import Dict

import pytest
from engine.errors import RestoreCannotMove
from engine.restore.identity.about import About, OtherDisk
from engine.restore.identity.following import follow_moves
from support.hives import boot_config, hive, mbr_device
from support.small_volumes import MIB, Content, about, of_signature, volume

SIGNATURE, OTHER = "cafebabe", "0badf00d"
BCD, SYSTEM = "Boot/BCD", "Windows/System32/config/SYSTEM"


def moved(kind: str = "ntfs", role: str = "", signature: str = SIGNATURE) -> About:
    """A disk whose partition 2 moves; nothing on it names a place."""
    parts = [volume(1, "ntfs", {"x": b"x"}), volume(2, kind, {"x": b"x"}, role=role)]
    what = about([of_signature(one, signature) for one in parts], scheme="mbr", disk_id=signature)
    return what._replace(after={1: MIB, 2: 6 * MIB})


def other(files: Dict[str, Content], kind: str = "ntfs") -> OtherDisk:
    return OtherDisk("disk1", [volume(1, "ext4", {"etc/fstab": b""}), volume(3, kind, files)], [])


def store(signature: str, start_bytes: int, **settings: bool) -> bytes:
    return hive(boot_config([mbr_device(OTHER, MIB), mbr_device(signature, start_bytes)]), **settings)


@pytest.mark.parametrize("path", [BCD, "EFI/Microsoft/Boot/BCD"])
@pytest.mark.parametrize("is_clean", [True, False])
@pytest.mark.parametrize("kind", ["ntfs", "ext4"])
def test_a_boot_configuration_that_names_the_place_refuses_the_move(path: str, is_clean: bool, kind: str) -> None:
    with pytest.raises(RestoreCannotMove) as caught:
        follow_moves(moved(kind), [other({path: store(SIGNATURE, 2 * MIB, is_clean=is_clean)})])
    fields = caught.value.fields
    assert (fields["partition"], fields["disk"]) == (2, "disk0")
    assert path.replace("/", "\\") in str(fields["reason"])
    assert "partition 3 of disk1" in str(fields["reason"])


@pytest.mark.parametrize(("signature", "start_bytes"), [(OTHER, 2 * MIB), (SIGNATURE, MIB), (SIGNATURE, 6 * MIB)])
def test_other_places_and_other_disks_may_be_named(signature: str, start_bytes: int) -> None:
    assert follow_moves(moved(), [other({BCD: store(signature, start_bytes)})]).warnings == []


def test_nothing_names_a_disk_without_a_signature() -> None:
    none = "00000000"
    assert follow_moves(moved(signature=none), [other({BCD: store(none, 2 * MIB)})]).warnings == []


def test_a_boot_configuration_that_can_not_be_read_may_name_a_volume_of_windows() -> None:
    with pytest.raises(RestoreCannotMove) as caught:
        follow_moves(moved(), [other({BCD: "a link"})])
    assert "partition 3 of disk1" in str(caught.value.fields["reason"])
    assert follow_moves(moved("ext4"), [other({BCD: "a link"})]).warnings == []


def test_a_recovery_environment_may_move_all_the_same() -> None:
    assert follow_moves(moved(role="recovery"), [other({BCD: store(SIGNATURE, 2 * MIB)})]).warnings == []


def test_a_disk_that_stays_as_it_is_asks_nothing() -> None:
    what = moved()
    still = what._replace(after={1: MIB, 2: 2 * MIB})
    assert follow_moves(still, [other({BCD: store(SIGNATURE, 2 * MIB)})]).warnings == []


@pytest.mark.parametrize(("kind", "warns"), [("ntfs", 2), ("ext4", 0)])
def test_partitions_elsewhere_that_are_not_in_the_image_may_name_a_volume_of_windows(kind: str, warns: int) -> None:
    hidden = other({})._replace(unread=["partition 1 of disk1", "partition 2 of disk1"])
    warnings = follow_moves(moved(kind), [hidden]).warnings
    assert len(warnings) == warns
    assert all("disk1" in one and "disk0" in one for one in warnings)


@pytest.mark.parametrize("content", ["names", "a link"])
def test_drive_letters_elsewhere_are_a_warning(content: str) -> None:
    letters = hive({"MountedDevices": {"\\DosDevices\\D:": struct.pack("<IQ", int(SIGNATURE, 16), 2 * MIB)}})
    (warning,) = follow_moves(moved(), [other({SYSTEM: letters if content == "names" else content})]).warnings
    assert "disk0" in warning
    assert "partition 3 of disk1" in warning
