# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests and JSON documents from a hostile storage; a manifest that changes between two reads."""

from __future__ import annotations

import json
from typing import Any, Dict, Optional

import pytest
from engine.errors import EngineError, ImageDamaged, ImageFormatUnknown, KeyMissing, PasswordMissing
from engine.image.access import Passwords, key_for_reading
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.format import documents
from engine.image.format.contents import DiskContents, VolumeEntry
from engine.image.format.index import Root
from engine.image.format.keys import MasterKey
from engine.image.format.manifest import DiskEntry, Manifest, authenticate, check_key_id, decode, encode
from engine.image.format.sealed_files import seal_file
from hypothesis import given, settings
from hypothesis import strategies as st
from support.small_runs import DEVICE, SmallDisk, make_small, read_image, run_image
from support.storages import MemoryStorage

IMAGE = "2026-11-24_06-00-00"
KEY = MasterKey(bytes(range(32)))
DIGEST = "ab" * 32


def manifest_of(key: Optional[MasterKey]) -> Manifest:
    return Manifest(
        image=IMAGE,
        device="pc \u00fc",
        sequence=7,
        created="2026-11-24T06:00:00Z",
        snapshot="offline",
        key_id=key.key_id if key else "",
        slots=[DIGEST + ".json"] if key else [],
        disks=[DiskEntry("disk0", "serial:1", 1 << 30, 512, 1 << 20, DIGEST, 1000)],
        files={"device.json": DIGEST, "job.log": DIGEST},
        pack_count=1,
        pack_bytes=1000,
        packs_sha256=DIGEST,
        seconds=1,
        warnings_count=0,
    )


def clear_manifest(**changes: Any) -> bytes:
    """A clear manifest with changes and a right checksum: what anybody can write."""
    document: Dict[str, Any] = json.loads(encode(manifest_of(None), None))
    document.pop("authentication")
    document.update(changes)
    import hashlib

    document["authentication"] = hashlib.sha256(documents.canonical(document)).hexdigest()
    return documents.pretty(document)


@pytest.mark.parametrize("key", [KEY, None], ids=["encrypted", "clear"])
def test_manifests_are_read_back(key: Optional[MasterKey]) -> None:
    data = encode(manifest_of(key), key)
    assert decode(data, IMAGE) == manifest_of(key)
    authenticate(data, manifest_of(key), key)


@pytest.mark.parametrize("key", [KEY, None], ids=["encrypted", "clear"])
def test_what_came_after_the_first_release_is_read_back_and_only_stored_where_it_says_something(
    key: Optional[MasterKey],
) -> None:
    contents = DiskContents("Drive 500", "gpt:" + GUID, [VolumeEntry(1, GUID, 5), VolumeEntry(2, "1048576", 7)])
    plain = manifest_of(key)
    full = plain._replace(job="T\u00e4glich 3", disks=[plain.disks[0]._replace(contents=contents)])
    data = encode(full, key)
    assert decode(data, IMAGE) == full
    authenticate(data, full, key)
    document = json.loads(encode(plain, key))
    assert not {"job"} & set(document)
    assert not {"model", "table", "volumes", "contents"} & set(document["disks"][0])


DISK = manifest_of(None).disks[0].as_dict()
GUID = "0123abcd-0000-4000-8000-00000000000a"
VOLUME = {"number": 1, "id": GUID, "size_bytes": 5}


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "another"},
        {"version": [1]},
        {"image": "2026-11-24_06-00-01"},
        {"device": 5},
        {"sequence": -1},
        {"sequence": True},
        {"sequence": fmt.MAX_NUMBER + 1},
        {"sequence": 1.5},
        {"created": "x" * 41},
        {"snapshot": "unknown"},
        {"key_id": "ab"},
        {"slots": {}},
        {"slots": [5]},
        {"slots": [DIGEST + ".jsoN"]},
        {"slots": ["../../" + DIGEST]},
        {"slots": [DIGEST + ".json"] * (fmt.MAX_KEY_SLOTS + 1)},
        {"disks": []},
        {"disks": {}},
        {"disks": [5]},
        {"disks": [dict(DISK, name="disk1")]},
        {"disks": [dict(DISK, size_bytes=fmt.MAX_DISK_BYTES + 1)]},
        {"disks": [dict(DISK, sector_bytes=8192)]},
        {"disks": [dict(DISK, index_bytes=fmt.MAX_SEALED_PLAIN_BYTES + 1)]},
        {"disks": [dict(DISK, index_sha256="AB" * 32)]},
        {"disks": [dict(DISK, name="disk%d" % n) for n in range(fmt.MAX_DISKS + 1)]},
        {"disks": [dict(DISK, model=5)]},
        {"disks": [dict(DISK, model="x" * 129)]},
        {"disks": [dict(DISK, model="\x1b[2J")]},
        {"disks": [dict(DISK, table="gpt:\u202e")]},
        {"disks": [dict(DISK, table="x" * 257)]},
        {"disks": [dict(DISK, volumes={})]},
        {"disks": [dict(DISK, volumes=[VOLUME] * 257)]},
        {"disks": [dict(DISK, volumes=[5])]},
        {"disks": [dict(DISK, volumes=[dict(VOLUME, id="a\nb")])]},
        {"disks": [dict(DISK, volumes=[dict(VOLUME, number=-1)])]},
        {"disks": [dict(DISK, volumes=[dict(VOLUME, size_bytes=None)])]},
        {"job": ""},
        {"job": None},
        {"job": ["daily"]},
        {"job": "x" * 65},
        {"job": " daily"},
        {"job": "a\nb"},
        {"job": "\u202eyliad"},
        {"job": "\ud800"},
        {"job": "e\u0301"},
        {"files": {}},
        {"files": []},
        {"files": {"device.json": DIGEST, "../job.log": DIGEST}},
        {"files": {"device.json": DIGEST, "job.log": "no"}},
        {"packs": []},
        {"packs": {"count": 1, "bytes": 1, "sha256": ""}},
        {"size_bytes": 1},
        {"in_use_bytes": None},
    ],
    ids=lambda changes: str(changes)[:60],
)
def test_manifests_that_contradict_the_format_are_refused(changes: Dict[str, Any]) -> None:
    with pytest.raises(ImageDamaged):
        decode(clear_manifest(**changes), IMAGE)


def test_a_newer_version_is_named() -> None:
    with pytest.raises(ImageFormatUnknown):
        decode(clear_manifest(version=2), IMAGE)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 5000), st.binary(min_size=1, max_size=6), st.booleans())
def test_changed_manifests_are_refused(place: int, value: bytes, encrypted: bool) -> None:
    key = KEY if encrypted else None
    data = encode(manifest_of(key), key)
    place %= len(data)
    hostile = data[:place] + value + data[place + len(value) :]
    try:
        found = decode(hostile, IMAGE)
        authenticate(hostile, found, key)
    except EngineError:
        assert hostile != data
    else:
        assert found == manifest_of(key)


def test_authentication_needs_the_very_key_and_the_very_bytes() -> None:
    data = encode(manifest_of(KEY), KEY)
    with pytest.raises(PasswordMissing):
        authenticate(data, manifest_of(KEY), None)
    with pytest.raises(KeyMissing):
        authenticate(data, manifest_of(KEY), MasterKey(bytes(32)))
    with pytest.raises(ImageDamaged, match="changed"):
        authenticate(data, manifest_of(KEY)._replace(sequence=8), KEY)


def test_a_changed_key_id_is_damage_and_not_another_key() -> None:
    """Only a holder of the key makes the authentication, whatever key id stands beside it."""
    other = MasterKey(bytes(32))
    data = encode(manifest_of(KEY), KEY)
    for place in (0, 31, 63):
        key_id = KEY.key_id[:place] + ("0" if KEY.key_id[place] != "0" else "1") + KEY.key_id[place + 1 :]
        changed = data.replace(KEY.key_id.encode("ascii"), key_id.encode("ascii"))
        found = decode(changed, IMAGE)
        assert found.key_id == key_id
        with pytest.raises(ImageDamaged):
            authenticate(changed, found, KEY)
        with pytest.raises(ImageDamaged):
            check_key_id(changed, found, KEY)
        with pytest.raises(KeyMissing):
            authenticate(changed, found, other)
    check_key_id(data, manifest_of(KEY), KEY)
    check_key_id(data, manifest_of(KEY), other)


class TwoFaces(MemoryStorage):
    """Shows a forged manifest first and the genuine one from then on."""

    forged = b""

    def get(self, path: str, offset_bytes: int = 0, length_bytes: Optional[int] = None) -> bytes:
        if path.endswith("image.json") and self.forged:
            forged, self.forged = self.forged, b""
            return forged
        return super().get(path, offset_bytes, length_bytes)


def test_a_storage_that_shows_two_manifests_is_found_out(monkeypatch: Any) -> None:
    make_small(monkeypatch)
    storage = TwoFaces()
    run_image(storage, SmallDisk(), Passwords("secret"), IMAGE)
    directory = DeviceDirectory(storage, DEVICE)
    assert key_for_reading(directory, directory.manifest(IMAGE), "secret")
    storage.forged = directory.manifest_bytes(IMAGE).replace(b'"sequence": 1', b'"sequence": 9')
    manifest = directory.manifest(IMAGE)
    assert manifest.sequence == 9
    with pytest.raises(ImageDamaged, match="changed"):
        key_for_reading(directory, manifest, "secret")


def test_an_encrypted_checkpoint_does_not_stop_a_clear_run(monkeypatch: Any) -> None:
    """A killed encrypted run left one; imaging_allow_clear then starts in clear."""
    make_small(monkeypatch)
    storage, disk = MemoryStorage(), SmallDisk()
    run_image(storage, disk, Passwords("secret"), IMAGE)
    killed = "2026-11-24_07-00-00"
    storage.make_directory("%s/%s" % (DEVICE, killed))
    root = Root(len(disk.data), 512)
    storage.put(
        "%s/%s/disk0.checkpoint" % (DEVICE, killed), [seal_file(KEY, killed, "disk0.checkpoint", root.encode())]
    )
    result = run_image(storage, disk, Passwords(allow_clear=True), "2026-11-24_08-00-00")
    assert result.key_id == ""
    assert read_image(storage, result.image) == disk.expected()


# -- documents --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b'{"a": 1.0}',
        b'{"a": 1e9}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": "\xc3\xa4"}',
        b'{"a": ' + b"1" * 41 + b"}",
        b'{"a": ' + b"9" * (4 << 20) + b"}",
        b'{"a": ' + b"[" * 64 + b"]" * 64 + b"}",
        b'{"a": ' + b"[" * 100000 + b"]" * 100000 + b"}",
        b" " * (fmt.MAX_JSON_BYTES + 1),
    ],
    ids=lambda data: str(data[:20]),
)
def test_documents_that_are_not_strict_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        documents.parse(data)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 60), 1 << 60) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=5))
def test_documents_are_read_back_and_have_one_canonical_form(document: Dict[str, Any]) -> None:
    assert documents.parse(documents.pretty(document)) == document
    again = documents.parse(documents.pretty(dict(reversed(list(document.items())))))
    assert documents.canonical(again) == documents.canonical(document)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_hostile_documents_are_refused_or_objects(data: bytes) -> None:
    try:
        assert isinstance(documents.parse(data), dict)
    except ValueError:
        return
