# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies packs from one storage to another: hashed on their way, read back from the target, and not copied twice."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Iterator, List, Optional, Set

from ...errors import CopyNotProved, CopySourceDamaged, EngineError, StorageExists, StorageNotFound
from ...storage.contract import Storage
from ..device_directory import DeviceDirectory
from ..format import constants as fmt
from ..format.manifest import Manifest
from ..second_look import damage_of

_TRIES = 3


class _SourceFailed(Exception):
    """Wraps an error of reading the source, so that the target's storage does not retry it as its failure."""

    def __init__(self, error: EngineError) -> None:
        super().__init__()
        self.error = error


class _OtherBytes(Exception):
    """The file is not what its name says."""


class PackCopier:
    """Copies packs of one device to the same device on another storage. Safe in threads."""

    def __init__(self, source: DeviceDirectory, target: Storage, manifest: Manifest) -> None:
        # A hostile source may have no end to send; the manifest says how much all packs are.
        self._most_bytes = min(fmt.MAX_PACK_BYTES, manifest.pack_bytes)
        self._source = source
        self._target = target
        self._image = manifest.image
        self._rooms: Set[str] = set()

    def keep(self, name: str) -> bool:
        """Whether the target holds the pack already, hashed."""
        try:
            return not damage_of(self._target, self._path(name), name)
        except StorageNotFound:
            return False

    def copy(self, name: str) -> int:
        """Copy one pack and return its size in bytes.

        :raises CopySourceDamaged: when it is missing in the source, or damaged in every place.
        :raises CopyNotProved: when the target does not give back what was written.
        """
        path = self._path(name)
        for dummy in range(_TRIES):
            size_bytes = self._send(name, path)
            self._target.forget_cache(path)
            if not damage_of(self._target, path, name):
                return size_bytes
        raise CopyNotProved(path=path, target=self._target.description)

    def _path(self, name: str) -> str:
        return fmt.pack_path(self._source.device, name)

    def _send(self, name: str, path: str) -> int:
        """Send the pack from its place, in use or in the trash: a rollover may move it there and back during the copy."""
        self._make_room(path.rpartition("/")[0])
        is_damaged = False
        for places in (self._in_use, self._trashed, self._in_use, self._trashed):
            for place in places(name):
                try:
                    return self._put(_Pieces(self._source.storage, place, name, self._most_bytes), path, name)
                except _OtherBytes:
                    is_damaged = True
                    with suppress(StorageNotFound):
                        self._source.storage.forget_cache(place)
                except _SourceFailed as failed:
                    if not isinstance(failed.error, StorageNotFound):
                        raise failed.error from None
        words = "is damaged" if is_damaged else "is missing"
        raise CopySourceDamaged(image=self._image, reason="the pack %s %s" % (name, words))

    def _make_room(self, folder: str) -> None:
        if folder not in self._rooms:
            self._target.make_directory(folder)
            self._rooms.add(folder)

    def _put(self, pieces: _Pieces, path: str, name: str) -> int:
        """Replace a damaged pack only: an account that may only create may not replace one that another copy has just stored."""
        try:
            return self._target.put(path, pieces)
        except StorageNotFound:  # a sweep took the empty room, or the file half-written
            self._target.make_directory(path.rpartition("/")[0])
        except StorageExists:
            if self.keep(name):
                return self._target.stat(path).size_bytes
        return self._target.put(path, pieces, replace=True)

    def _in_use(self, name: str) -> List[str]:
        return [self._path(name)]

    def _trashed(self, name: str) -> List[str]:
        return [self._source.path(fmt.TRASH, entry.file_name) for entry in self._source.trash({name})]


class _Pieces:
    """The bytes of a pack, read again at each iteration, which completes only if they have the SHA-256 in the pack's
    name."""

    def __init__(self, storage: Storage, path: str, name: str, most_bytes: int) -> None:
        self._storage = storage
        self._path = path
        self._name = name
        self._most_bytes = most_bytes

    def __iter__(self) -> Iterator[bytes]:
        digest, size_bytes = hashlib.sha256(), 0
        pieces = self._storage.read(self._path, 0, self._most_bytes + 1)
        while True:
            piece = _next(pieces)
            if piece is None:
                break
            digest.update(piece)
            size_bytes += len(piece)
            if size_bytes > self._most_bytes:
                raise _OtherBytes
            yield piece
        if digest.hexdigest() != self._name:
            raise _OtherBytes


def _next(pieces: Iterator[bytes]) -> Optional[bytes]:
    try:
        return next(pieces, None)
    except EngineError as error:
        raise _SourceFailed(error) from error


def store_file(target: Storage, path: str, data: bytes, *, replace: bool) -> bool:
    """Have ``data`` in ``path``, read back; return whether it had to be written.

    :raises StorageExists: when another file has the name and ``replace`` is false.
    :raises CopyNotProved: when the target does not give back what was written.
    """
    if _holds(target, path, data):
        return False
    for left in reversed(range(_TRIES)):
        try:
            if not _put(target, path, data, replace):
                return False
            target.forget_cache(path)
        except StorageNotFound:  # another copy took what was half-written for what a killed one left
            if not left:
                raise
        if _holds(target, path, data):
            return True
        replace = True
    raise CopyNotProved(path=path, target=target.description)


def _put(target: Storage, path: str, data: bytes, replace: bool) -> bool:
    """Store what is not there yet, as an account that may only create can; false where another copy has just stored the same."""
    try:
        target.put(path, [data])
    except StorageExists:
        if _holds(target, path, data):
            return False
        if not replace:
            raise
        target.put(path, [data], replace=True)
    return True


def _holds(target: Storage, path: str, data: bytes) -> bool:
    try:
        return target.get(path, 0, len(data) + 1) == data
    except StorageNotFound:
        return False
