# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The document of former names: which names it proves, and that a false one proves none."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import pytest
from engine.errors import StorageNotFound
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.format.keys import MasterKey
from engine.image.format.manifest import Manifest
from engine.image.former_names import (
    MAX_BYTES,
    Misnamed,
    accepted,
    copied,
    encode,
    fitted,
    parse_entries,
    proved,
    read_entries,
    with_names,
)
from support.storages import HookedStorage, MemoryStorage

KEY, OTHER = MasterKey.new(), MasterKey.new()
PATH = "pc/%s" % fmt.NAMES_NAME


@pytest.fixture
def storage() -> MemoryStorage:
    made = MemoryStorage()
    made.make_directory("pc")
    return made


def read(storage: MemoryStorage, data: bytes) -> List[Dict[str, Any]]:
    storage.put(PATH, [data], replace=True)
    return read_entries(storage, "pc")


def test_an_entry_counts_for_its_directory_and_its_key(storage: MemoryStorage) -> None:
    entries = read(storage, encode(with_names(with_names([], "pc", ["a", "pc"], KEY), "pc", ["b"], None)))
    assert accepted(entries, "pc", KEY) == {"a"}
    assert accepted(entries, "pc", OTHER) == frozenset()
    assert accepted(entries, "pc", None) == {"a", "b"}
    assert accepted(entries, "mill", None) == frozenset()


def test_a_changed_entry_proves_nothing(storage: MemoryStorage) -> None:
    (entry,) = with_names([], "pc", ["a"], KEY)
    for change in (
        {"former": ["b"]},
        {"device": "pc2"},
        {"key_id": OTHER.key_id},
        {"authentication": 5},
        {"kind": "x"},
    ):
        for changed in read(storage, encode([dict(entry, **change)])):
            assert accepted([changed], changed["device"], KEY) == frozenset()


def test_a_later_entry_replaces_the_one_for_the_same_directory_and_key() -> None:
    entries = with_names(with_names(with_names([], "pc", ["a"], KEY), "pc", ["a", "b"], KEY), "pc2", ["pc"], KEY)
    assert len(entries) == 2
    assert accepted(entries, "pc", KEY) == {"a", "b"}


def crowd(device: str = "pc", key_id: str = "", letters: int = 3, names: int = 1) -> List[Dict[str, Any]]:
    """As many entries as a document has, which any account may store."""
    return [
        {
            "kind": "names",
            "device": device,
            "key_id": key_id or str(number),
            "former": ["%d-%d-%s" % (number, one, "x" * letters) for one in range(names)],
        }
        for number in range(256)
    ]


def test_only_entries_that_a_key_proves_are_proved() -> None:
    own = with_names([], "pc", ["a"], KEY)
    false = [dict(own[0], former=["b"]), dict(own[0], authentication=5), *with_names([], "pc", ["c"], OTHER)]
    assert proved([*crowd(key_id=KEY.key_id), *false, *own], [KEY]) == own
    assert proved(own, []) == []


@pytest.mark.parametrize(("letters", "names"), [(1, 1), (200, 1), (1, 40), (200, 10)])
def test_the_first_entries_that_fit_are_one_document(letters: int, names: int) -> None:
    own = with_names([], "pc", ["a"], KEY)
    found = fitted([*own, *crowd(letters=letters, names=names), *own])
    assert found[:1] == own
    assert own[0] not in found[1:]
    assert len(found) > 8
    data = encode(found)
    assert len(data) <= MAX_BYTES
    assert parse_entries(data) == found


@pytest.mark.parametrize("key", [KEY, None], ids=["with the key", "without"])
@pytest.mark.parametrize("letters", [1, 200])
def test_foreign_entries_push_none_out_of_a_copy(key: Any, letters: int) -> None:
    own = with_names(crowd("other"), "pc", ["a"], KEY)
    theirs = [*crowd(key_id=KEY.key_id)[:1], *crowd(letters=letters)[1:]]
    document = copied(own, theirs, "pc", KEY.key_id, key)
    assert parse_entries(encode(document)) == document
    assert accepted(document, "pc", KEY) == {"a"}
    assert copied(own, document, "pc", KEY.key_id, key) == document


def test_a_copy_keeps_the_entries_of_other_keys() -> None:
    own, theirs = with_names([], "pc", ["a"], KEY), with_names([], "pc", ["b"], OTHER)
    document = copied(own, theirs, "pc", KEY.key_id, KEY)
    assert (accepted(document, "pc", KEY), accepted(document, "pc", OTHER)) == ({"a"}, {"b"})
    clear = copied(with_names([], "pc", ["c"], None), document, "pc", "", None)
    assert accepted(clear, "pc", None) == {"a", "b", "c"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"\xff",
        b"[" * 70_000,
        b'{"format": "plantops.imaging names", "entries": {}}',
        b'{"format": "plantops.imaging names", "entries": [5, {}, {"kind": "names", "former": "a"}]}',
        b'{"format": "plantops.imaging names", "entries": [{"kind": "names", "device": "pc", "key_id": "", "former": ["a/b"]}]}',
        encode([{"kind": "names", "device": "pc", "key_id": "", "former": ["a"] * 65}]),
        encode([{"kind": "names", "device": "pc", "key_id": "", "former": ["a"]}] * 257),
    ],
)
def test_other_documents_prove_nothing(storage: MemoryStorage, data: bytes) -> None:
    assert read(storage, data) == []


def test_no_document_proves_nothing(storage: MemoryStorage) -> None:
    assert read_entries(storage, "pc") == []
    assert read_entries(storage, "mill") == []


@pytest.mark.parametrize("is_missing", [True, False])
def test_one_false_read_makes_no_image_another_devices(is_missing: bool, storage: MemoryStorage) -> None:
    """The first read finds nothing, or a document with a flipped bit: the names are read once more."""
    whole = encode(with_names([], "pc", ["a"], KEY))
    (entry,) = with_names([], "pc", ["a"], KEY)
    storage.put(PATH, [encode([dict(entry, key_id=OTHER.key_id)])])
    reads: List[str] = []

    def lying(moment: str, operation: str, path: str) -> None:
        if (moment, operation, path) != ("before", "read", PATH):
            return
        reads.append(path)
        if len(reads) > 1:
            storage.put(PATH, [whole], replace=True)
        elif is_missing:
            raise StorageNotFound(storage="memory", path=path)

    directory = DeviceDirectory(HookedStorage(storage, lying), "pc")
    assert directory.was_called("a", KEY)
    assert not directory.was_called("b", KEY)
    assert len(reads) == 2, "and not again for each image"


def test_numbers_of_misnamed_images_count_as_far_as_they_can_be_true() -> None:
    misnamed = Misnamed()
    misnamed.add(manifest("2026-11-22_13-45-10", KEY, 3), is_proved=True)
    misnamed.add(manifest("2026-11-22_13-45-11", KEY, 900), is_proved=False)
    misnamed.add(manifest("2026-11-22_13-45-12", None, 5), is_proved=False)
    assert [one.sequence for one in misnamed.of(KEY)] == [3, 5]
    assert [one.sequence for one in misnamed.of(OTHER)] == [3, 900, 5]
    assert [one.sequence for one in misnamed.of(None)] == [3, 900, 5]
    misnamed.forget("2026-11-22_13-45-12")
    assert [one.sequence for one in misnamed.of(KEY)] == [3]


def manifest(image: str, key: Optional[MasterKey], sequence: int) -> Manifest:
    key_id = key.key_id if key is not None else ""
    return Manifest(image, "a", sequence, "", "offline", key_id, [], [], {}, 0, 0, "", 0, 0)
