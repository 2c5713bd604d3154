# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads an image back: the one class that verify, restore, copy and mount stand on."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ..disk.extents import Extent, ExtentSet
from ..errors import DiskEndReached, ImageDamaged, KeyMissing, PasswordMissing, StorageNotFound
from ..storage.contract import Storage
from ..storage.shared_connect import together
from .access import newest_image, open_manifest
from .device_directory import DeviceDirectory
from .format import constants as fmt
from .format.copies import whole_copy_of
from .format.index import Root, Segment
from .format.keys import MasterKey
from .format.manifest import Manifest
from .format.root_columns import Place
from .format.sealed_files import open_file
from .format.sums import SHORT_LIST
from .parallel_map import in_order
from .segments import PackReader, Salts

_WORKERS, _TASKS = 2, 6
_LINE_WORKERS, _LINE_TASKS = 16, 20  # most of them wait for a round trip
_TASK_CHUNKS = 32
_SEGMENTS_AHEAD = 8  # of the index, over a line
_MAX_RUN_BYTES = 4 << 20  # blobs that lie side by side in a pack are fetched together, up to this much
_CACHED_SEGMENTS = 4
_CACHED_CHUNKS = 64
_READ_CHUNKS = 32  # of a range that are fetched together


class Piece(NamedTuple):
    """Bytes of a disk, in order. ``data`` is None for a range that is in use and all zero."""

    offset_bytes: int
    length_bytes: int
    data: Optional[bytes]


class _Wanted(NamedTuple):
    position: int
    chunk_id: bytes
    place: Place


class ImageReader:
    """An image opened for reading: manifest and key proved, its disks by number."""

    def __init__(
        self, storage: Storage, device: str, image: str, password: Optional[str], job: Optional[str] = None
    ) -> None:
        """:param job: of which job the newest is meant where ``image`` is ``latest``; ``None`` for any.
        :raises EngineError: ``ImageNotFound``, ``Password*``, ``ImageDamaged``.
        """
        self.storage = storage
        self.directory = DeviceDirectory(storage, device)
        newest = newest_image(self.directory, password, job) if image == "latest" else None
        known = newest.key if newest is not None else None
        self.manifest: Manifest
        self.key: Optional[MasterKey]
        self.warnings: List[str] = newest.warnings if newest is not None else []
        name = newest.manifest.image if newest is not None else image
        self.manifest, self.key = open_manifest(self.directory, name, password, known, self.warnings)
        self.image = self.manifest.image

    @classmethod
    def proved(cls, directory: DeviceDirectory, image: str, key: Optional[MasterKey]) -> ImageReader:
        """Open an image with a key instead of a password.

        :raises PasswordMissing, KeyMissing: when the image needs a key, or another one.
        """
        reader = cls.__new__(cls)
        reader.storage, reader.directory, reader.warnings = directory.storage, directory, []
        manifest = directory.manifest(image, key)
        if manifest.key_id and key is None:
            raise PasswordMissing(device=directory.device)
        if manifest.key_id and key is not None and key.key_id != manifest.key_id:
            raise KeyMissing(device=directory.device, key_id=manifest.key_id[:16])
        reader.manifest, reader.key, reader.image = manifest, key if manifest.key_id else None, image
        return reader

    def disk(self, number: int) -> DiskReader:
        entry = self.manifest.disks[number]
        name = fmt.index_name(number)
        if self.manifest.pack_count > SHORT_LIST and self.manifest.pack_count > self.directory.count_packs():
            raise ImageDamaged(image=self.image, reason="it needs more packs than the storage contains")
        most_bytes = fmt.MAX_SEALED_PLAIN_BYTES if self.key is not None else fmt.MAX_CLEAR_ROOT_BYTES
        if entry.index_bytes > most_bytes:
            raise ImageDamaged(image=self.image, reason="%s is too large" % name)
        data = self._file(name, entry.index_sha256, entry.index_bytes)
        root = Root.decode(open_file(self.key, self.image, name, data, most_bytes=most_bytes), self.image)
        if (root.size_bytes, root.sector_bytes) != (entry.size_bytes, entry.sector_bytes):
            raise ImageDamaged(image=self.image, reason="%s belongs to another disk" % name)
        return DiskReader(self, root)

    def disks(self) -> List[DiskReader]:
        return [self.disk(number) for number in range(len(self.manifest.disks))]

    def document(self, name: str) -> bytes:
        """Return the plain bytes of ``device.json`` or ``job.log``."""
        data = self._file(name, self.manifest.files[name], fmt.MAX_DOCUMENT_BYTES)
        return open_file(self.key, self.image, name, data, most_bytes=fmt.MAX_DOCUMENT_BYTES)

    def _file(self, name: str, sha256: str, most_bytes: int) -> bytes:
        try:
            data = self.storage.get(self.directory.path(self.image, name), 0, most_bytes + 1)
        except StorageNotFound:
            raise ImageDamaged(image=self.image, reason="%s is missing" % name) from None
        if hashlib.sha256(data).hexdigest() == sha256:
            return data
        del data  # both readings of a large file need not be held at once
        again = self._file_anew(name, sha256, most_bytes)
        if again is None:
            raise ImageDamaged(image=self.image, reason="%s does not match the manifest" % name)
        return again

    def _file_anew(self, name: str, sha256: str, most_bytes: int) -> Optional[bytes]:
        """The file read again, past the cache, or its second copy."""
        folder = self.directory.path(self.image)
        path = "%s/%s" % (folder, name)
        self.storage.look_anew(path)
        data = self.storage.get(path, 0, most_bytes)
        if hashlib.sha256(data).hexdigest() == sha256:
            return data
        return whole_copy_of(self.storage, folder, name, [sha256])


class DiskReader:
    """One disk of an image. ``read`` for single ranges, ``stream`` for all of it at full speed."""

    def __init__(self, image: ImageReader, root: Root) -> None:
        self._image = image
        self.root = root
        self.size_bytes = root.size_bytes
        self.sector_bytes = root.sector_bytes
        self._salts = Salts()
        self._packs = self._new_pack_reader()
        self._segments: OrderedDict[int, Segment] = OrderedDict()
        self._chunks: OrderedDict[Tuple[int, int], bytes] = OrderedDict()

    def _new_pack_reader(self) -> PackReader:
        return PackReader(self._image.storage, self._image.directory.device, self._image.key, self._salts)

    def segment(self, number: int) -> Segment:
        cached = self._segments.get(number)
        if cached is None:
            reference = self.root.segments[number]
            cached = self._packs.segment(reference, self.root.chunks_of(number), self._image.image)
            self._segments[number] = cached
            if len(self._segments) > _CACHED_SEGMENTS:
                self._segments.popitem(last=False)
        return cached

    def prove_index(self) -> None:
        """Load every segment: each is the one that the root names, and is stored in packs that the root lists.

        :raises ImageDamaged, ChunkMissing: when that is not so.
        """
        listed = set(self.root.packs)
        roots = {reference.place.pack for reference in self.root.segments if reference.place is not None}
        if not roots <= listed or not all(segment.packs_named() <= listed for dummy, segment in self._each_segment()):
            raise ImageDamaged(image=self._image.image, reason="its index refers to packs that it does not list")

    def _each_segment(self) -> Iterator[Tuple[int, Segment]]:
        """Yield the segments that are stored, in order; over a line the next ones are fetched in the meantime."""
        numbers = [number for number, reference in enumerate(self.root.segments) if reference.place is not None]
        if self._image.storage.parallel_calls == 1 or len(numbers) <= _CACHED_SEGMENTS:
            for number in numbers:
                yield number, self.segment(number)
            return
        with ThreadPoolExecutor(_SEGMENTS_AHEAD, thread_name_prefix="index reader") as executor:
            calls = (partial(self._segment_apart, number) for number in numbers)
            with closing(in_order(executor, calls, _SEGMENTS_AHEAD)) as found:
                yield from zip(numbers, found)

    def _segment_apart(self, number: int) -> Segment:
        packs, reference = self._new_pack_reader_for_thread(), self.root.segments[number]
        return packs.segment(reference, self.root.chunks_of(number), self._image.image)

    def extents(self) -> Iterator[Extent]:
        """Yield what is in use, in whole chunks, joined and in order."""
        start = end = 0
        for number, segment in self._each_segment():
            for position in range(segment.count):
                if segment.id_at(position) == fmt.HOLE_ID:
                    continue
                offset, length = self._range(number, position)
                if offset != end:
                    if end > start:
                        yield Extent(start, end - start)
                    start = offset
                end = offset + length
        if end > start:
            yield Extent(start, end - start)

    def streamed(self) -> ExtentSet:
        """The bytes that :meth:`stream` yields."""
        return ExtentSet(self.extents())

    def streamed_of(self, allowed: ExtentSet) -> ExtentSet:
        """Those of ``allowed`` that a comparison of whole chunks in use concerns: here all, without a look at the index."""
        return allowed

    def chunk_ids(self) -> Iterator[Tuple[int, List[bytes]]]:
        """Yield the offset and the ids of neighbouring chunks in use, some at a time: nothing but the index is fetched."""
        for number, segment in self._each_segment():
            for task in _tasks(segment):
                ids: List[bytes] = []
                first = 0
                for position, chunk_id, dummy_place in task:
                    if ids and position != first + len(ids):
                        yield self._range(number, first)[0], ids
                        ids = []
                    first = position if not ids else first
                    ids.append(chunk_id)
                yield self._range(number, first)[0], ids

    def identify(self, data: bytes) -> List[bytes]:
        """The ids that successive chunks of these bytes would have in this image."""
        return self._packs.identifier.chunks(memoryview(data))

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Return a range; holes read as zeros.

        :raises DiskEndReached: when the range is not inside the disk.
        :raises ImageDamaged, ChunkMissing: when the image does not hold it any more.
        """
        if offset_bytes < 0 or length_bytes < 0 or offset_bytes + length_bytes > self.size_bytes:
            raise DiskEndReached(
                path=self._image.image,
                size_bytes=self.size_bytes,
                offset_bytes=offset_bytes,
                length_bytes=length_bytes,
            )
        parts = []
        position = offset_bytes
        while position < offset_bytes + length_bytes:
            number, inside = divmod(position, fmt.SEGMENT_BYTES)
            chunk, start = divmod(inside, fmt.CHUNK_BYTES)
            self._fetch_together(number, chunk, offset_bytes + length_bytes)
            data = self._chunk(number, chunk)
            part = data[start : start + offset_bytes + length_bytes - position]
            parts.append(part)
            position += len(part)
        return b"".join(parts)

    def stream(self) -> Iterator[Piece]:
        """Yield everything in use in rising order, fetched ahead and decoded in threads.

        Every byte is proved: authentic, decompressed, and hashed to its chunk's id.
        """
        is_near = self._image.storage.parallel_calls == 1
        workers, depth = (_WORKERS, _TASKS) if is_near else (_LINE_WORKERS, _LINE_TASKS)
        calls = (
            partial(self._decode, number, task)
            for number, reference in enumerate(self.root.segments)
            if reference.place is not None
            for task in _tasks(self.segment(number))
        )
        with ThreadPoolExecutor(workers, thread_name_prefix="image reader") as executor:
            with closing(in_order(executor, calls, depth)) as decoded:
                for pieces in decoded:
                    yield from pieces

    def _decode(self, number: int, task: List[Tuple[int, bytes, Optional[Place]]]) -> List[Piece]:
        decoded: Dict[int, bytes] = {}
        for run in _runs(_wanted(task)):
            decoded.update(self._decode_run(number, run))
        return [
            Piece(*self._range(number, position), decoded[position] if place is not None else None)
            for position, dummy, place in task
        ]

    def _decode_run(self, number: int, run: List[_Wanted]) -> Dict[int, bytes]:
        """Fetch blobs that lie side by side, and return the proved chunks by their position."""
        packs = self._new_pack_reader_for_thread()
        first, last = run[0].place, run[-1].place
        length = last.offset + last.stored_bytes - first.offset
        span = memoryview(packs.fetch(first.pack, first.offset, length, self._image.image))
        decoded: Dict[int, bytes] = {}
        for item in run:
            start = item.place.offset - first.offset
            blob = span[start : start + item.place.stored_bytes]
            length = self._range(number, item.position)[1]
            decoded[item.position] = self._prove(packs, item.place, item.chunk_id, length, blob)
        return decoded

    def _fetch_together(self, number: int, chunk: int, end_bytes: int) -> None:
        """Have the first chunks of a range in the cache: one by one, each would be three round trips over a line."""
        reference = self.root.segments[number]
        count = min(_READ_CHUNKS, -(-(end_bytes - self._range(number, chunk)[0]) // fmt.CHUNK_BYTES))
        if count < 2 or reference.place is None or (number, chunk) in self._chunks:
            return
        segment = self.segment(number)
        positions = range(chunk, min(chunk + count, segment.count))
        ids = [(position, segment.id_at(position)) for position in positions if (number, position) not in self._chunks]
        task = [
            (position, chunk_id, segment.place_at(position))
            for position, chunk_id in ids
            if chunk_id not in (fmt.HOLE_ID, fmt.ZERO_ID)
        ]
        runs = list(_runs(_wanted(task)))
        for decoded in together(self._image.storage, partial(self._decode_run, number), runs):
            for position, data in decoded.items():
                self._keep(number, position, data)

    def _keep(self, number: int, position: int, data: bytes) -> None:
        self._chunks[(number, position)] = data
        if len(self._chunks) > _CACHED_CHUNKS:
            self._chunks.popitem(last=False)

    def _new_pack_reader_for_thread(self) -> PackReader:
        import threading

        local = self.__dict__.setdefault("_local", threading.local())
        packs: Optional[PackReader] = getattr(local, "packs", None)
        if packs is None:
            packs = local.packs = self._new_pack_reader()
        return packs

    def _prove(self, packs: PackReader, place: Place, chunk_id: bytes, length: int, blob: bytes) -> bytes:
        try:
            return self._proved(packs, place, chunk_id, length, blob)
        except ImageDamaged:
            for again in packs.fetch_anew(place):
                with suppress(ImageDamaged):
                    return self._proved(packs, place, chunk_id, length, again)
            raise

    def _proved(self, packs: PackReader, place: Place, chunk_id: bytes, length: int, blob: bytes) -> bytes:
        data = packs.open(place, fmt.KIND_CHUNK, chunk_id, length, blob, self._image.image)
        if packs.identifier.chunk(data) != chunk_id:
            raise ImageDamaged(
                image=self._image.image,
                reason="byte %d of the pack %s contains a different chunk" % (place.offset, place.pack),
            )
        return data

    def _chunk(self, number: int, position: int) -> bytes:
        cached = self._chunks.get((number, position))
        if cached is not None:
            return cached
        length = self._range(number, position)[1]
        reference = self.root.segments[number]
        chunk_id = fmt.HOLE_ID if reference.place is None else self.segment(number).id_at(position)
        if chunk_id in (fmt.HOLE_ID, fmt.ZERO_ID):
            return bytes(length)
        place = self.segment(number).place_at(position)
        blob = self._packs.fetch(place.pack, place.offset, place.stored_bytes, self._image.image)
        data = self._prove(self._packs, place, chunk_id, length, blob)
        self._keep(number, position, data)
        return data

    def _range(self, number: int, position: int) -> Tuple[int, int]:
        offset = number * fmt.SEGMENT_BYTES + position * fmt.CHUNK_BYTES
        return offset, min(fmt.CHUNK_BYTES, self.size_bytes - offset)


def _tasks(segment: Segment) -> Iterator[List[Tuple[int, bytes, Optional[Place]]]]:
    """Cut a segment into lists of neighbouring chunks."""
    task: List[Tuple[int, bytes, Optional[Place]]] = []
    for position in range(segment.count):
        chunk_id = segment.id_at(position)
        if chunk_id != fmt.HOLE_ID:
            task.append((position, chunk_id, None if chunk_id == fmt.ZERO_ID else segment.place_at(position)))
        if len(task) >= _TASK_CHUNKS:
            yield task
            task = []
    if task:
        yield task


def _wanted(task: Sequence[Tuple[int, bytes, Optional[Place]]]) -> List[_Wanted]:
    """The chunks of a task that are stored, in the order of their packs."""
    return sorted(
        (_Wanted(position, chunk_id, place) for position, chunk_id, place in task if place is not None),
        key=lambda item: (item.place.pack, item.place.offset),
    )


def _runs(wanted: List[_Wanted]) -> Iterator[List[_Wanted]]:
    run: List[_Wanted] = []
    for item in wanted:
        if run:
            last, first = run[-1].place, run[0].place
            adjacent = item.place.pack == last.pack and 0 <= item.place.offset - last.offset <= last.stored_bytes
            if not adjacent or item.place.offset + item.place.stored_bytes - first.offset > _MAX_RUN_BYTES:
                yield run
                run = []
        run.append(item)
    if run:
        yield run
