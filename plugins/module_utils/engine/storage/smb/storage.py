# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A storage on a Windows share: SMB 2 and 3, signed always, encrypted where the server can."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from typing import Any, Callable, Iterable, Iterator, List, Mapping, NoReturn, Optional, Tuple

from ...entries import Entry, EntryKind, Space
from ...errors import (
    StorageDirectoryMissing,
    StorageError,
    StorageExists,
    StorageFailed,
    StorageFileInTheWay,
    StorageNotFound,
    StorageUnreachable,
    StorageUrlInvalid,
)
from ...names import check_path
from ...smb import link as link_of
from ...smb.errors import (
    ABSENT,
    ACCESS_DENIED,
    FILE_IS_A_DIRECTORY,
    FULL,
    NAME_COLLISION,
    NOT_A_DIRECTORY,
    PATH_NOT_FOUND,
    QUOTA_EXCEEDED,
    SHARING_VIOLATION,
    LinkLost,
    Refused,
    SmbError,
)
from ...smb.link import Handle, Opening, SmbLink
from ...smb.login import SmbConnector, SmbPeer
from ...smb.unc import parse_unc
from ..anew import ReadAnew
from ..contract import PARALLEL_ROUND_TRIPS, PARTIAL_SUFFIX, ROOT_GONE, Deadline, Storage
from ..turns import Turns
from .errors import storage_error
from .transfer import pull, push

_TIMEOUT_SECONDS = 60.0
# A reader that has the old file open makes Windows refuse to replace it [MS-FSA 2.1.5.15.11]; readers of leases are quick.
_REPLACE_TRIES = 10
_REPLACE_WAIT_SECONDS = 0.1
_ROOM_BYTES = 64 << 20  # more than is on its way at once


class SmbStorage(Storage):
    """The contract over ``\\\\server\\share\\path``. Connects with the first call, and again after a lost link.

    Settings: ``url``, ``username`` (``domain\\user``, ``computer\\user`` or ``user@domain``), ``password`` (without one
    Kerberos is tried), ``port`` (445), ``require_encryption`` (refuses a server that can't), ``timeout_seconds`` for
    which a server may be silent (60).
    """

    parallel_calls = PARALLEL_ROUND_TRIPS

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.description = str(settings.get("url") or "")
        self._peer = SmbPeer(self.description, "", "", "")
        with self._errors("opening", self.description):
            self._connector = SmbConnector(
                parse_unc(self.description), settings, float(settings.get("timeout_seconds") or _TIMEOUT_SECONDS)
            )
        self._peer = self._connector.peer
        self.description = self._peer.address
        self._lock = threading.Lock()
        self._turns = Turns(self._lock)
        self._link: Optional[SmbLink] = None
        self._had_root = False
        self._anew = ReadAnew()
        self._debris: List[str] = []
        self._closed = False

    def _connected(self) -> SmbLink:
        with self._turns.take():
            if self._closed:
                raise StorageFailed(storage=self.description, operation="use", path="it", reason="it is closed")
            if self._link is None or self._link.dead:
                self._link = None
                link = self._new_link()
                try:
                    self._look_for_root(link)
                except BaseException:
                    link.kill()
                    raise
                self._link = link
            return self._link

    def _new_link(self) -> SmbLink:
        with self._errors("opening", ""):
            return self._connector.connect()

    def _look_for_root(self, link: SmbLink) -> None:
        """:raises StorageDirectoryMissing: when the root is not there; one that was there before may come back."""
        with self._errors("opening", ""):
            try:
                is_there = not link.root or self._is_there(link, link.root, link_of.ONLY_DIRECTORY)
            except Refused as refused:
                if refused.status != NOT_A_DIRECTORY:
                    raise
                raise StorageUrlInvalid(url=self.description, reason="it is not a directory") from None
        if not is_there and self._had_root:
            raise StorageUnreachable(storage=self.description, reason=ROOT_GONE)
        if not is_there:
            raise StorageDirectoryMissing(storage=self.description)
        self._had_root = True

    @contextlib.contextmanager
    def _errors(self, operation: str, path: str) -> Iterator[None]:
        try:
            yield
        except SmbError as error:
            raise storage_error(error, self._peer, operation, path) from error

    @contextlib.contextmanager
    def _opened(
        self, path: str, access: int, disposition: int = link_of.OPEN, options: int = 0
    ) -> Iterator[Tuple[SmbLink, Handle]]:
        """Open for the length of a block. A file that closing deletes must also have been closed without an error."""
        link = self._connected()
        handle = link.open(self._local(path), access, disposition, options)
        try:
            yield link, handle
        except BaseException:
            link.close_quietly(handle)
            raise
        if access & link_of.DELETE:
            link.close(handle)
        else:
            link.let_go(handle)

    def _local(self, path: str, link: Optional[SmbLink] = None) -> str:
        inside = check_path(path).replace("/", "\\")
        return "\\".join(part for part in ((link or self._connected()).root, inside) if part)

    def put(
        self, path: str, data: Iterable[bytes], *, replace: bool = False, deadline: Optional[Deadline] = None
    ) -> int:
        target = self._local(path)
        with self._errors("writing", path):
            link = self._connected()
            self._sweep(link)
            temporary = "%s.%s%s" % (target, secrets.token_hex(4), PARTIAL_SUFFIX)
            is_there, handle = self._looked_and_made(link, target, temporary, replace)
            is_published = False
            try:
                if is_there:
                    raise StorageExists(path=path, storage=self.description)
                size_bytes = self._push(link, handle, data, deadline)
                link.flush(handle)
                if replace and deadline is not None:
                    deadline()
                self._publish(link, handle, target, replace)
                is_published = True
                link.flush(handle)  # the name too
            except BaseException:
                if is_published:
                    link.close_quietly(handle)  # the handle is now that of the file itself
                else:
                    self._drop(link, handle, temporary)
                raise
            link.let_go(handle)
        return size_bytes

    def _looked_and_made(self, link: SmbLink, target: str, temporary: str, replace: bool) -> Tuple[bool, Handle]:
        """Return whether the target is there already (which ``replace`` does not ask), and the new file; in one round trip."""
        access = link_of.WRITE | link_of.DELETE
        try:
            looking = None if replace else link.send_open(target, 0)
            creating = link.send_open(temporary, access, link_of.CREATE, link_of.ONLY_FILE)
            try:
                is_there = looking is not None and self._was_there(link, looking)
            except Refused:
                self._drop(link, link.opened(creating), temporary)
                raise
            return is_there, link.opened(creating)
        except LinkLost:
            with self._lock:
                self._debris.append(temporary)
            raise

    @staticmethod
    def _push(link: SmbLink, handle: Handle, data: Iterable[bytes], deadline: Optional[Deadline]) -> int:
        try:
            return push(link, handle, data, deadline)
        except Refused as refused:
            # Windows and Samba call both full: a disk without room, and a quota that is used up.
            if refused.status in FULL and link.unused_bytes(handle) > _ROOM_BYTES:
                raise Refused(QUOTA_EXCEEDED) from None
            raise

    @classmethod
    def _is_there(cls, link: SmbLink, target: str, options: int = 0) -> bool:
        return cls._was_there(link, link.send_open(target, 0, link_of.OPEN, options))

    @staticmethod
    def _was_there(link: SmbLink, looking: Opening) -> bool:
        try:
            link.let_go(link.opened(looking))
        except Refused as refused:
            if refused.status in ABSENT:
                return False
            raise
        return True

    @staticmethod
    def _publish(link: SmbLink, handle: Handle, target: str, replace: bool) -> None:
        for tries_left in range(_REPLACE_TRIES if replace else 1, 0, -1):
            try:
                return link.rename(handle, target, replace)
            except Refused as refused:
                if refused.status not in (ACCESS_DENIED, SHARING_VIOLATION) or tries_left == 1:
                    raise
            time.sleep(_REPLACE_WAIT_SECONDS)
        return None

    def _drop(self, link: SmbLink, handle: Handle, temporary: str) -> None:
        """Leave no debris where the link still works; elsewhere the next put removes it, or a sweep by its suffix."""
        with contextlib.suppress(LinkLost, Refused):
            link.delete_on_close(handle)
        link.close_quietly(handle)
        if link.dead:
            with self._lock:
                self._debris.append(temporary)

    def _sweep(self, link: SmbLink) -> None:
        """Delete what this storage left when its link was lost; a missing name does no harm."""
        with self._lock:
            debris, self._debris = self._debris, []
        for number, temporary in enumerate(debris):
            try:
                link.close(link.open(temporary, link_of.DELETE, options=link_of.ONLY_FILE | link_of.DELETE_ON_CLOSE))
            except Refused:
                continue
            except LinkLost:
                with self._lock:
                    self._debris += debris[number:]
                raise

    def read(self, path: str, offset_bytes: int = 0, length_bytes: Optional[int] = None) -> Iterator[bytes]:
        with self._apart() if self._anew.take(path) else contextlib.nullcontext(self._connected()) as link:
            yield from self._read(link, path, offset_bytes, length_bytes)

    def look_anew(self, path: str) -> None:
        self._anew.note(path)

    @contextlib.contextmanager
    def _apart(self) -> Iterator[SmbLink]:
        """A connection for one read alone, for which no other call waits; the usual one where the server permits no other."""
        usual = self._connected()
        try:
            link = self._new_link()
        except StorageError:
            return (yield usual)
        try:
            yield link
        finally:
            link.log_off()

    def _read(self, link: SmbLink, path: str, offset_bytes: int, length_bytes: Optional[int]) -> Iterator[bytes]:
        with self._errors("reading", path):
            handle = self._open_file(link, path)
        pieces = pull(link, handle, offset_bytes, length_bytes)
        try:
            while True:
                with self._errors("reading", path):
                    piece = next(pieces, None)
                if piece is None:
                    return
                yield piece
        finally:
            with self._errors("reading", path):
                pieces.close()
                link.let_go(handle)

    def _open_file(self, link: SmbLink, path: str) -> Handle:
        try:
            handle = link.open(self._local(path, link), link_of.READ, link_of.OPEN, link_of.ONLY_FILE)
        except Refused as refused:
            if refused.status != FILE_IS_A_DIRECTORY:
                raise
            self._absent(path)
        if handle.kind is not EntryKind.FILE:
            link.close_quietly(handle)
            self._absent(path)
        return handle

    def _absent(self, path: str) -> NoReturn:
        raise StorageNotFound(path=path, storage=self.description)

    def list(self, path: str) -> List[Entry]:
        return self.list_some(path, lambda name: True)

    def list_some(self, path: str, wanted: Callable[[str], bool], most: Optional[int] = None) -> List[Entry]:
        with self._errors("listing", path):
            with self._opened(path, link_of.READ, options=link_of.ONLY_DIRECTORY) as (link, handle):
                if handle.kind is not EntryKind.DIRECTORY:
                    self._absent(path)
                return link.entries(handle, wanted, most)

    def stat(self, path: str) -> Entry:
        with self._errors("looking at", path), self._opened(path, 0) as (dummy, handle):
            return Entry(path.rsplit("/", 1)[-1], handle.kind, handle.size_bytes)

    def modified_seconds(self, path: str) -> Optional[float]:
        with self._errors("looking at", path), self._opened(path, 0) as (dummy, handle):
            return link_of.modified_seconds(handle)

    def rename(self, source: str, destination: str) -> None:
        old, new = self._local(source), self._local(destination)
        with self._errors("renaming", source):
            link = self._connected()
            link.settle()
            handle = link.open(old, link_of.WRITE | link_of.DELETE)
            try:
                self._rename(link, handle, new, destination)
                if handle.kind is EntryKind.FILE:
                    link.flush(handle)
            finally:
                link.let_go(handle)

    def _rename(self, link: SmbLink, handle: Handle, new: str, destination: str) -> None:
        try:
            link.rename(handle, new, False)
        except Refused as refused:
            if refused.status in (NAME_COLLISION, PATH_NOT_FOUND, NOT_A_DIRECTORY):
                raise storage_error(refused, self._peer, "renaming", destination) from refused
            raise

    def delete(self, path: str) -> None:
        options = link_of.ONLY_FILE | link_of.DELETE_ON_CLOSE
        with self._errors("deleting", path), self._opened(path, link_of.DELETE, options=options):
            return

    def make_directory(self, path: str, *, exclusive: bool = False) -> None:
        target = self._local(path)
        with self._errors("making the directory", path):
            link = self._connected()
            try:
                if exclusive:
                    link.let_go(link.open(target, 0, link_of.CREATE, link_of.ONLY_DIRECTORY))
                elif target:
                    _make_tree(link, target)
            except Refused as refused:
                if refused.status != NOT_A_DIRECTORY:
                    raise
                raise StorageFileInTheWay(path=path, storage=self.description) from None

    def remove_directory(self, path: str) -> None:
        options = link_of.ONLY_DIRECTORY
        with self._errors("removing the directory", path):
            with self._opened(path, link_of.DELETE, options=options) as (link, handle):
                link.settle()
                link.delete_on_close(handle)

    def space(self) -> Optional[Space]:
        with self._errors("asking for the space", ""):
            link = self._connected()
            handle = link.open(link.root, link_of.READ)
            try:
                return link.space(handle)
            finally:
                link.let_go(handle)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            link, self._link = self._link, None
        if link is not None:
            link.log_off()


def _make_tree(link: SmbLink, target: str) -> None:
    """Open or make a directory; those above it only where they are missing."""
    try:
        link.let_go(link.open(target, 0, link_of.OPEN_OR_CREATE, link_of.ONLY_DIRECTORY))
    except Refused as refused:
        above = target.rpartition("\\")[0]
        if refused.status != PATH_NOT_FOUND or not above:
            raise
        _make_tree(link, above)
        link.let_go(link.open(target, 0, link_of.OPEN_OR_CREATE, link_of.ONLY_DIRECTORY))
