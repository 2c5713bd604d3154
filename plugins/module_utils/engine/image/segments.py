# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads single blobs and segments from packs, looking into the trash where a pack is missing."""

from __future__ import annotations

import contextlib
import threading
from typing import Callable, Dict, Iterator, List, Optional

from ..errors import ChunkMissing, ImageDamaged, StorageNotFound
from ..storage.contract import Storage
from .device_directory import DeviceDirectory
from .format import constants as fmt
from .format.index import Segment
from .format.keys import MasterKey
from .format.packs import HEADER_BYTES, read_salt
from .format.root_columns import Place, SegmentReference
from .format.seal import BlobDamaged, Decompressor, FileCipher, Identifier
from .upkeep.restore_from_trash import whole_copies

_MOST_SALTS = 1 << 16


class Salts:
    """The salts of packs, shared by the readers of several threads: each is fetched once, which over a line is a round trip."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._salts: Dict[str, bytes] = {}
        self._turns: Dict[str, threading.Lock] = {}

    def get(self, pack: str, load: Callable[[], bytes]) -> bytes:
        """Return the salt; of several threads that lack it one calls ``load`` and the others wait for it."""
        with self._lock:
            if pack in self._salts:
                return self._salts[pack]
            if len(self._salts) >= _MOST_SALTS:
                self._salts.clear()
                self._turns.clear()
            turn = self._turns.setdefault(pack, threading.Lock())
        with turn:
            found = self._salts.get(pack)
            if found is None:
                found = load()
                with self._lock:
                    self._salts[pack] = found
        return found

    def forget(self, pack: str) -> None:
        """Have the salt fetched again: it may have been read falsely."""
        with self._lock:
            self._salts.pop(pack, None)


class PackReader:
    """Opens blobs of a device's packs. Keeps the cipher of each pack; not safe to share between threads."""

    def __init__(self, storage: Storage, device: str, key: Optional[MasterKey], salts: Optional[Salts] = None) -> None:
        self._storage = storage
        self._directory = DeviceDirectory(storage, device)
        self._key = key
        self._ciphers: Dict[str, FileCipher] = {}
        self._salts = salts or Salts()
        self._moved: Dict[str, List[str]] = {}
        self._decompressor = Decompressor()
        self.identifier = Identifier(key)

    def fetch(self, pack: str, offset: int, length: int, image: str) -> bytes:
        """Return a range of a pack, from the trash if it has been moved there.

        The trash is read only when the pack is not in its place; then both are tried again, since a rollover that sees
        that the pack is needed moves it back.

        :raises ChunkMissing: when the pack is missing or too short.
        """
        for places in (self._in_use, self._trashed, self._in_use, self._trashed_now):
            for path in places(pack):
                try:
                    data = self._storage.get(path, offset, length)
                except StorageNotFound:
                    continue
                if len(data) == length:
                    return data
        raise ChunkMissing(chunk="in the pack %s" % pack[:16], image=image)

    def fetch_anew(self, place: Place) -> Iterator[bytes]:
        """Yield further readings of a blob whose first one was wrong: the pack past the cache, intact copies in the
        trash.

        A single false read does not prove damage, and a pack that rotted in its place may be intact in the trash.
        """
        own = fmt.pack_path(self._directory.device, place.pack)
        with contextlib.suppress(StorageNotFound):
            self._storage.look_anew(own)
            self._ciphers.pop(place.pack, None)  # what was false may have been the pack's salt
            self._salts.forget(place.pack)
            yield self._storage.get(own, place.offset, place.stored_bytes)
        for path in whole_copies(self._directory, place.pack):
            with contextlib.suppress(StorageNotFound):
                header = self._storage.get(path, 0, HEADER_BYTES)
                self._ciphers[place.pack] = FileCipher(self._key, read_salt(header, place.pack))
                yield self._storage.get(path, place.offset, place.stored_bytes)

    def open(self, place: Place, kind: int, blob_id: bytes, plain_bytes: int, data: bytes, image: str) -> bytes:
        """Decrypt and decompress the bytes of a blob.

        :raises ImageDamaged: when they are not what was stored.
        """
        try:
            cipher = self._cipher(place.pack, image)
            packed = cipher.open(place.offset, kind, place.codec, blob_id, plain_bytes, data)
            return self._decompressor.decompress(place.codec, packed, plain_bytes)
        except BlobDamaged as error:
            raise ImageDamaged(
                image=image, reason="byte %d of the pack %s: %s" % (place.offset, place.pack, error)
            ) from None

    def segment(self, reference: SegmentReference, chunk_count: int, image: str) -> Segment:
        """Load and prove a segment of the index.

        :raises ImageDamaged, ChunkMissing: when it is not the one that the root names.
        """
        if reference.place is None:
            return Segment(chunk_count)
        place = reference.place
        data = self.fetch(place.pack, place.offset, place.stored_bytes, image)
        try:
            return self._segment(reference, place, chunk_count, data, image)
        except ImageDamaged:
            for again in self.fetch_anew(place):
                with contextlib.suppress(ImageDamaged):
                    return self._segment(reference, place, chunk_count, again, image)
            raise

    def _segment(self, reference: SegmentReference, place: Place, chunk_count: int, data: bytes, image: str) -> Segment:
        plain = self.open(place, fmt.KIND_SEGMENT, reference.segment_id, reference.plain_bytes, data, image)
        segment = Segment.decode(plain, image)
        if segment.count != chunk_count or self.identifier.segment(bytes(segment.ids)) != reference.segment_id:
            raise ImageDamaged(image=image, reason="a segment of the index does not match its root")
        return segment

    def _cipher(self, pack: str, image: str) -> FileCipher:
        cipher = self._ciphers.get(pack)
        if cipher is None:
            salt = b""
            if self._key is not None:
                salt = self._salts.get(pack, lambda: read_salt(self.fetch(pack, 0, HEADER_BYTES, image), pack))
            if len(self._ciphers) >= 4096:
                self._ciphers.clear()
            cipher = self._ciphers[pack] = FileCipher(self._key, salt)
        return cipher

    def _in_use(self, pack: str) -> List[str]:
        return [fmt.pack_path(self._directory.device, pack)]

    def _trashed_now(self, pack: str) -> List[str]:
        self._moved.pop(pack, None)
        return self._trashed(pack)

    def _trashed(self, pack: str) -> List[str]:
        if pack not in self._moved:
            self._moved[pack] = [
                self._directory.path(fmt.TRASH, entry.file_name) for entry in self._directory.trash({pack})
            ]
        return self._moved[pack]


def load_segment(reader: PackReader, reference: SegmentReference, chunk_count: int) -> Optional[Segment]:
    """A segment that an image or a run has stored before, None where it is lost: verify reports the damage."""
    if reference.place is None:
        return None
    try:
        return reader.segment(reference, chunk_count, "before")
    except (ImageDamaged, ChunkMissing):
        return None
