# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of a registry hive: the same length, the same cells, a valid base block; what is not a clean, complete hive is locked."""

from __future__ import annotations

import random
import struct
import uuid
from typing import List

import pytest
from engine.restore.identity.hive import changes, count, why_locked
from support.hives import boot_config, gpt_device, hive, read_values

OLD, NEW, DISK = (str(uuid.UUID(int=1000 + number)) for number in range(3))
DEVICES = [gpt_device(DISK, OLD)] * 40


def test_a_change_stays_inside_its_cells() -> None:
    before = hive(boot_config(DEVICES))
    assert why_locked(before) == ""
    found = changes(before, [(uuid.UUID(OLD).bytes_le, uuid.UUID(NEW).bytes_le)])
    after = bytearray(before)
    for place, data in found:
        after[place : place + len(data)] = data
    assert len(after) == len(before)
    assert after[:4096] == before[:4096]
    assert why_locked(bytes(after)) == ""
    assert (count(bytes(after), uuid.UUID(OLD).bytes_le), count(bytes(after), uuid.UUID(NEW).bytes_le)) == (0, 80)
    values = read_values(bytes(after))
    assert list(values) == list(read_values(before))
    assert set(values.values()) == {gpt_device(DISK, NEW)}


def test_the_base_block_and_what_follows_the_bins_is_not_searched() -> None:
    content = hive(boot_config(DEVICES[:1])) + uuid.UUID(OLD).bytes_le
    places = [place for place, dummy in changes(content, [(uuid.UUID(OLD).bytes_le, uuid.UUID(NEW).bytes_le)])]
    assert len(places) == 2
    assert all(4096 <= place < len(content) - 16 for place in places)


def broken() -> List[bytes]:
    whole = hive(boot_config(DEVICES))
    pages = [whole[place : place + 4096] for place in range(0, len(whole), 4096)]
    assert len(pages) > 4
    swapped = b"".join([*pages[:2], pages[3], pages[2], *pages[4:]])
    longer = bytearray(whole)
    struct.pack_into("<I", longer, 40, len(whole))
    return [b"", b"regf", whole[:4096], whole[:-4096], swapped, bytes(longer), b"REGF" + whole[4:], whole[:4096] * 3]


@pytest.mark.parametrize("number", range(8))
def test_what_is_not_whole_and_in_order_is_locked(number: int) -> None:
    assert why_locked(broken()[number])


@pytest.mark.parametrize("more", [1, 4, 4088, 4095])
def test_bins_that_end_inside_a_page_are_locked(more: int) -> None:
    """The next bin would begin where its head does not fit any more."""
    whole = bytearray(hive(boot_config(DEVICES)))
    struct.pack_into("<I", whole, 40, len(whole) - 4096 + more)
    total = 0
    for word in struct.unpack_from("<127I", whole):
        total ^= word
    struct.pack_into("<I", whole, 508, total)
    assert why_locked(bytes(whole) + bytes(more))


def test_log_files_that_wait_lock_the_hive() -> None:
    assert "log files" in why_locked(hive(boot_config(DEVICES), is_clean=False))


def test_flipped_bytes_end_in_an_answer() -> None:
    whole = hive(boot_config(DEVICES[:3]))
    chance = random.Random(4)
    for dummy in range(300):
        content = bytearray(whole)
        for dummy_flip in range(chance.randrange(1, 6)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        if not why_locked(bytes(content)):
            changes(bytes(content), [(uuid.UUID(OLD).bytes_le, uuid.UUID(NEW).bytes_le)])
