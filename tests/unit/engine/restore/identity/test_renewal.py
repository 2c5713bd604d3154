# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which file systems of a clone get a new UUID, and which disks and names are refused; the other disks of the image count as well."""

from __future__ import annotations

import uuid
from typing import Any, Dict, List

import pytest
from engine.errors import EngineError, RestoreIdentityImpossible, RestoreIdentityNamed
from engine.restore.identity import renewal as module
from engine.restore.identity.about import OtherDisk
from engine.restore.identity.renewal import Renewal, renew
from engine.restore.resize.volume import Volume
from support.hives import boot_config, gpt_device, hive
from support.small_volumes import LINK, about, closed, guid, volume

DATA = "aaaabbbb-cccc-4ddd-8eee-ffff00001111"
ROOT = {"etc/fstab": b"UUID=0 / ext4\n", "usr/x": b"x"}
BCD = "EFI/Microsoft/Boot/BCD"


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "path_of", lambda tool: "/sbin/" + tool)
    monkeypatch.setattr(module, "can_attach", lambda: True)


def data(number: int = 2, files: Any = None) -> Volume:
    return volume(number, "ext4", files or {"file": b"content"}, uuid=DATA)


def renewed(found: Renewal) -> List[int]:
    return [one.volume.number for one in found.file_systems if one.is_new]


def test_a_volume_of_data_that_nothing_names_gets_a_new_uuid() -> None:
    assert renewed(renew(about([volume(1, "ext4", ROOT), data()]))) == [2]


@pytest.mark.parametrize(
    "strange",
    [
        closed(1, "LVM2 physical volume"),
        closed(1, "LUKS"),
        closed(1, "btrfs"),
        closed(1, "bcache"),
        closed(1, "", b"unrecognised"),
        volume(1, "ext4", {"etc/fstab": LINK, "usr/x": b"x"}),
        volume(1, "ext4", {"etc/fstab": b"#" * (1 << 20) + DATA.encode(), "usr/x": b"x"}),
    ],
    ids=lambda one: one.kind or "unrecognised",
)
def test_every_file_system_keeps_its_uuid_beside_what_can_not_be_read(strange: Volume) -> None:
    found = renew(about([strange, data()]))
    assert renewed(found) == []
    assert all(one.reason for one in found.file_systems)
    assert [one for one in found.warnings if "PARTUUID" in one]


@pytest.mark.parametrize("plain", ["0" * 32, "f" * 32, "0" * 31 + "1", "0001" * 8, "00010001" * 4])
@pytest.mark.parametrize("which", ["disk", "partition"])
def test_a_guid_of_few_distinct_bytes_is_refused(plain: str, which: str) -> None:
    text = "-".join((plain[:8], plain[8:12], plain[12:16], plain[16:20], plain[20:]))
    one = volume(1, "vfat", {BCD: hive(boot_config([gpt_device(guid(0), guid(1))]))}, role="efi")
    settings: Dict[str, Any] = {"disk_id": text} if which == "disk" else {}
    if which == "partition":
        one = one._replace(partition=one.partition._replace(unique_id=text))
    with pytest.raises(RestoreIdentityImpossible):
        renew(about([one], **settings))


def other(*volumes: Volume, unread: Any = ()) -> List[OtherDisk]:
    return [OtherDisk("disk1", volumes, list(unread))]


def test_a_file_system_that_another_disk_names_keeps_its_uuid() -> None:
    fstab = volume(1, "ext4", {"etc/fstab": b"UUID=" + DATA.encode() + b" /data ext4\n"})
    found = renew(about([data()]), other(fstab))
    assert renewed(found) == []
    assert "disk1" in found.file_systems[0].reason


@pytest.mark.parametrize("where", ["encrypted", "not in the image"])
def test_a_part_of_another_disk_that_can_not_be_read_keeps_every_uuid(where: str) -> None:
    others = other(closed(1, "LUKS")) if where == "encrypted" else other(unread=["partition 1 of disk1"])
    found = renew(about([data()]), others)
    assert renewed(found) == []
    assert [one for one in found.warnings if "disk1" in one]
    assert renewed(renew(about([data()]), other(volume(1, "ext4", ROOT)))) == [2]


def test_a_partition_that_another_disk_names_is_refused() -> None:
    fstab = volume(4, "ext4", {"etc/fstab": b"PARTUUID=" + guid(2).encode() + b" /data ext4\n"})
    with pytest.raises(RestoreIdentityNamed) as caught:
        renew(about([data()]), other(fstab))
    assert (caught.value.fields["partition"], caught.value.fields["where"]) == (2, "4 of disk1")


def test_a_boot_configuration_on_another_disk_that_names_the_disk_is_refused() -> None:
    efi = volume(1, "vfat", {BCD: hive(boot_config([gpt_device(guid(0), guid(2))]))}, role="efi")
    with pytest.raises(EngineError) as caught:
        renew(about([data()]), other(efi))
    assert caught.value.code == "R163"


@pytest.mark.parametrize("content", [b"DMIO:ID:", b""])
def test_drive_letters_on_another_disk_are_a_warning(content: bytes) -> None:
    letters = hive({"MountedDevices": {"\\DosDevices\\D:": content + uuid.UUID(guid(2)).bytes_le}})
    windows = volume(1, "ntfs", {"Windows/System32/config/SYSTEM": letters if content else LINK})
    found = renew(about([data()]), other(windows))
    assert [one for one in found.warnings if "SYSTEM" in one and "disk1" in one]
