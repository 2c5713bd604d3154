# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All packs of a run: the one being filled, the sender behind it, and where every chunk went."""

from __future__ import annotations

from itertools import islice
from typing import Callable, Dict, Iterable, Optional, Set

from ...storage.contract import Storage
from ..format import constants as fmt
from ..format.index import Columns, Segment, length_with_codec
from ..format.keys import MasterKey
from ..format.packs import BlobEntry, PackBuffers, PackBuilder
from ..format.root_columns import Place
from .known_chunks import KnownChunks
from .sender import PackSender

UNNAMED = "0" * 64  # stands for the pack that is being filled: its name is the hash of what it will hold

_LEARNT_AT_ONCE = 4096
_MOST_BLOBS = 1 << 16  # of a pack being filled: chunks that compress to next to nothing would be many, each an object


class PackStream:
    """Takes blobs, makes packs, sends them. ``on_named`` is called with the name of each complete pack."""

    def __init__(
        self,
        storage: Storage,
        device: str,
        key: Optional[MasterKey],
        target_bytes: int,
        sleep: Callable[[float], None],
    ) -> None:
        self.key = key
        self.known = KnownChunks()
        self.lost: Set[str] = set()
        self.sent: Dict[str, int] = {}
        self._sent_before_bytes = 0
        self.stored_bytes = 0
        self.new_plain_bytes = 0
        self.on_named: Callable[[str], None] = lambda pack: None
        self.sizes: Dict[str, int] = {}
        self._of_no_image: Set[str] = set()
        self._storage, self._device, self._sleep = storage, device, sleep
        self._target_bytes = target_bytes
        self._buffers = PackBuffers()
        self._builder = PackBuilder(key, self._buffers.take())
        self._open: Dict[bytes, BlobEntry] = {}
        self._sender = self._new_sender()

    def _new_sender(self) -> PackSender:
        give_back = self._buffers.give_back
        return PackSender(self._storage, self._device, self._sleep, give_back, self._target_bytes)

    def learn(self, pack: str, entries: Iterable[BlobEntry]) -> None:
        """Learn what is in a pack that no image needs yet: one of this run, or of an interrupted one."""
        self._of_no_image.add(pack)
        every = (entry for entry in entries if entry.kind == fmt.KIND_CHUNK)
        for chunks in iter(lambda: list(islice(every, _LEARNT_AT_ONCE)), []):
            self.known.add_all(
                Columns(
                    [entry.blob_id for entry in chunks],
                    [pack],
                    [0] * len(chunks),
                    [entry.offset for entry in chunks],
                    [length_with_codec(entry.stored_bytes, entry.codec) for entry in chunks],
                )
            )

    def learn_segment(self, segment: Segment, usable: Set[str]) -> None:
        self.known.add_all(segment.stored_in(usable))

    def find(self, chunk_id: bytes, is_anew: bool = False) -> Optional[Place]:
        """Where a chunk is stored; the place's pack is ``UNNAMED`` while it is being filled.

        :param is_anew: only places in packs that no image needs yet count, so that the chunk leaves the older ones.
        """
        entry = self._open.get(chunk_id)
        if entry is not None:
            return Place(UNNAMED, entry.offset, entry.stored_bytes, entry.codec)
        place = self.known.get(chunk_id)
        if place is None or place.pack in self.lost or (is_anew and place.pack not in self._of_no_image):
            return None
        return place

    def add(self, kind: int, blob_id: bytes, plain_bytes: int, codec: int, data: bytes) -> Place:
        """Append a blob to the pack being filled."""
        entry = self._builder.add(kind, blob_id, plain_bytes, codec, data)
        if kind == fmt.KIND_CHUNK:
            self._open[blob_id] = entry
            self.new_plain_bytes += plain_bytes
        self.stored_bytes += entry.stored_bytes
        return Place(UNNAMED, entry.offset, entry.stored_bytes, entry.codec)

    @property
    def sent_bytes(self) -> int:
        """Of packs that are stored and were read back."""
        return self._sent_before_bytes + self._sender.sent_bytes

    @property
    def is_full(self) -> bool:
        return self._builder.size_bytes >= self._target_bytes or len(self._builder.entries) >= _MOST_BLOBS

    def cut(self) -> None:
        """Complete the pack being filled and hand it to the sender."""
        if not self._builder.entries:
            return
        pack = self._builder.finish()
        self.stored_bytes += pack.size_bytes - self._builder.size_bytes
        # Before the pack's chunks vanish from _open they are known: a worker never sees a gap.
        self.learn(pack.name, pack.entries)
        self._builder, self._open = PackBuilder(self.key, self._buffers.take()), {}
        self.sizes[pack.name] = pack.size_bytes
        self.on_named(pack.name)
        self._sender.send(pack)

    def drain(self) -> None:
        """Wait until every pack that was cut is stored and read back; the stream stays usable."""
        self._sender.finish()
        self.sent.update(self._sender.sent)
        self._sent_before_bytes += self._sender.sent_bytes
        self._sender = self._new_sender()

    def close(self) -> None:
        """End the sender's thread; what went wrong earlier has been raised by ``drain``."""
        self._sender.abandon()
