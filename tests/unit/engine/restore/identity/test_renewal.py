# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which file systems of a clone get a new UUID, and which disks and names are refused."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
from engine.errors import RestoreIdentityImpossible
from engine.restore.identity import renewal as module
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
