# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A storage in a directory of an SFTP server; any server that speaks version 3, extensions only where offered."""

from __future__ import annotations

import secrets
import threading
import time
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, NoReturn, Optional, Tuple

from ...entries import Entry, Space
from ...errors import (
    StorageDirectoryMissing,
    StorageError,
    StorageExists,
    StorageFailed,
    StorageFileInTheWay,
    StorageNotFound,
    StoragePermissionDenied,
    StorageUnreachable,
    StorageUrlInvalid,
)
from ...names import check_path
from ..anew import ReadAnew
from ..contract import PARALLEL_ROUND_TRIPS, PARTIAL_SUFFIX, ROOT_GONE, Deadline, Storage
from ..turns import Turns
from . import packets as wire
from .address import describe, parse_url
from .calls import SftpCalls, remote_name
from .channels import Channels
from .connect import SftpConnector
from .listing import entry_of, listed_entries
from .packets import Attributes, PacketInvalid, Reply
from .reading import read_opened
from .session import SessionLost
from .transfer import send

TIMEOUT_SECONDS = 60.0
_LOOKS = 3
_LOOK_AGAIN_SECONDS = 0.02
_RENAME_AGAIN_SECONDS = (0.1, 0.4, 1.5, 4.0, 8.0, 16.0)


class SftpStorage(Storage):
    """The contract over SFTP. Links below the root are never followed.

    Connects with the first call, and again with the first call after the connection was lost: a call that meets a lost
    connection raises ``StorageUnreachable`` and may be repeated. Durable means what the server can do:
    ``fsync@openssh.com`` where it is offered, else what its close does; SFTP has no way to sync a directory.
    """

    parallel_calls = PARALLEL_ROUND_TRIPS

    def __init__(
        self,
        settings: Mapping[str, Any],
        warn: Callable[[str], None] = lambda sentence: None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        address = parse_url(str(settings.get("url") or ""))
        self.description, self._root = describe(address)
        self._connector = SftpConnector(address, settings, warn, timeout_seconds)
        self._lock = threading.Lock()
        self._turns = Turns(self._lock)
        self._current: Optional[SftpCalls] = None
        self._channels = Channels(self._connector, self.description, self._root)
        self._debris: List[str] = []
        self._only_copies: Dict[str, str] = {}  # by the name that each was to get
        self._had_root = False
        self._is_closed = False
        self._anew = ReadAnew()

    # -- files --------------------------------------------------------------------------------------------------------

    def put(
        self, path: str, data: Iterable[bytes], *, replace: bool = False, deadline: Optional[Deadline] = None
    ) -> int:
        with self._channels.busy(self._calls()) as calls:
            return self._put(calls, path, data, replace, deadline)

    def _put(
        self, calls: SftpCalls, path: str, data: Iterable[bytes], replace: bool, deadline: Optional[Deadline]
    ) -> int:
        target = self._remote(path)
        there = self._walk(calls, path)
        if there is not None and (not replace or there.is_directory):
            raise StorageExists(path=path, storage=self.description)
        self._sweep(calls)
        temporary = "%s.%s%s" % (target, secrets.token_hex(4), PARTIAL_SUFFIX)
        try:
            size_bytes = self._write(calls, path, temporary, data, deadline)
            if replace and deadline is not None:
                deadline()
            self._publish(calls, path, temporary, target, replace)
        except BaseException:
            self._drop(calls, temporary)
            raise
        with self._lock:
            if target in self._only_copies:
                self._debris.append(self._only_copies.pop(target))
        return size_bytes

    def _write(
        self, calls: SftpCalls, path: str, temporary: str, data: Iterable[bytes], deadline: Optional[Deadline]
    ) -> int:
        flags = wire.OPEN_WRITE | wire.OPEN_CREATE | wire.OPEN_EXCLUSIVE
        handle = wire.string(calls.open("writing", path, temporary, flags, wire.mode_only(calls.file_mode)))
        fsync = wire.string(b"fsync@openssh.com") + handle if "fsync@openssh.com" in calls.session.extensions else b""
        is_closed = False

        def finish() -> List[int]:
            """An OpenSSH works off what it is asked about a file in order, so that nothing waits for the last bytes twice.
            Others may offer the same and write with several threads: they are asked when they have taken everything."""
            nonlocal is_closed
            if not calls.session.is_openssh or not fsync:
                return []
            is_closed = True
            return [calls.session.request(wire.EXTENDED, fsync), calls.session.request(wire.CLOSE, handle)]

        try:
            with calls.guard():
                check = partial(calls.taken, path=path)
                size_bytes = send(calls.session, handle, data, deadline, check, finish)
        except BaseException:
            if not is_closed:
                calls.forget(wire.CLOSE, handle)
            raise
        if not is_closed:
            if fsync:
                calls.taken(calls.call(wire.EXTENDED, fsync), path)
            # A server over NFS or a quota may say only now that what it took has found no room.
            calls.taken(calls.call(wire.CLOSE, handle), path)
        return size_bytes

    def _publish(self, calls: SftpCalls, path: str, temporary: str, target: str, replace: bool) -> None:
        names = remote_name(temporary) + remote_name(target)
        if replace and "posix-rename@openssh.com" in calls.session.extensions:
            rename = wire.string(b"posix-rename@openssh.com") + names
            calls.done(calls.call(wire.EXTENDED, rename), "writing", path)
            return
        if calls.only_creates and self._publish_by_link(calls, names, temporary):
            return
        # The plain rename does not replace (draft, section 6.5); OpenSSH links and unlinks, so that no rival is lost.
        reply = calls.call(wire.RENAME, names)
        if reply.kind == wire.STATUS and calls.status(reply)[0] != wire.OK and calls.has(target):
            if not replace:
                raise StorageExists(path=path, storage=self.description)
            reply = self._replace(calls, path, temporary, target)
        if calls.status(reply)[0] != wire.OK:
            self._refuse_name(calls, path, target, reply)

    def _replace(self, calls: SftpCalls, path: str, temporary: str, target: str) -> Reply:
        """Version 3 has no rename that replaces. Between the two the name is free, so both are sent at once and a reader
        looks more than once; the new bytes are complete and durable already, and from here on the only ones."""
        names = remote_name(temporary) + remote_name(target)
        with self._lock:
            self._only_copies[target] = temporary
        removed, reply = calls.both((wire.REMOVE, remote_name(target)), (wire.RENAME, names))
        if calls.status(reply)[0] != wire.OK:
            if calls.status(removed)[0] != wire.OK:
                with self._lock:
                    self._only_copies.pop(target, None)
                calls.done(removed, "replacing", path)
            reply = self._rename_again(calls, names)
        if calls.status(reply)[0] == wire.OK:
            with self._lock:
                self._only_copies.pop(target, None)
        return reply

    def _refuse_name(self, calls: SftpCalls, path: str, target: str, reply: Reply) -> NoReturn:
        """Say why a new file did not get its name, and where its bytes are if the old one was deleted."""
        code, text = calls.status(reply)
        only_copy = self._only_copies.get(target)
        if only_copy is None:
            raise calls.error("writing", path, code, text)
        says = 'the server says "%s" (status %d); the old file was deleted, the new one is stored beside it as %s'
        reason = says % (text or "nothing", code, only_copy.rpartition("/")[2])
        raise StorageFailed(operation="replacing", path=path, storage=self.description, reason=reason)

    @staticmethod
    def _rename_again(calls: SftpCalls, names: bytes) -> Reply:
        """The old file was deleted: a moment's refusal (a scanner that looks at the new one) must not take this one, too."""
        for seconds in _RENAME_AGAIN_SECONDS:
            time.sleep(seconds)
            reply = calls.call(wire.RENAME, names)
            if calls.status(reply)[0] == wire.OK:
                break
        return reply

    @staticmethod
    def _publish_by_link(calls: SftpCalls, names: bytes, temporary: str) -> bool:
        """A second name is the one way to publish that can neither replace nor take away. Where the first may not be
        removed it stays, as a name of the same bytes, until the operator's rollover finds it by its suffix."""
        reply = calls.call(wire.EXTENDED, wire.string(b"hardlink@openssh.com") + names)
        if calls.status(reply)[0] != wire.OK:
            return False  # the name is taken, or the file system has no links: the rename says which
        calls.forget(wire.REMOVE, remote_name(temporary))
        return True

    def read(self, path: str, offset_bytes: int = 0, length_bytes: Optional[int] = None) -> Iterator[bytes]:
        with self._apart() if self._anew.take(path) else nullcontext(self._calls()) as calls:
            yield from self._read(calls, path, offset_bytes, length_bytes)

    def look_anew(self, path: str) -> None:
        self._anew.note(path)

    def _read(self, calls: SftpCalls, path: str, offset_bytes: int, length_bytes: Optional[int]) -> Iterator[bytes]:
        there, handle = self._open_to_read(calls, path)
        try:
            if length_bytes is not None and length_bytes <= 0:
                return
            yield from read_opened(calls, self.description, path, there, handle, offset_bytes, length_bytes)
        except (SessionLost, PacketInvalid) as error:
            calls.lost(error)
        finally:
            calls.forget(wire.CLOSE, wire.string(handle))

    def _open_to_read(self, calls: SftpCalls, path: str) -> Tuple[Attributes, bytes]:
        """Look again at what is not there, where a writer that replaces it must remove it first."""
        target = self._remote(path)
        looks_left = 1 if "posix-rename@openssh.com" in calls.session.extensions else _LOOKS
        while True:
            looks_left -= 1
            try:
                there = self._walk(calls, path)
                # Opening anything but a file (a FIFO) could hold the server, and a link could lead anywhere.
                if there is None or not (there.is_file or there.mode is None):
                    raise StorageNotFound(path=path, storage=self.description)
                return there, calls.open("reading", path, target, wire.OPEN_READ, wire.number(0))
            except StorageNotFound:
                if not looks_left:
                    raise
            time.sleep(_LOOK_AGAIN_SECONDS)

    def delete(self, path: str) -> None:
        calls = self._calls()
        there = self._walk(calls, path)
        if there is None:
            raise StorageNotFound(path=path, storage=self.description)
        calls.done(calls.call(wire.REMOVE, remote_name(self._remote(path))), "deleting", path)

    def rename(self, source: str, destination: str) -> None:
        old, new = self._remote(source), self._remote(destination)
        calls = self._calls()
        if self._walk(calls, destination) is not None:
            raise StorageExists(path=destination, storage=self.description)
        if self._walk(calls, source) is None:
            raise StorageNotFound(path=source, storage=self.description)
        reply = calls.call(wire.RENAME, remote_name(old) + remote_name(new))
        code = calls.status(reply)[0]
        if code != wire.OK and code not in (wire.NO_SUCH_FILE, wire.PERMISSION_DENIED) and calls.has(new):
            raise StorageExists(path=destination, storage=self.description)
        calls.done(reply, "renaming", source)

    # -- directories --------------------------------------------------------------------------------------------------

    def list(self, path: str) -> List[Entry]:
        return self.list_some(path, lambda name: True)

    def list_some(self, path: str, wanted: Callable[[str], bool], most: Optional[int] = None) -> List[Entry]:
        calls = self._calls()
        there, reply = calls.look_and_open_directory([*self._ways(path), self._remote(path)])
        try:
            listed = self._check_way(path, there) if path else Attributes(None, 0o040000)
            if listed is None or not listed.is_directory:
                raise StorageNotFound(path=path, storage=self.description)
        except StorageError:
            calls.close_opened(reply)
            raise
        handle = calls.handle(reply, "listing", path)
        try:
            return listed_entries(calls, self.description, handle, path, wanted, most)
        except (SessionLost, PacketInvalid) as error:
            calls.lost(error)
        finally:
            calls.forget(wire.CLOSE, wire.string(handle))

    def stat(self, path: str) -> Entry:
        calls = self._calls()
        there = self._walk(calls, path) if path else Attributes(None, 0o040000)
        if there is None:
            raise StorageNotFound(path=path, storage=self.description)
        return entry_of(path.rsplit("/", 1)[-1], there)

    def modified_seconds(self, path: str) -> Optional[float]:
        there = self._walk(self._calls(), path)
        if there is None:
            raise StorageNotFound(path=path, storage=self.description)
        return there.modified_seconds

    def make_directory(self, path: str, *, exclusive: bool = False) -> None:
        self._remote(path)
        calls = self._calls()
        if exclusive:
            self._make_exclusive(calls, path)
            return
        names = path.split("/") if path else []
        there = calls.look([self._remote("/".join(names[: depth + 1])) for depth in range(len(names))])
        for depth in range(len(names)):
            here = "/".join(names[: depth + 1])
            found = there[depth]
            if found is None:
                self._make(calls, self._remote(here), here)
            elif found.is_link:
                self._refuse_link(names[depth], path)
            elif not found.is_directory:
                raise StorageFileInTheWay(path=here, storage=self.description)

    def _make_exclusive(self, calls: SftpCalls, path: str) -> None:
        there = self._walk(calls, path)
        if there is None:
            reply = calls.call(wire.MKDIR, remote_name(self._remote(path)) + wire.mode_only(calls.directory_mode))
            if calls.status(reply)[0] == wire.OK:
                return
            if not calls.has(self._remote(path)):
                calls.done(reply, "making", path)
        raise StorageExists(path=path, storage=self.description)

    def _make(self, calls: SftpCalls, remote: str, path: str) -> None:
        reply = calls.call(wire.MKDIR, remote_name(remote) + wire.mode_only(calls.directory_mode))
        if calls.status(reply)[0] != wire.OK:
            there = calls.look([remote])[0]
            if there is not None and there.is_directory:
                return  # another writer made it since
            calls.done(reply, "making", path)

    def remove_directory(self, path: str) -> None:
        calls = self._calls()
        there = self._walk(calls, path)
        if there is None:
            raise StorageNotFound(path=path, storage=self.description)
        calls.done(calls.call(wire.RMDIR, remote_name(self._remote(path))), "removing the directory", path)

    def space(self) -> Optional[Space]:
        calls = self._calls()
        try:
            there = calls.space()
        except (SessionLost, PacketInvalid) as error:
            calls.lost(error)
        return None if there is None else there.space

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            self._channels.close()
            if self._current is not None:
                self._current.session.close()

    # -- the session --------------------------------------------------------------------------------------------------

    def _calls(self) -> SftpCalls:
        with self._turns.take():
            if self._is_closed:
                raise StorageUnreachable(storage=self.description, reason="it was closed")
            if self._current is None or not self._current.session.is_alive:
                self._current = None
                calls = SftpCalls(self._connector.connect(), self.description, self._root)
                try:
                    self._find_root(calls)
                except BaseException:
                    calls.session.close()
                    raise
                self._current = calls
                self.server_key = self._connector.server_key
            return self._current

    @contextmanager
    def _apart(self) -> Iterator[SftpCalls]:
        """A connection for one read alone, for which no other call waits; the usual one where the server permits no other."""
        usual = self._calls()
        try:
            session = self._connector.connect_apart()
        except StorageError:
            return (yield usual)
        try:
            yield SftpCalls(session, self.description, self._root)
        finally:
            session.close()

    def _find_root(self, calls: SftpCalls) -> None:
        """The root must be there. It may be reached over links: it is the user's word, not the server's.

        :raises StorageDirectoryMissing: when it is not; one that was there before may come back.
        """
        reply = calls.call(wire.STAT, remote_name(self._root))
        if reply.kind == wire.ATTRS:
            if not calls.parsed(reply.attributes).is_directory:
                raise StorageUrlInvalid(url=self.description, reason="it is not a directory")
            self._had_root = True
            return
        if calls.status(reply)[0] not in (wire.NO_SUCH_FILE, wire.NO_SUCH_PATH):
            calls.done(reply, "opening", self._root)
        if self._had_root:
            raise StorageUnreachable(storage=self.description, reason=ROOT_GONE)
        raise StorageDirectoryMissing(storage=self.description)

    # -- names --------------------------------------------------------------------------------------------------------

    def _remote(self, path: str) -> str:
        check_path(path)
        return self._root if not path else "%s/%s" % (self._root.rstrip("/"), path)

    def _walk(self, calls: SftpCalls, path: str) -> Optional[Attributes]:
        """Return what ``path`` is, None where it is not there.

        :raises StorageNotFound: when its directory does not exist.
        :raises StoragePermissionDenied: when a directory above is a link.
        """
        check_path(path)
        return self._check_way(path, calls.look([*self._ways(path), self._remote(path)]))

    def _ways(self, path: str) -> List[str]:
        """The directories above ``path``, from the root down, on the server."""
        names = path.split("/")[:-1]
        return [self._remote("/".join(names[: depth + 1])) for depth in range(len(names))]

    def _check_way(self, path: str, there: List[Optional[Attributes]]) -> Optional[Attributes]:
        """The result of :meth:`_walk`, from the state of ``_ways`` and ``path``."""
        for name, found in zip(path.split("/")[:-1], there):
            if found is None or not (found.is_directory or found.is_link):
                raise StorageNotFound(path=path, storage=self.description)
            if found.is_link:
                self._refuse_link(name, path)
        return there[-1]

    def _refuse_link(self, name: str, path: str) -> NoReturn:
        raise StoragePermissionDenied(storage=self.description, operation="following the link %s" % name, path=path)

    def _drop(self, calls: SftpCalls, temporary: str) -> None:
        if temporary in self._only_copies.values():
            return  # the file to be replaced is deleted, or may be
        if calls.session.is_alive:
            calls.forget(wire.REMOVE, remote_name(temporary))
        else:
            with self._lock:
                self._debris.append(temporary)

    def _sweep(self, calls: SftpCalls) -> None:
        """Delete what this storage left when its connection was lost; a missing name does no harm."""
        with self._lock:
            debris, self._debris = self._debris, []
        for temporary in debris:
            calls.forget(wire.REMOVE, remote_name(temporary))
