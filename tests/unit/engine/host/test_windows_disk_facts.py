# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The structures by which disks of Windows describe themselves: those of drivers, and those of drivers that lie."""

from __future__ import annotations

import contextlib
import random
import struct

import pytest
from engine.host import windows_disk_facts as facts
from support.windows import disk_bytes as made

NAA = bytes.fromhex("5000c500a1b2c3d4")
EUI = bytes.fromhex("0025388b91d0f1a2")


def test_a_geometry() -> None:
    assert facts.geometry(made.geometry(500107862016)) == (500107862016, 512, False)
    assert facts.geometry(made.geometry(1 << 42, 4096)) == (1 << 42, 4096, False)
    assert facts.geometry(made.geometry(1 << 30, 512, made.REMOVABLE_MEDIA)).removable


@pytest.mark.parametrize(
    "answer",
    [b"", made.geometry(1 << 30)[:31], made.geometry(1 << 30, 513), made.geometry(1 << 30, 1 << 20), made.geometry(-1)],
)
def test_a_geometry_that_no_disk_has(answer: bytes) -> None:
    with pytest.raises(ValueError, match="bytes"):
        facts.geometry(answer)


def test_a_description() -> None:
    answer = made.descriptor(made.NVME, "SAMSUNG MZVLB256HBHQ", "S4GGNX0R123456", "NVMe", "EXD7")
    assert facts.descriptor(answer) == ("NVMe", "SAMSUNG MZVLB256HBHQ", "EXD7", "S4GGNX0R123456", "nvme", False)
    assert facts.descriptor(made.descriptor(made.USB, removable=True)) == ("", "", "", "", "usb", True)
    assert facts.descriptor(made.descriptor(made.SPACES)).bus == facts.SPACES
    assert facts.descriptor(made.descriptor(77)).bus == ""


@pytest.mark.parametrize("offset", [0, 36 + 7, 4096, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_text_outside_of_the_answer_is_none(offset: int) -> None:
    answer = bytearray(made.descriptor(made.SATA, model="ST-1000"))
    struct.pack_into("<I", answer, 24, offset)  # SerialNumberOffset
    assert facts.descriptor(bytes(answer))[1:4] == ("ST-1000", "", "")


def test_a_text_without_an_end_and_of_other_bytes() -> None:
    answer = bytearray(made.descriptor(made.SATA, model="A" * 5000))[:4000]
    assert facts.descriptor(bytes(answer)).model == "A" * 256
    answer = bytearray(made.descriptor(made.SATA, model="WDC  X"))
    answer[36:38] = b"\x1b\xff"
    assert "\x1b" not in facts.descriptor(bytes(answer)).model


def test_a_description_that_is_too_short() -> None:
    with pytest.raises(ValueError, match="31 bytes"):
        facts.descriptor(made.descriptor(made.SATA)[:31])


def test_the_serial_number_of_an_ata_disk_as_windows_7_writes_it() -> None:
    plain = b"WD-WCAV91060421".rjust(20)
    shown = b"".join(plain[at : at + 2][::-1] for at in range(0, 20, 2)).hex()
    assert facts.descriptor(made.descriptor(made.IDE, serial=shown)).serial == "WD-WCAV91060421"
    assert facts.descriptor(made.descriptor(made.NVME, serial=shown)).serial == shown
    assert facts.descriptor(made.descriptor(made.IDE, serial="ff" * 20)).serial == "ff" * 20
    assert facts.descriptor(made.descriptor(made.SATA, serial="WD-WCAV91060421")).serial == "WD-WCAV91060421"


def test_the_name_that_no_other_disk_has() -> None:
    assert facts.world_wide_name(made.identifiers([(1, 3, 0, NAA)])) == NAA.hex()
    assert facts.world_wide_name(made.identifiers([(1, 2, 0, EUI)])) == "eui." + EUI.hex()
    several = [(2, 1, 0, b"ATA     ST1000"), (1, 2, 0, EUI), (1, 3, 1, bytes(8)), (1, 3, 0, NAA), (1, 3, 0, bytes(8))]
    assert facts.world_wide_name(made.identifiers(several)) == NAA.hex(), "the first NAA of the disk itself"


def test_names_that_name_nothing() -> None:
    for one in [(2, 3, 0, NAA), (1, 3, 1, NAA), (1, 3, 0, NAA[:7]), (1, 2, 0, bytes(40)), (1, 4, 0, NAA)]:
        assert facts.world_wide_name(made.identifiers([one])) == ""
    assert facts.world_wide_name(b"") == ""
    whole = made.identifiers([(1, 3, 0, NAA), (1, 2, 0, EUI)])
    for end in range(len(whole)):
        assert facts.world_wide_name(whole[:end]) in ("", NAA.hex()), end


def test_more_names_than_there_are_and_steps_that_do_not_end() -> None:
    for count, step in ((0xFFFFFFFF, 0), (0xFFFFFFFF, 1), (0xFFFFFFFF, 24), (5, 0xFFFF)):
        answer = bytearray(made.identifiers([(1, 2, 0, EUI), (1, 3, 0, NAA)]))
        struct.pack_into("<I", answer, 8, count)
        struct.pack_into("<H", answer, 12 + 10, step)
        assert facts.world_wide_name(bytes(answer)) in ("eui." + EUI.hex(), NAA.hex())


def test_sectors_on_the_medium_and_seeks() -> None:
    assert facts.physical_sector_bytes(made.alignment(512, 4096)) == 4096
    assert facts.physical_sector_bytes(made.alignment(512, 3000)) == 0
    assert facts.physical_sector_bytes(made.alignment(512, 4096)[:23]) == 0
    assert facts.is_rotating(made.seek_penalty(True)) is True
    assert facts.is_rotating(made.seek_penalty(False)) is False
    assert facts.is_rotating(made.seek_penalty(True)[:8]) is None


def test_bytes_of_chance_are_answers_or_refused() -> None:
    random.seed(18)
    for dummy in range(2000):
        data = random.randbytes(random.randrange(200))
        for read in (facts.geometry, facts.descriptor):
            with contextlib.suppress(ValueError):
                read(data)
        name = facts.world_wide_name(data)
        assert name == "" or len(name.replace("eui.", "")) in (16, 24, 32)
