# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device has a bounded number of key slots, and a password that could not be read again is not taken."""

from __future__ import annotations

import pytest
from engine.errors import KeySlotsFull
from engine.image.access import Passwords
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from support.small_runs import DEVICE, SmallDisk, make_small, read_image, run_image
from support.storages import MemoryStorage


def test_a_password_beyond_the_last_slot_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image lists 32 slots: one more would lock out a password at random. A new key begins a list of its own."""
    make_small(monkeypatch)
    storage, disk = MemoryStorage(), SmallDisk(chunks=4)
    run_image(storage, disk, Passwords("0"))
    for number in range(1, fmt.MAX_KEY_SLOTS):
        made = run_image(storage, disk, Passwords(str(number), previous=str(number - 1)))
    before = {path: data for path, data in storage.files.items() if "lease" not in path}
    with pytest.raises(KeySlotsFull, match=r"pc .* 32 key slots") as caught:
        run_image(storage, disk, Passwords("one more", previous="0"))
    assert caught.value.code == "K105"
    assert {path: data for path, data in storage.files.items() if "lease" not in path} == before
    assert len(DeviceDirectory(storage, DEVICE).key_slots()) == fmt.MAX_KEY_SLOTS
    for number in range(fmt.MAX_KEY_SLOTS):
        assert read_image(storage, made.image, str(number)) == disk.expected()
    anew = run_image(storage, disk, Passwords("one more", new_key=True))
    assert read_image(storage, anew.image, "one more") == disk.expected()
    assert read_image(storage, made.image, "7") == disk.expected()
