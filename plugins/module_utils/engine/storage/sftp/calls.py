# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls over one SFTP session whose failures are errors of the catalogue."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Iterator, List, NoReturn, Optional, Tuple

from ...entries import Space
from ...errors import StorageError, StorageUnreachable
from . import packets as wire
from .errors import ServerSpace, from_status
from .packets import Attributes, PacketInvalid, Reply
from .session import SessionLost, SftpSession

_READ_ONLY = 1  # SSH_FXE_STATVFS_ST_RDONLY
_FILE_MODE, _DIRECTORY_MODE = 0o600, 0o700
# Of an account that may only create: not even the owner may write to a file again; the group is the operator's.
_KEPT_FILE_MODE, _KEPT_DIRECTORY_MODE = 0o460, 0o770


class SftpCalls:
    """The calls of a storage to its server. A lost session raises ``StorageUnreachable``."""

    def __init__(self, session: SftpSession, storage: str, root: str) -> None:
        self.session = session
        self._storage = storage
        self._root = root

    @property
    def only_creates(self) -> bool:
        """Whether the server lets this account create only (docs/security.md): OpenSSH offers what it
        permits, and every version with hard links has the rename that replaces as well."""
        offered = self.session.extensions
        return "hardlink@openssh.com" in offered and "posix-rename@openssh.com" not in offered

    @property
    def file_mode(self) -> int:
        return _KEPT_FILE_MODE if self.only_creates else _FILE_MODE

    @property
    def directory_mode(self) -> int:
        return _KEPT_DIRECTORY_MODE if self.only_creates else _DIRECTORY_MODE

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """Turn what a session raises into the catalogue's errors."""
        try:
            yield
        except (SessionLost, PacketInvalid) as error:
            self.lost(error)

    def lost(self, error: Exception) -> NoReturn:
        if isinstance(error, PacketInvalid):
            self.session.lose(str(error))
        raise StorageUnreachable(storage=self._storage, reason=str(error)) from None

    def call(self, kind: int, *parts: bytes) -> Reply:
        try:
            return self.session.call(kind, *parts)
        except SessionLost as error:
            self.lost(error)

    def both(self, first: Tuple[int, bytes], second: Tuple[int, bytes]) -> Tuple[Reply, Reply]:
        """Make two calls, the second without waiting for the first; servers work off what they are asked in order."""
        with self.guard():
            requests = [self.session.request(*call) for call in (first, second)]
            return self.session.wait(requests[0]), self.session.wait(requests[1])

    def parsed(self, parse: Callable[[], Any]) -> Any:
        try:
            return parse()
        except PacketInvalid as error:
            self.lost(error)

    def forget(self, kind: int, *parts: bytes) -> None:
        """Send a request whose answer changes nothing."""
        try:
            self.session.abandon([self.session.request(kind, *parts)])
        except SessionLost:
            return

    def status(self, reply: Reply) -> Tuple[int, str]:
        if reply.kind != wire.STATUS:
            self.lost(PacketInvalid("its response does not match the request"))
        start = reply.mark()
        status: Tuple[int, str] = self.parsed(reply.status)
        reply.back(start)
        return status

    def done(self, reply: Reply, operation: str, path: str) -> None:
        """:raises StorageError: what the status of ``reply`` means, if it is not success."""
        code, text = self.status(reply)
        if code != wire.OK:
            raise self.error(operation, path, code, text)

    def taken(self, reply: Reply, path: str) -> None:
        """:raises StorageError: what the answer to a write means, or to what ends one, if it is not success."""
        code, text = self.status(reply)
        if code != wire.OK:
            raise self.error("writing", path, code, text, is_of_bytes=True)

    def error(self, operation: str, path: str, code: int, text: str, is_of_bytes: bool = False) -> StorageError:
        def space() -> Optional[ServerSpace]:
            try:
                return self.space()
            except (SessionLost, PacketInvalid):
                return None

        return from_status(self._storage, operation, path, code, text, space, is_of_bytes)

    def space(self) -> Optional[ServerSpace]:
        """OpenSSH's PROTOCOL, section 4.4: eleven numbers of 64 bits."""
        if "statvfs@openssh.com" not in self.session.extensions:
            return None
        for place in (self._root, above(self._root)):  # the root may still have to be made
            reply = self.session.call(wire.EXTENDED, wire.string(b"statvfs@openssh.com") + remote_name(place))
            if reply.kind == wire.EXTENDED_REPLY:
                break
        else:
            return None
        numbers = [reply.long() for dummy in range(11)]
        block_bytes = numbers[1] or numbers[0]
        return ServerSpace(Space(numbers[2] * block_bytes, numbers[4] * block_bytes), bool(numbers[9] & _READ_ONLY))

    def open(self, operation: str, path: str, remote: str, flags: int, attributes: bytes) -> bytes:
        reply = self.call(wire.OPEN, remote_name(remote) + wire.number(flags) + attributes)
        return self.handle(reply, operation, path)

    def handle(self, reply: Reply, operation: str, path: str) -> bytes:
        if reply.kind != wire.HANDLE:
            self.done(reply, operation, path)
            self.lost(PacketInvalid("it opened no file"))
        handle: bytes = self.parsed(reply.string)
        if len(handle) > wire.MAX_HANDLE_BYTES:
            self.lost(PacketInvalid("its handle is too long"))
        return handle

    def look(self, remotes: List[str]) -> List[Optional[Attributes]]:
        """Return what each name is itself (links not followed), None where there is nothing: in one round trip."""
        with self.guard():
            requests = [self.session.request(wire.LSTAT, remote_name(remote)) for remote in remotes]
            replies = [self.session.wait(request) for request in requests]
        return self._found(remotes, replies)

    def look_and_open_directory(self, remotes: List[str]) -> Tuple[List[Optional[Attributes]], Reply]:
        """The same, and the answer to OPENDIR of the last name, in the same round trip. Opening a directory changes nothing,
        does not wait for others, and fails for all else."""
        with self.guard():
            requests = [self.session.request(wire.LSTAT, remote_name(remote)) for remote in remotes]
            opening = self.session.request(wire.OPENDIR, remote_name(remotes[-1]))
            replies = [self.session.wait(request) for request in requests]
            opened = self.session.wait(opening)
        try:
            return self._found(remotes, replies), opened
        except StorageError:
            self.close_opened(opened)
            raise

    def close_opened(self, reply: Reply) -> None:
        """Close a handle that is not needed."""
        if reply.kind == wire.HANDLE:
            self.forget(wire.CLOSE, wire.string(self.handle(reply, "opening", "")))

    def _found(self, remotes: List[str], replies: List[Reply]) -> List[Optional[Attributes]]:
        found: List[Optional[Attributes]] = []
        for remote, reply in zip(remotes, replies):
            if reply.kind == wire.ATTRS:
                found.append(self.parsed(reply.attributes))
            elif self.status(reply)[0] in (wire.NO_SUCH_FILE, wire.NO_SUCH_PATH):
                found.append(None)
            else:
                code, text = self.status(reply)
                # OpenSSH says "Failure" of a name below a file (ENOTDIR).
                above = found[-1] if found else None
                if code != wire.FAILURE or above is None or above.is_directory:
                    raise self.error("looking at", remote, code, text)
                found.append(None)
        return found

    def has(self, remote: str) -> bool:
        return self.look([remote])[0] is not None


def above(root: str) -> str:
    """The directory that holds the root; a relative one is relative to the home directory."""
    return root.rpartition("/")[0] or ("/" if root.startswith("/") else ".")


def remote_name(remote: str) -> bytes:
    return wire.string(remote.encode("utf-8"))
