# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The document of former names: which names it proves, and that a false one proves none."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
from engine.errors import StorageNotFound
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.format.keys import MasterKey
from engine.image.former_names import accepted, encode, joined, read_entries, with_names
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
    assert joined(with_names([], "pc", ["a"], KEY), entries) == entries


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
