# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The device document in an image names the disks that the image does not hold; without it, or with one that is malformed, none is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest
from engine.disk.source import MemorySource
from engine.errors import EngineError, RestoreMatchMissing
from engine.image.access import Passwords
from engine.image.format import constants as fmt
from engine.image.format.contents import DiskContents
from engine.image.reader import ImageReader
from engine.image.writing.writer import DiskInput, ImageOrder, write_image
from engine.restore import matching
from engine.restore.imaged import OtherDisks, imaged_disks, other_disks
from engine.restore.matching import AUTO, DiskHere
from engine.restore.restore import plan, restore
from engine.restore.target import Target, marker_at
from engine.storage.contract import Storage
from engine.storage.local.storage import DirectoryStorage
from support.small_runs import CHUNK, DEVICE, SmallDisk, make_small
from support.storages import MemoryStorage

DISKS: Dict[str, Any] = {
    "serial:1": {"size_bytes": 40 * CHUNK, "model": "SSD 870", "scheme": "gpt", "disk_id": "aa"},
    "serial:OWN": {"size_bytes": 40 * CHUNK, "model": "SSD 870", "scheme": None, "disk_id": None},
    "wwn:0x5000C500A1B2C3D4": {"size_bytes": 40 * CHUNK, "model": "SSD 870"},
    "serial:TABLE": {"size_bytes": 1, "scheme": "mbr", "disk_id": "0badf00d"},
    "serial:COPY (2)": {"size_bytes": 1, "scheme": "gpt", "disk_id": "aa"},
    "/dev/sdx": {"size_bytes": 7 << 30, "model": "FLASH"},
    "/dev/sdy": {"size_bytes": None, "model": "READER"},
    "/dev/sdz": {"size_bytes": 5, "model": None},
}
KNOWN = OtherDisks(
    frozenset(["serial:OWN", "wwn:5000c500a1b2c3d4", "serial:TABLE", "mbr:0badf00d", "serial:COPY"]),
    frozenset([(7 << 30, "FLASH")]),
)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def image(
    storage: Storage, information: Dict[str, Any], password: Optional[str] = None, stable_id: str = "serial:1"
) -> ImageReader:
    disk = SmallDisk(40)
    contents = DiskContents("SSD 870", "gpt:aa", [])
    order = ImageOrder(
        DEVICE,
        "2026-11-23_20-00-00",
        [DiskInput(MemorySource(bytes(disk.data)), disk.extents(), stable_id, contents=contents)],
        created="2026-11-23_20-00-00",
        passwords=Passwords(password),
        device_information=information,
    )
    return ImageReader(storage, DEVICE, write_image(storage, order).image, password)


@pytest.mark.parametrize("password", [None, "plant"])
def test_the_disks_that_the_image_does_not_hold_are_known(password: Optional[str]) -> None:
    reader = image(MemoryStorage(), {"sections": {"disks": DISKS}}, password)
    assert other_disks(reader) == KNOWN
    assert [one.others for one in imaged_disks(reader)] == [KNOWN]


@pytest.mark.parametrize(
    "information",
    [
        {},
        {"sections": 5},
        {"sections": {"disks": ["serial:OWN"]}},
        {"sections": {"disks": {"serial:OWN": "a disk"}}},
        {"disks": {"disk0": {"stable_id": "serial:1"}}},
    ],
)
def test_a_document_that_says_nothing_of_disks_names_none(information: Dict[str, Any]) -> None:
    assert other_disks(image(MemoryStorage(), information)) == OtherDisks()


def test_ids_of_any_length_and_number_are_bounded() -> None:
    many = {"serial:%d" % number: {} for number in range(20_000)}
    many["serial:" + "x" * 1000] = {}
    found = other_disks(image(MemoryStorage(), {"sections": {"disks": many}}))
    assert 0 < len(found.ids) <= 10_000
    assert max(map(len, found.ids)) < 300


@pytest.mark.parametrize("password", [None, "plant"])
def test_a_document_that_was_changed_or_lost_names_none(password: Optional[str], tmp_path: Path) -> None:
    """It is what the manifest names, or it is not read: nobody with access to the storage chooses which disk is taken."""
    storage = DirectoryStorage(str(tmp_path))
    reader = image(storage, {"sections": {"disks": DISKS}}, password)
    folder = tmp_path / DEVICE / reader.image
    path = folder / fmt.DEVICE_INFORMATION_NAME
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert other_disks(reader) == KNOWN  # from its second copy
    (folder / fmt.COPIES_NAME).unlink()
    assert other_disks(reader) == OtherDisks()
    path.unlink()
    assert other_disks(reader) == OtherDisks()


def here(path: Path, *hardware: str) -> DiskHere:
    return DiskHere(str(path), frozenset(hardware), "", 40 * CHUNK, "SSD 870", True, marker_at(str(path)))


@pytest.mark.parametrize("is_named", [True, False])
def test_auto_does_not_take_the_other_disk_of_the_device(
    is_named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = image(MemoryStorage(), {"sections": {"disks": DISKS}})
    path = tmp_path / "disk"
    path.write_bytes(bytes(40 * CHUNK))
    monkeypatch.setattr(matching, "disks_here", lambda folder: [here(path, "serial:OWN" if is_named else "serial:NEW")])
    if is_named:
        with pytest.raises(RestoreMatchMissing) as caught:
            plan(reader, {"disk0": AUTO}, True)
        assert str(path) in str(caught.value.fields["reason"])
    else:
        (planned,) = plan(reader, {"disk0": AUTO}, True)
        assert planned.target.path == str(path)


class Killed(Exception):
    """The process ended."""


def test_auto_finds_the_disk_whose_restore_was_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a serial number the table was all that told it, and the marker stands in its place."""
    storage = MemoryStorage()
    reader = image(storage, {}, stable_id="gpt:aa")
    paths: List[Path] = [tmp_path / name for name in ("first", "second")]
    for path in paths:
        path.write_bytes(bytes(40 * CHUNK))
    writes = [0]

    def write_until(self: Target, offset_bytes: int, pieces: List[bytes]) -> None:
        writes[0] += 1
        if writes[0] == 3:
            raise Killed
        write_pieces(self, offset_bytes, pieces)

    write_pieces = Target.write_pieces
    with monkeypatch.context() as patched:
        patched.setattr(Target, "write_pieces", write_until)
        with pytest.raises(Killed):
            restore(storage, DEVICE, reader.image, {"disk0": str(paths[1])})
    monkeypatch.setattr(matching, "disks_here", lambda folder: [here(path) for path in paths])
    (planned,) = plan(reader, {"disk0": AUTO}, False)
    assert (planned.target.path, planned.resumes) == (str(paths[1]), True)
    restore(storage, DEVICE, reader.image, {"disk0": AUTO})
    assert paths[1].read_bytes()[: 3 * CHUNK] == SmallDisk(40).data[: 3 * CHUNK]
    assert not any(paths[0].read_bytes())
    with pytest.raises(EngineError) as caught:  # complete, no marker any more: two disks of the kind
        plan(reader, {"disk0": AUTO}, False)
    assert caught.value.code == "R168"
