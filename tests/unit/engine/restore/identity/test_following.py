# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Partitions of an MBR that move: each hive that can be changed is, and a mention that is left refuses the move."""

from __future__ import annotations

import struct
from typing import Dict, List

import pytest
from engine.errors import RestoreCannotMove
from engine.restore.identity.about import About
from engine.restore.identity.following import Following, follow_moves
from support.hives import boot_config, hive, mbr_device, read_values
from support.small_volumes import MIB, Content, about, of_signature, patched, volume

SIGNATURE, MORE = "cafebabe", 4 * MIB
BCD, SYSTEM = "Boot/BCD", "Windows/System32/config/SYSTEM"
LETTERS = {"MountedDevices": {"\\DosDevices\\D:": struct.pack("<IQ", int(SIGNATURE, 16), 2 * MIB)}}


def disk(files: Dict[str, Content], role: str = "") -> About:
    """Windows on partition 1 and data on partition 2; both move."""
    parts = [volume(1, "ntfs", files), volume(2, "ntfs", {"x": b"x"}, role=role)]
    own = [of_signature(one, SIGNATURE) for one in parts]
    return about(own, scheme="mbr", disk_id=SIGNATURE, moved_bytes=MORE)


def values(what: About, path: str, found: Following) -> List[bytes]:
    return list(read_values(patched(what.volumes[0], path, found.patches[1])).values())


def devices() -> List[bytes]:
    return [mbr_device(SIGNATURE, 2 * MIB)] * 30


def test_boot_configuration_and_drive_letters_follow() -> None:
    what = disk({BCD: hive(boot_config(devices())), SYSTEM: hive(LETTERS)})
    found = follow_moves(what)
    assert [path.split("\\")[-1] for dummy, path in found.hives] == ["BCD", "SYSTEM"]
    assert set(values(what, BCD, found)) == {mbr_device(SIGNATURE, 2 * MIB + MORE)}
    assert values(what, SYSTEM, found) == [struct.pack("<IQ", int(SIGNATURE, 16), 2 * MIB + MORE)]
    assert found.warnings == []


@pytest.mark.parametrize("how", ["in use", "garbage", "link"])
def test_a_drive_letter_file_that_is_locked_does_not_keep_the_boot_configuration(how: str) -> None:
    system = {"in use": hive(LETTERS, is_clean=False), "garbage": b"no hive" * 2000, "link": "a link"}[how]
    what = disk({SYSTEM: system, BCD: hive(boot_config(devices()))})
    found = follow_moves(what)
    assert set(values(what, BCD, found)) == {mbr_device(SIGNATURE, 2 * MIB + MORE)}
    assert len(found.warnings) == 1
    assert "SYSTEM" in found.warnings[0]


def strange() -> bytes:
    """A device that the boot configuration keeps in another form: the signature stands elsewhere behind the place."""
    return bytes(16) + struct.pack("<Q", 2 * MIB) + b"words between" + struct.pack("<I", int(SIGNATURE, 16)) + bytes(16)


def test_a_mention_in_an_unknown_form_refuses_the_move() -> None:
    with pytest.raises(RestoreCannotMove) as caught:
        follow_moves(disk({BCD: hive(boot_config([*devices(), strange()]))}))
    assert caught.value.fields["partition"] == 2


def test_a_boot_configuration_with_too_many_mentions_refuses_the_move() -> None:
    with pytest.raises(RestoreCannotMove):
        follow_moves(disk({BCD: hive(boot_config(devices() * 20))}))


def test_a_recovery_environment_may_move_all_the_same() -> None:
    found = follow_moves(disk({BCD: hive(boot_config([*devices(), strange()]))}, role="recovery"))
    assert len(found.hives) == 1


def test_a_new_place_that_is_the_old_one_of_another_is_no_mention() -> None:
    """Partition 1 comes to where partition 2 was."""
    what = disk({BCD: hive(boot_config([mbr_device(SIGNATURE, MIB), mbr_device(SIGNATURE, 2 * MIB)]))})
    found = follow_moves(what._replace(after={1: 2 * MIB, 2: 3 * MIB}))
    after = values(what, BCD, found)
    assert [after.count(mbr_device(SIGNATURE, place * MIB)) for place in (1, 2, 3)] == [0, 2, 2]
