# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract of a storage: a tree of files that is published to atomically.

Paths are relative to the storage's root: names joined by ``/``, checked by :func:`names.check_path`. A caller may rely
on, for every implementation (``tests/integration/storage/test_storage_conformance.py`` proves each sentence):

* A file that :meth:`Storage.put` publishes is there whole or not at all, and after ``put`` has returned it survives a
  loss of power. Until then its bytes live under a name that ends in ``PARTIAL_SUFFIX``, which :meth:`Storage.list`
  shows, so that a sweep can remove the debris of a killed writer.
* Errors are those of the catalogue. ``error.retry`` is true where the same call may succeed later and has done no
  harm: every operation may be repeated after such an error, and a repeated ``put`` of the same bytes succeeds.
* ``StorageNotFound`` and ``StorageExists`` are answers, never retried.
* Names are compared as the server does; callers use names that differ in more than case.
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from typing import Callable, Iterable, Iterator, List, NamedTuple, Optional

from ..entries import Entry, EntryKind, Space

PARTIAL_SUFFIX = ".partial"
READ_SIZE_BYTES = 1 << 20
PARALLEL_ROUND_TRIPS = 16
# Only the last directory is created, so that no image is written below a mistyped path or an unmounted file system.
NOTHING_ABOVE = "it does not exist and can't be created: its parent directory must exist"
# Its root was there when this run first looked: a server that restarted may have to mount it yet.
ROOT_GONE = "its directory existed before and is missing now; it may not be mounted yet"


class ServerKey(NamedTuple):
    """How a server proved who it is. ``is_new``: nothing here had said before that it is right."""

    fingerprint: str
    is_new: bool


# Called before each piece is sent, and right before what replaces a file is published: raises when it has become too
# late for that, as with a lease that has expired.
Deadline = Callable[[], None]


class Storage(ABC):
    """A place for images. Methods may be called from several threads at once."""

    description: str  # how messages name it; never holds a secret
    server_key: Optional[ServerKey] = None  # known once the server was connected to, where it has one
    parallel_calls = 1  # how many small calls at once are worth it; PARALLEL_ROUND_TRIPS where a call is a round trip

    @abstractmethod
    def put(
        self, path: str, data: Iterable[bytes], *, replace: bool = False, deadline: Optional[Deadline] = None
    ) -> int:
        """Publish ``data`` as the file ``path`` and return its size in bytes.

        The directory must exist. The file appears whole, under its name, or not at all, and is durable on return.
        ``deadline`` is called before each piece is sent; pieces are cut to at most ``READ_SIZE_BYTES``.

        :raises StorageExists: when ``path`` exists and ``replace`` is false (best effort against a racing writer).
        :raises StorageNotFound: when the directory does not exist.
        :raises StorageFull: when there is no room.
        """

    @abstractmethod
    def read(self, path: str, offset_bytes: int = 0, length_bytes: Optional[int] = None) -> Iterator[bytes]:
        """Yield the bytes of ``path`` from ``offset_bytes``, at most ``length_bytes``, in pieces of at most 1 MiB.

        Ends early, without an error, at the end of the file: the caller checks how much came.

        :raises StorageNotFound: when there is no such file (raised at the first piece at the latest).
        """

    @abstractmethod
    def list(self, path: str) -> List[Entry]:
        """Return the entries of the directory ``path`` ("" is the root), unsorted.

        :raises StorageNotFound: when there is no such directory.
        """

    def list_some(self, path: str, wanted: Callable[[str], bool], most: Optional[int] = None) -> List[Entry]:
        """Return the entries of :meth:`list` whose names are ``wanted``, at most ``most``.

        A storage that can reads the others away: a million names that an attacker made take no memory then.

        :raises StorageNotFound: when there is no such directory.
        """
        return [entry for entry in self.list(path) if wanted(entry.name)][:most]

    @abstractmethod
    def stat(self, path: str) -> Entry:
        """Return the entry ``path``.

        :raises StorageNotFound: when there is none.
        """

    @abstractmethod
    def rename(self, source: str, destination: str) -> None:
        """Move a file or directory to a name that is free; atomic and durable.

        :raises StorageNotFound: when ``source`` or the destination's directory does not exist.
        :raises StorageExists: when ``destination`` exists (best effort against a racing writer).
        """

    @abstractmethod
    def delete(self, path: str) -> None:
        """Delete the file ``path``.

        :raises StorageNotFound: when there is none.
        """

    @abstractmethod
    def make_directory(self, path: str, *, exclusive: bool = False) -> None:
        """Create the directory ``path`` and those above it; no error when it is there.

        ``exclusive`` creates just this one, for one caller only: of several that try, on any host, one succeeds.

        :raises StorageExists: when ``exclusive`` and something has this name.
        :raises StorageFileInTheWay: when not ``exclusive`` and a file has this name, or one above it.
        :raises StorageNotFound: when ``exclusive`` and the directory above is missing.
        """

    @abstractmethod
    def remove_directory(self, path: str) -> None:
        """Remove the directory ``path``, which must be empty.

        :raises StorageNotFound: when there is none.
        :raises StorageFailed: when it is not empty.
        """

    @abstractmethod
    def space(self) -> Optional[Space]:
        """Return total and free bytes, or None where the server does not tell."""

    @property
    def once(self) -> Storage:
        """The same storage, which tries each call just once: for what must not come late, by a repetition after an outage."""
        return self

    def modified_seconds(self, path: str) -> Optional[float]:
        """Return when ``path`` was written to, in seconds since 1970 by the server's clock; or None if it does not tell.

        :raises StorageNotFound: when there is nothing.
        """

    def forget_cache(self, path: str) -> None:
        """Make the next read of ``path`` come from the medium where that can be asked for (read-back after write)."""

    def look_anew(self, path: str) -> None:
        """Make the next read of ``path`` independent of those before: past the cache, and over a separate connection where
        a connection may have been what was wrong. For a second look at what seems damaged, not for each file.
        """
        self.forget_cache(path)

    @abstractmethod
    def close(self) -> None:
        """Release connections. The storage can't be used afterwards."""

    # -- what follows is the same for every storage -------------------------------------------------------------------

    def get(self, path: str, offset_bytes: int = 0, length_bytes: Optional[int] = None) -> bytes:
        """Return what :meth:`read` yields, joined: for ranges whose length the caller has bounded."""
        pieces = self.read(path, offset_bytes, length_bytes)
        first = next(pieces, b"")
        second = next(pieces, None)
        if second is None:
            return first
        joined = (
            io.BytesIO()
        )  # takes the pieces as they come and gives its bytes away uncopied: large ranges are held once
        joined.write(first)
        joined.write(second)
        for piece in pieces:
            joined.write(piece)
        return joined.getvalue()

    def exists(self, path: str) -> bool:
        from ..errors import StorageNotFound

        try:
            self.stat(path)
        except StorageNotFound:
            return False
        return True

    def __enter__(self) -> Storage:
        return self

    def __exit__(self, *dummy: object) -> None:
        self.close()


def check_is_file_or_absent(storage: Storage, path: str) -> None:
    """:raises StorageNameTaken: when a folder, a link or a pipe has the name of a file: to a reader that is none."""
    from ..errors import StorageNameTaken, StorageNotFound

    try:
        kind = storage.stat(path).kind
    except StorageNotFound:
        return
    if kind is not EntryKind.FILE:
        raise StorageNameTaken(storage=storage.description, path=path)
