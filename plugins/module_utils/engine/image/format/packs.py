# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packs: files of many blobs, named by the SHA-256 of their bytes, each with a table of its blobs at the end.

Layout: ``magic 16 | salt 32 | blobs ... | table | table offset u64 | entries u32 | SHA-256 of the table 32 | end magic
16``. A table entry: ``id 32 | offset u64 | stored length u32 | plain length u32 | kind u8 | codec u8``. All big-endian.
The table is not encrypted: ids are keyed, and a host without the password can still locate each blob.
"""

from __future__ import annotations

import hashlib
import os
import struct
from typing import Iterable, Iterator, List, NamedTuple, Optional, Sequence, Union, overload

from ..._libraries import blake3
from ...errors import ImageDamaged
from ...storage.contract import Storage
from . import constants as fmt
from .keys import MasterKey
from .seal import FileCipher

_ENTRY = struct.Struct(">32sQIIBB")
_TRAILER = struct.Struct(">QI32s16s")
ENTRY_BYTES = _ENTRY.size  # what a blob takes in the table
HEADER_BYTES = len(fmt.PACK_MAGIC) + fmt.SALT_BYTES


class BlobEntry(NamedTuple):
    """The place of a blob in its pack."""

    blob_id: bytes
    offset: int
    stored_bytes: int
    plain_bytes: int
    kind: int
    codec: int


class PackBuilder:
    """Collects sealed blobs until the pack is large enough. ``buffer`` is memory to use again, of an earlier pack."""

    def __init__(self, key: Optional[MasterKey], buffer: Optional[bytearray] = None) -> None:
        salt = os.urandom(fmt.SALT_BYTES)
        self._cipher = FileCipher(key, salt)
        self._buffer = bytearray() if buffer is None else buffer
        self._buffer[:HEADER_BYTES] = fmt.PACK_MAGIC + salt
        self.size_bytes = HEADER_BYTES
        self.entries: List[BlobEntry] = []

    def add(self, kind: int, blob_id: bytes, plain_bytes: int, codec: int, data: bytes) -> BlobEntry:
        """Seal and append a blob whose bytes are ``codec``-compressed already."""
        offset = self.size_bytes
        sealed = self._cipher.seal(offset, kind, codec, blob_id, plain_bytes, data)
        entry = BlobEntry(blob_id, offset, len(sealed), plain_bytes, kind, codec)
        self.size_bytes += len(sealed)
        self._buffer[offset : self.size_bytes] = sealed
        self.entries.append(entry)
        return entry

    def finish(self) -> FinishedPack:
        table = b"".join(_ENTRY.pack(*entry) for entry in self.entries)
        trailer = _TRAILER.pack(self.size_bytes, len(self.entries), hashlib.sha256(table).digest(), fmt.PACK_END_MAGIC)
        parts = [memoryview(self._buffer)[: self.size_bytes], memoryview(table + trailer)]
        size_bytes = sum(len(part) for part in parts)
        return FinishedPack(hash_pieces(parts), fingerprint(parts), size_bytes, parts, self.entries, self._buffer)


class FinishedPack(NamedTuple):
    """A pack ready to be stored; ``parts`` joined are its bytes, ``buffer`` is the memory behind them."""

    name: str
    fingerprint: bytes
    size_bytes: int
    parts: List[memoryview]
    entries: List[BlobEntry]
    buffer: bytearray


class PackBuffers:
    """The memory of packs that are stored, for those to come: as much as fits a queue, however many packs there are."""

    def __init__(self) -> None:
        self._free: List[bytearray] = []

    def take(self) -> bytearray:
        return self._free.pop() if self._free else bytearray()

    def give_back(self, pack: FinishedPack) -> None:
        for part in pack.parts:
            part.release()
        try:
            pack.buffer.append(0)
        except BufferError:
            return  # a caller still holds a view of it
        self._free.append(pack.buffer)


def read_salt(header: bytes, name: str) -> bytes:
    """Return the salt of a pack from its first ``HEADER_BYTES`` bytes.

    :raises ImageDamaged: when it is not a pack.
    """
    if len(header) != HEADER_BYTES or not header.startswith(fmt.PACK_MAGIC):
        raise ImageDamaged(image=name, reason="the file is not a pack of a known version")
    return header[len(fmt.PACK_MAGIC) :]


def read_table(storage: Storage, path: str, size_bytes: int, most_blobs: int = fmt.MAX_PACK_BLOBS) -> PackTable:
    """Read and check the table of the pack ``path``, whose file has ``size_bytes`` bytes.

    :param most_blobs: ``MAX_UNPROVED_BLOBS`` for a pack from an unknown writer.
    :raises ImageDamaged: when trailer or table are not what the format allows.
    """
    name = path.rsplit("/", 1)[-1]
    if not HEADER_BYTES + _TRAILER.size <= size_bytes <= fmt.MAX_PACK_BYTES:
        raise ImageDamaged(image=name, reason="the pack has an impossible size")
    guess = min(size_bytes, 64 << 10)
    tail = storage.get(path, size_bytes - guess, guess)
    if len(tail) != guess:
        raise ImageDamaged(image=name, reason="the pack is shorter than its listed size")
    table_offset, count, digest, magic = _TRAILER.unpack(tail[guess - _TRAILER.size :])
    table_bytes = count * _ENTRY.size
    if magic != fmt.PACK_END_MAGIC or count > most_blobs:
        raise ImageDamaged(image=name, reason="the pack has no table")
    if table_offset < HEADER_BYTES or table_offset + table_bytes + _TRAILER.size != size_bytes:
        raise ImageDamaged(image=name, reason="the table of the pack is in another position")
    if table_bytes + _TRAILER.size <= guess:
        table = tail[guess - _TRAILER.size - table_bytes : guess - _TRAILER.size]
    else:
        table = storage.get(path, table_offset, table_bytes)
    if hashlib.sha256(table).digest() != digest:
        raise ImageDamaged(image=name, reason="the table of the pack is damaged")
    return _checked(table, table_offset, name)


class PackTable(Sequence[BlobEntry]):
    """The table of a pack as its bytes: an entry becomes an object when it is looked at."""

    def __init__(self, table: bytes) -> None:
        self._table = table

    def __len__(self) -> int:
        return len(self._table) // _ENTRY.size

    def __iter__(self) -> Iterator[BlobEntry]:
        return (BlobEntry(*fields) for fields in _ENTRY.iter_unpack(self._table))

    @overload
    def __getitem__(self, number: int) -> BlobEntry:
        """Make the object of one entry."""

    @overload
    def __getitem__(self, number: slice) -> Sequence[BlobEntry]:
        """Make the objects of several entries."""

    def __getitem__(self, number: Union[int, slice]) -> Union[BlobEntry, Sequence[BlobEntry]]:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        if not -len(self) <= number < len(self):
            raise IndexError(number)
        return BlobEntry(*_ENTRY.unpack_from(self._table, number % len(self) * _ENTRY.size))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


def _checked(table: bytes, table_offset: int, name: str) -> PackTable:
    entries = PackTable(table)
    position = HEADER_BYTES
    for entry in entries:
        if entry.offset != position or _is_too_long(entry):
            raise ImageDamaged(image=name, reason="the table of the pack contradicts itself")
        if entry.kind not in (fmt.KIND_CHUNK, fmt.KIND_SEGMENT) or entry.codec not in (fmt.CODEC_RAW, fmt.CODEC_ZSTD):
            raise ImageDamaged(image=name, reason="the table of the pack contains an unknown kind or codec")
        position += entry.stored_bytes
    if position != table_offset:
        raise ImageDamaged(image=name, reason="the table of the pack contradicts itself")
    return entries


def _is_too_long(entry: BlobEntry) -> bool:
    return entry.plain_bytes > fmt.MAX_BLOB_PLAIN_BYTES or entry.stored_bytes > fmt.MAX_BLOB_STORED_BYTES


def hash_pieces(pieces: Iterable[Union[bytes, memoryview]]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def fingerprint(pieces: Iterable[Union[bytes, memoryview]]) -> bytes:
    """The hash that compares bytes sent with bytes read back: BLAKE3, at a third of the cost of the SHA-256 of names,
    or less."""
    hashed = blake3()()
    for piece in pieces:
        hashed.update(piece)
    digest: bytes = hashed.digest()
    return digest
