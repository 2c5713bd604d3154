# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rule 7: a directory belongs to one machine, and two names that a Windows share takes for one collide loudly."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterable

import pytest
from engine.device.identity import (
    MachineIdentity,
    claim_directory,
    device_directory,
    prove_directory,
    read_identity,
    stored_identity,
)
from engine.errors import DeviceMismatch, DeviceNameCollision, DeviceNameInvalid
from support.storages import MemoryStorage

OURS = MachineIdentity("4c4c4544-0031-3010-8052-b4c04f4e3732", "a" * 32)
OTHERS = MachineIdentity("00112233-4455-6677-8899-aabbccddeeff", "b" * 32)


@pytest.mark.parametrize(
    ("alias", "name", "expected"),
    [
        ("", "press-07", "press-07"),
        ("hall2", "press-07", "hall2_press-07"),
        ("hall2", "localhost", "hall2_localhost"),
        ("", "Mu\u0308hle 3", "M\u00fchle 3"),
    ],
)
def test_names(alias: str, name: str, expected: str) -> None:
    assert device_directory(alias, name) == expected


@pytest.mark.parametrize(
    "name",
    ["localhost", "LOCALHOST", "127.0.0.1", "::1", "", ".", "..", "a/b", "a\\b", "a:b", "con", "NUL.txt", "lpt1"]
    + ["aux ", "pc.", "pc ", ".pc", "a*", "a?", "a<", 'a"', "a|", "a\n", "x" * 300],
)
def test_names_that_no_share_can_hold(name: str) -> None:
    with pytest.raises(DeviceNameInvalid):
        device_directory("", name)


@pytest.mark.parametrize("other", ["PC", "Pc", "pc.", "pc ", "pc. ."])
def test_one_name_in_two_spellings_collides(other: str) -> None:
    storage = MemoryStorage()
    storage.directories.add(other)
    for adopt in (False, True):
        with pytest.raises(DeviceNameCollision, match="Windows share"):
            claim_directory(storage, "pc", OURS, adopt)
    assert storage.files == {}


def test_spellings_of_one_letter_collide() -> None:
    storage = MemoryStorage()
    storage.directories.add("Mu\u0308hle")
    with pytest.raises(DeviceNameCollision):
        claim_directory(storage, device_directory("", "M\u00fchle"), OURS, False)


def test_a_directory_belongs_to_one_machine() -> None:
    storage = MemoryStorage()
    claim_directory(storage, "pc", OURS, False)
    before = dict(storage.files)
    with pytest.raises(DeviceMismatch, match="SMBIOS UUID"):
        claim_directory(storage, "pc", OTHERS, False)
    with pytest.raises(DeviceMismatch):
        prove_directory(storage, "pc", MachineIdentity("", ""), False)
    assert storage.files == before
    claim_directory(storage, "pc", OTHERS, True)  # a replaced PC, by an explicit yes
    assert stored_identity(storage, "pc") == OTHERS
    with pytest.raises(DeviceMismatch):
        claim_directory(storage, "pc", OURS, False)


@pytest.mark.parametrize(
    "now",
    [OURS._replace(machine_id="c" * 32), OURS._replace(smbios_uuid=""), MachineIdentity("", OURS.machine_id)],
    ids=["a new system disk", "SMBIOS is not readable", "the machine id alone"],
)
def test_one_part_that_agrees_is_enough(now: MachineIdentity) -> None:
    storage = MemoryStorage()
    claim_directory(storage, "pc", OURS, False)
    claim_directory(storage, "pc", now, False)
    assert stored_identity(storage, "pc") == now


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"\xff", b'{"format": "plantops.imaging device", "device": "other"}']
)
def test_a_document_that_can_not_be_used_could_be_anybodys(data: bytes) -> None:
    storage = MemoryStorage()
    storage.make_directory("pc")
    storage.files["pc/device-id.json"] = data
    with pytest.raises(DeviceMismatch):
        claim_directory(storage, "pc", OURS, False)
    assert storage.files == {"pc/device-id.json": data}
    claim_directory(storage, "pc", OURS, True)
    assert stored_identity(storage, "pc") == OURS


def test_of_two_machines_that_claim_a_name_at_once_one_gives_way() -> None:
    class Race(MemoryStorage):
        def put(self, path: str, data: Iterable[bytes], **more: Any) -> int:
            if not self.files:
                claim_directory(first, "pc", OTHERS, False)
                self.files.update(first.files)
            return super().put(path, data, **more)

    storage, first = Race(), MemoryStorage()
    with pytest.raises(DeviceMismatch):
        claim_directory(storage, "pc", OURS, False)
    assert stored_identity(storage, "pc") == OTHERS


@pytest.mark.parametrize("uuid", ["00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"])
def test_what_all_machines_of_a_maker_share_is_no_identity(uuid: str, tmp_path: Path) -> None:
    (tmp_path / "sys/class/dmi/id").mkdir(parents=True)
    (tmp_path / "sys/class/dmi/id/product_uuid").write_text(uuid + "\n")
    assert read_identity(str(tmp_path) + "/").smbios_uuid == ""
