# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images made by somebody who knows the password (or of a device without one): whole and proved from manifest to sums,
and false in what they say."""

from __future__ import annotations

import hashlib
from typing import Callable, List, Optional

from engine.errors import ImageDamaged
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.format import copies, sums
from engine.image.format.index import Root, Segment
from engine.image.format.keys import MasterKey
from engine.image.format.manifest import encode, packs_digest
from engine.image.format.packs import PackBuilder
from engine.image.format.root_columns import Place, SegmentReference
from engine.image.format.seal import Compressor, Identifier
from engine.image.format.sealed_files import seal_file
from engine.image.reader import ImageReader
from support.small_runs import DEVICE
from support.storages import MemoryStorage


class Forger:
    """Changes one image of ``storage`` and makes everything above the change true again."""

    def __init__(self, storage: MemoryStorage, image: str, password: Optional[str]) -> None:
        self.storage = storage
        self.image = image
        self.directory = DeviceDirectory(storage, DEVICE)
        reader = ImageReader(storage, DEVICE, image, password)
        self.key: Optional[MasterKey] = reader.key
        self.disk = reader.disk(0)
        self.root = self.disk.root
        # As lists and dictionaries they can be changed, which what is read from a storage can't be.
        self.segments = self.root.segments = list(self.root.segments)
        self.packs = self.root.packs = dict(self.root.packs)

    def segment(self, number: int) -> Segment:
        return self.disk.segment(number)

    def store_segment(self, number: int, segment: Segment, plain: Optional[bytes] = None) -> None:
        """Store a changed segment in a pack of its own, and let the root name it."""
        plain = segment.encode() if plain is None else plain
        segment_id = Identifier(self.key).segment(bytes(segment.ids))
        codec, packed = Compressor(3).compress(plain)
        builder = PackBuilder(self.key)
        entry = builder.add(fmt.KIND_SEGMENT, segment_id, len(plain), codec, packed)
        pack = builder.finish()
        path = fmt.pack_path(DEVICE, pack.name)
        self.storage.make_directory(path.rpartition("/")[0])
        self.storage.files[path] = b"".join(bytes(part) for part in pack.parts)
        place = Place(pack.name, entry.offset, entry.stored_bytes, codec)
        self.segments[number] = SegmentReference(segment_id, place, len(plain))
        need = next(iter(self.root.packs.values()))._replace(
            size_bytes=pack.size_bytes, needed_bytes=entry.stored_bytes
        )
        self.packs[pack.name] = need

    def publish(self, plain: Optional[bytes] = None, size_bytes: Optional[int] = None) -> None:
        """Store the root (or ``plain`` in its place), a manifest that proves it, and the sums."""
        name = fmt.index_name(0)
        data = seal_file(self.key, self.image, name, self.root.encode() if plain is None else plain)
        self._put(name, data)
        packs: List[str] = list(self.root.packs)
        before = self.directory.manifest(self.image)
        disk = before.disks[0]._replace(
            index_sha256=hashlib.sha256(data).hexdigest(),
            index_bytes=len(data),
            size_bytes=size_bytes or before.disks[0].size_bytes,
        )
        manifest = before._replace(
            disks=[disk],
            packs_sha256=packs_digest(packs),
            pack_count=len(packs),
            pack_bytes=sum(need.size_bytes for need in self.root.packs.values()),
            changes=None,
        )
        text = encode(manifest, self.key)
        self._put(fmt.MANIFEST_NAME, text)
        files = dict(self.directory.sums(self.image).files)
        files[name], files[fmt.MANIFEST_NAME] = disk.index_sha256, hashlib.sha256(text).hexdigest()
        self._put(fmt.SUMS_NAME, sums.encode(files, packs))
        self._put(fmt.COPIES_NAME, copies.encode({name: data, fmt.MANIFEST_NAME: text}))

    @property
    def readable(self) -> bool:
        """Whether the root is one that the format allows."""
        try:
            Root.decode(self.root.encode(), self.image)
        except ImageDamaged:
            return False
        return True

    def _put(self, name: str, data: bytes) -> None:
        self.storage.files[self.directory.path(self.image, name)] = data


Change = Callable[[Forger], None]
