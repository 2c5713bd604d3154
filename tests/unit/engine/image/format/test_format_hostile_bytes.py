# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packs, sealed files, segments, roots and sums from a hostile storage: catalogue errors, and nothing beyond bounds."""

from __future__ import annotations

import hashlib
import struct
from typing import Any, List, Optional, Tuple

import pytest
import zstandard
from engine.errors import EngineError, ImageDamaged, PasswordMissing
from engine.image.format import constants as fmt
from engine.image.format import sums
from engine.image.format.index import PackNeed, Place, Root, Segment, SegmentReference
from engine.image.format.keys import MasterKey
from engine.image.format.packs import PackBuilder, read_salt, read_table
from engine.image.format.seal import BlobDamaged, Compressor, Decompressor, FileCipher
from engine.image.format.sealed_files import open_file, seal_file
from hypothesis import given, settings
from hypothesis import strategies as st
from support.refusing import failing
from support.storages import MemoryStorage

KEY = MasterKey(bytes(range(32)))
IMAGE = "2026-11-24_06-00-00"
NAME = "ab" * 32
IDS = st.binary(min_size=32, max_size=32)
CHANGES = st.lists(st.tuples(st.integers(0, 1 << 20), st.binary(min_size=1, max_size=8)), min_size=1, max_size=3)


def changed(data: bytes, changes: List[Tuple[int, bytes]]) -> bytes:
    """Overwrite parts of ``data``, at places taken modulo its length."""
    result = bytearray(data)
    for place, value in changes:
        place %= len(data)
        result[place : place + len(value)] = value
    return bytes(result[: len(data)])


# -- blobs ------------------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=2000), st.integers(1, 50))
def test_blobs_survive_compression(data: bytes, times: int) -> None:
    codec, packed = Compressor(3).compress(data * times)
    assert len(packed) <= len(data) * times
    assert Decompressor().decompress(codec, packed, len(data) * times) == data * times


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 255), st.binary(max_size=300), st.integers(0, 1 << 16))
def test_hostile_blobs_are_refused_or_have_their_length(codec: int, data: bytes, plain_bytes: int) -> None:
    try:
        assert len(Decompressor().decompress(codec, data, plain_bytes)) == plain_bytes
    except BlobDamaged:
        assert codec or len(data) != plain_bytes


def test_a_frame_that_says_another_length_is_not_decompressed() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(64 << 20))
    with pytest.raises(BlobDamaged, match="length"):
        Decompressor().decompress(fmt.CODEC_ZSTD, bomb, fmt.CHUNK_BYTES)
    silent = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1000))
    with pytest.raises(BlobDamaged, match="length"):
        Decompressor().decompress(fmt.CODEC_ZSTD, silent, 1000)


@pytest.mark.parametrize("field", range(6))
def test_a_sealed_blob_is_no_other_blob(field: int) -> None:
    arguments: List[Any] = [48, fmt.KIND_CHUNK, fmt.CODEC_RAW, b"i" * 32, 4]
    cipher = FileCipher(KEY, b"s" * 32)
    sealed = cipher.seal(*arguments, b"data")
    assert cipher.open(*arguments, sealed) == b"data"
    if field == 5:
        cipher = FileCipher(KEY, b"t" * 32)
    else:
        arguments[field] = b"j" * 32 if field == 3 else arguments[field] + 1
    with pytest.raises(BlobDamaged):
        cipher.open(*arguments, sealed)
    with pytest.raises(BlobDamaged):
        cipher.open(*arguments, b"short")


# -- packs ------------------------------------------------------------------------------------------------------------


def small_pack(key: Optional[MasterKey], blobs: int = 3) -> Tuple[str, bytes]:
    builder = PackBuilder(key)
    for number in range(blobs):
        builder.add(fmt.KIND_CHUNK, number.to_bytes(32, "big"), 10, fmt.CODEC_RAW, bytes(10))
    finished = builder.finish()
    return finished.name, b"".join(finished.parts)


def table_of(data: bytes) -> List[Any]:
    storage = MemoryStorage()
    storage.put("pack", [data])
    return read_table(storage, "pack", len(data))


def pack_with(entries: List[Tuple[bytes, int, int, int, int, int]], body_bytes: int) -> bytes:
    table = b"".join(struct.pack(">32sQIIBB", *entry) for entry in entries)
    end = struct.pack(">QI32s16s", 48 + body_bytes, len(entries), hashlib.sha256(table).digest(), fmt.PACK_END_MAGIC)
    return fmt.PACK_MAGIC + bytes(32 + body_bytes) + table + end


@pytest.mark.parametrize("key", [KEY, None], ids=["encrypted", "clear"])
@pytest.mark.parametrize("blobs", [0, 1, 3, 2000])
def test_tables_of_packs_are_read_back(key: Optional[MasterKey], blobs: int) -> None:
    name, data = small_pack(key, blobs)
    assert hashlib.sha256(data).hexdigest() == name
    assert len(table_of(data)) == blobs


@pytest.mark.parametrize(
    "entry",
    [
        (b"i" * 32, 49, 10, 10, 1, 0),
        (b"i" * 32, 48, 9, 10, 1, 0),
        (b"i" * 32, 48, 0xFFFFFFFF, 10, 1, 0),
        (b"i" * 32, 1 << 63, 10, 10, 1, 0),
        (b"i" * 32, 48, 10, fmt.MAX_BLOB_PLAIN_BYTES + 1, 1, 0),
        (b"i" * 32, 48, 10, fmt.MAX_BLOB_PLAIN_BYTES + fmt.TAG_BYTES + 1, 1, 0),
        (b"i" * 32, 48, 10, 10, 0, 0),
        (b"i" * 32, 48, 10, 10, fmt.KIND_FILE, 0),
        (b"i" * 32, 48, 10, 10, 1, 2),
    ],
)
def test_tables_that_contradict_the_format_are_refused(entry: Tuple[bytes, int, int, int, int, int]) -> None:
    assert len(table_of(pack_with([(b"i" * 32, 48, 10, 10, 1, 0)], 10))) == 1
    with pytest.raises(ImageDamaged):
        table_of(pack_with([entry], 10))


class CountingReads(MemoryStorage):
    """Serves nothing but a trailer; fails when more than the guess is asked for."""

    def __init__(self, trailer: bytes) -> None:
        super().__init__()
        self._trailer = trailer

    def get(self, path: str, offset_bytes: int = 0, length_bytes: Optional[int] = None) -> bytes:
        if length_bytes is None or length_bytes > 64 << 10:
            raise AssertionError("%r bytes were asked for at %d of %s" % (length_bytes, offset_bytes, path))
        return bytes(length_bytes - len(self._trailer)) + self._trailer


@pytest.mark.parametrize("count", [fmt.MAX_PACK_BLOBS + 1, (1 << 32) - 1])
def test_a_table_beyond_the_bound_is_not_fetched(count: int) -> None:
    size = fmt.MAX_PACK_BYTES
    trailer = struct.pack(">QI32s16s", max(48, size - 60 - 50 * count), count, bytes(32), fmt.PACK_END_MAGIC)
    with pytest.raises(ImageDamaged):
        read_table(CountingReads(trailer), "pack", size)
    with pytest.raises(ImageDamaged, match="size"):
        read_table(CountingReads(trailer), "pack", size + 1)


@settings(max_examples=100, deadline=None)
@given(CHANGES)
def test_changed_packs_are_refused_or_unchanged(changes: List[Tuple[int, bytes]]) -> None:
    data = small_pack(None)[1]
    try:
        table = table_of(changed(data, changes))
    except EngineError:
        return
    assert table == table_of(data)  # salt or blobs were hit: ids and the pack's name find that


@pytest.mark.parametrize(
    "header", [b"", b"x" * 48, fmt.PACK_MAGIC + bytes(31), fmt.PACK_MAGIC[:-1] + b"\x02" + bytes(32)]
)
def test_files_that_are_no_packs_are_refused(header: bytes) -> None:
    with pytest.raises(ImageDamaged):
        read_salt(header, "pack")


# -- sealed files -----------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=3000), st.booleans())
def test_sealed_files_are_read_back(plain: bytes, encrypted: bool) -> None:
    key = KEY if encrypted else None
    assert open_file(key, IMAGE, "job.log", seal_file(key, IMAGE, "job.log", plain)) == plain


@settings(max_examples=150, deadline=None)
@given(CHANGES, st.booleans(), st.integers(0, 400))
def test_changed_sealed_files_are_refused(changes: List[Tuple[int, bytes]], encrypted: bool, cut: int) -> None:
    key = KEY if encrypted else None
    plain = b"a line\n" * 20
    data = seal_file(key, IMAGE, "job.log", plain)
    hostile = changed(data, changes)[: cut if cut < 100 else None]
    try:
        assert open_file(key, IMAGE, "job.log", hostile) == plain
    except (ImageDamaged, PasswordMissing):
        assert hostile != data


def test_sealed_files_stand_for_no_others() -> None:
    data = seal_file(KEY, IMAGE, "job.log", b"a line")
    for image, name in ((IMAGE, "device.json"), ("2026-11-24_06-00-01", "job.log")):
        with pytest.raises(ImageDamaged):
            open_file(KEY, image, name, data)
    with pytest.raises(PasswordMissing):
        open_file(None, IMAGE, "job.log", data)
    with pytest.raises(ImageDamaged, match="unencrypted"):
        open_file(KEY, IMAGE, "job.log", seal_file(None, IMAGE, "job.log", b"a line"))
    huge = data[:50] + (fmt.MAX_SEALED_PLAIN_BYTES + 1).to_bytes(8, "big") + data[58:]
    with pytest.raises(ImageDamaged, match="format"):
        open_file(KEY, IMAGE, "job.log", huge)


# -- the index --------------------------------------------------------------------------------------------------------


def small_segment() -> Segment:
    segment = Segment(5)
    segment.set_ids(1, fmt.ZERO_ID)
    for position, codec in ((2, fmt.CODEC_RAW), (4, fmt.CODEC_ZSTD)):
        segment.set_ids(position, bytes([position]) * 32)
        segment.set_place(position, Place(NAME, 48 + position, 100 + position, codec))
    return segment


def test_segments_are_read_back() -> None:
    segment = Segment.decode(small_segment().encode(), IMAGE)
    assert segment.ids == small_segment().ids
    assert list(segment.stored()) == list(small_segment().stored())


@settings(max_examples=200, deadline=None)
@given(CHANGES, st.integers(0, 400))
def test_hostile_segments_are_refused_or_in_bounds(changes: List[Tuple[int, bytes]], cut: int) -> None:
    data = changed(small_segment().encode(), changes)[: cut if cut < 100 else None]
    try:
        segment = Segment.decode(data, IMAGE)
    except ImageDamaged:
        return
    for dummy, dummy_id, place in segment.stored():
        assert place.stored_bytes <= fmt.CHUNK_BYTES + fmt.TAG_BYTES
        assert place.offset + place.stored_bytes <= fmt.MAX_PACK_BYTES


@pytest.mark.parametrize(
    "place",
    [
        Place(NAME, 48, fmt.CHUNK_BYTES + fmt.TAG_BYTES + 1, fmt.CODEC_ZSTD),
        Place(NAME, 48, (1 << 31) - 1, fmt.CODEC_RAW),
        Place(NAME, fmt.MAX_PACK_BYTES, 1, fmt.CODEC_RAW),
    ],
)
def test_a_chunk_out_of_bounds_is_refused(place: Place) -> None:
    segment = small_segment()
    segment.set_place(2, place)
    with pytest.raises(ImageDamaged):
        Segment.decode(segment.encode(), IMAGE)


@pytest.mark.parametrize("count", [0, fmt.SEGMENT_CHUNKS + 1, (1 << 32) - 1])
def test_a_segment_of_another_count_is_refused(count: int) -> None:
    with pytest.raises(ImageDamaged, match="head"):
        Segment.decode(struct.pack(">8sII", fmt.SEGMENT_MAGIC, count, 0), IMAGE)


SEGMENT_PLACE = Place(NAME, 48, 500, fmt.CODEC_ZSTD)


def small_root(place: Place = SEGMENT_PLACE) -> Root:
    root = Root(2 * fmt.SEGMENT_BYTES, 512)
    root.packs[NAME] = PackNeed(1000, 600)
    root.segments = [SegmentReference(b"s" * 32, place, 900), SegmentReference(fmt.HOLE_ID, None, 0)]
    return root


def test_roots_are_read_back() -> None:
    root = Root.decode(small_root().encode(), IMAGE)
    assert (root.size_bytes, root.packs, root.segments) == (
        2 * fmt.SEGMENT_BYTES,
        small_root().packs,
        small_root().segments,
    )
    partial = small_root()
    partial.segments.pop()
    assert len(Root.decode(partial.encode(), IMAGE, partial=True).segments) == 1
    with pytest.raises(ImageDamaged, match="segments"):
        Root.decode(partial.encode(), IMAGE)


@settings(max_examples=200, deadline=None)
@given(CHANGES, st.integers(0, 400))
def test_hostile_roots_are_refused_or_in_bounds(changes: List[Tuple[int, bytes]], cut: int) -> None:
    data = changed(small_root().encode(), changes)[: cut if cut < 150 else None]
    try:
        root = Root.decode(data, IMAGE)
    except ImageDamaged:
        return
    assert root.size_bytes <= fmt.MAX_DISK_BYTES
    for dummy, place, plain_bytes in root.segments:
        if place is not None:
            assert max(plain_bytes, place.stored_bytes - fmt.TAG_BYTES) <= fmt.MAX_BLOB_PLAIN_BYTES


@pytest.mark.parametrize(
    "place",
    [
        Place(NAME, 48, fmt.MAX_BLOB_PLAIN_BYTES + fmt.TAG_BYTES + 1, fmt.CODEC_RAW),
        Place(NAME, fmt.MAX_PACK_BYTES, 1, fmt.CODEC_ZSTD),
    ],
)
def test_a_segment_out_of_bounds_is_refused(place: Place) -> None:
    with pytest.raises(ImageDamaged):
        Root.decode(small_root(place).encode(), IMAGE)


# -- SHA256SUMS -------------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.sets(IDS, max_size=5), IDS)
def test_sums_are_read_back(packs: Any, slot: bytes) -> None:
    files = {"image.json": "00" * 32, "keys/%s.json" % slot.hex(): "11" * 32}
    names = sorted(pack.hex() for pack in packs)
    assert sums.decode(sums.encode(files, names), IMAGE) == sums.Sums(files, names)


@pytest.mark.parametrize(
    "line",
    [
        "%s  ..\n" % NAME,
        "%s  .\n" % NAME,
        "%s  .hidden\n" % NAME,
        "%s  ../image.json\n" % NAME,
        "%s  /etc/passwd\n" % NAME,
        "%s  ../packs/cd/%s\n" % (NAME, NAME),
        "%s  ../packs/ab/%s\n" % ("cd" * 32, NAME),
        "%s  keys/../image.json\n" % NAME,
        "%s *image.json\n" % NAME,
        "%s  image.json\r\n" % NAME,
        "%s  image.json\x0b\n" % NAME,
        "%s  image.json" % NAME,
        "\n",
        "",
        "%s  job.log\n%s  job.log\n" % (NAME, "cd" * 32),
        "%s  ../packs/ab/%s\n" % (NAME, NAME) * 2,
        "%s  j\u00f6b.log\n" % NAME,
    ],
)
def test_sums_of_another_form_are_refused(line: str) -> None:
    with pytest.raises(ImageDamaged):
        sums.decode(line.encode("utf-8"), IMAGE)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_hostile_sums_are_refused(data: bytes) -> None:
    with pytest.raises(ImageDamaged):
        sums.decode(data, IMAGE)


def test_more_packs_than_a_reader_takes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each costs some hundred bytes of memory."""
    monkeypatch.setattr(fmt, "MAX_PACKS", 1)
    data, root = sums.encode({}, [NAME]), small_root()
    assert sums.decode(data, IMAGE).packs == [NAME]
    Root.decode(root.encode(), IMAGE)
    with failing(ImageDamaged, reason="too many packs"):
        sums.decode(sums.encode({}, [NAME, "0" * 64]), IMAGE)
    root.packs["0" * 64] = PackNeed(1000, 600)
    with failing(ImageDamaged, reason="too many packs"):
        Root.decode(root.encode(), IMAGE)
