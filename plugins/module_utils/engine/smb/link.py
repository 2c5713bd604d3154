# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One authenticated link to a share: the requests of SMB 2 and 3 that work with files needs [MS-SMB2 2.2]."""

from __future__ import annotations

import struct
import threading
import time
from collections import deque
from typing import Any, Callable, Deque, List, NamedTuple, Optional, Tuple

from .._libraries import smbprotocol
from ..entries import Entry, EntryKind, Space
from ..stall import Line
from .connection import AnswerUnprotected
from .errors import LINK_GONE, NO_MORE_FILES, NO_SUCH_FILE, Failure, LinkLost, Refused, SmbError, from_share

READ, WRITE, READ_ATTRIBUTES, DELETE, SYNCHRONIZE = 1, 2, 0x80, 0x10000, 0x100000
READ_SECURITY = 0x20000
OPEN, CREATE, OPEN_OR_CREATE, REPLACE_OR_CREATE = 1, 2, 3, 5
ONLY_DIRECTORY, ONLY_FILE, DELETE_ON_CLOSE = 1, 0x40, 0x1000
_THE_LINK_ITSELF = 0x200000
_SHARE_ALL = 7
_IMPERSONATION = 2
_IS_DIRECTORY, _IS_REPARSE_POINT = 0x10, 0x400
_FILE_INFORMATION, _FILE_SYSTEM_INFORMATION = 1, 2
_FULL_DIRECTORY, _RENAME, _DISPOSITION, _FULL_SIZE = 2, 10, 13, 7
_FLUSH_SECONDS = 180.0
_LOG_OFF_SECONDS = 5.0
_LISTING_BYTES = 1 << 16
_MAX_LET_GO = 16
_MAX_ENTRIES = 200000
_MAX_LISTING_SECONDS = 600.0
_MAX_NAME_BYTES = 510  # 255 units of UTF-16 [MS-FSCC 2.1.5]
_ENTRY_HEAD = struct.Struct("<II32xQQIII")  # FileFullDirectoryInformation [MS-FSCC 2.4.14]
_MAX_FILE_BYTES = (1 << 63) - 1
_MAX_DESCRIPTOR_BYTES = 1 << 16
_PIPE_TRANSCEIVE = 0x0011C017  # [MS-SMB2 2.2.31]
_PIPE_ACCESS = 0x0012019F  # generic reading and writing of a pipe [MS-SMB2 2.2.13.1.1]


class Handle(NamedTuple):
    """An open file or directory."""

    open: Any
    kind: EntryKind
    size_bytes: int


class Opening(NamedTuple):
    """A request to open something that was sent and not answered yet."""

    open: Any
    answer: Callable[[Any], Any]
    request: Any


class SmbLink:
    """Used by several threads at once. After :class:`LinkLost` it is ``dead``."""

    def __init__(self, connection: Any, session: Any, tree: Any, root: str) -> None:
        self.dead = False
        self.line = Line()
        self.root = root  # inside the share, of what its user calls paths
        self.max_read_bytes = int(connection.max_read_size)
        self.max_write_bytes = int(connection.max_write_size)
        if not connection.supports_multi_credit:
            self.max_read_bytes = min(self.max_read_bytes, 1 << 16)
            self.max_write_bytes = min(self.max_write_bytes, 1 << 16)
        self._connection = connection
        self._session = session
        self._tree = tree
        self._requests = smbprotocol("open")
        self._refusal = smbprotocol("exceptions").SMBResponseException
        self._let_go: Deque[Tuple[Callable[[Any], Any], Any]] = deque()
        self._closed = threading.Condition()
        self._closing = 0
        if min(self.max_read_bytes, self.max_write_bytes) < 4096:
            raise self.invalid("it allows only requests of less than 4096 bytes")

    @staticmethod
    def invalid(reason: str) -> SmbError:
        return SmbError(Failure.ANSWER_INVALID, reason)

    def _call(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        if self.dead:
            raise LinkLost("the link is closed")
        try:
            return function(*arguments, **named)
        except self._refusal as error:
            if error.status in LINK_GONE:
                self.kill()
                raise LinkLost("the session has ended (status 0x%08X)" % error.status) from None
            raise Refused(error.status) from None
        except AnswerUnprotected as error:
            self.kill()
            raise SmbError(Failure.UNPROTECTED, str(error)) from None
        except Exception as error:  # a hostile answer can make the library raise anything while it parses
            self.kill()
            raise LinkLost(str(error)[:200] or type(error).__name__) from error

    def kill(self) -> None:
        """Close the link without a word to the server."""
        self.dead = True
        self._connection.disconnect(False)

    def lose(self, reason: str) -> LinkLost:
        """Close the link and return the error to raise."""
        self.kill()
        return LinkLost(reason)

    def log_off(self) -> None:
        """Close the link politely, within a few seconds."""
        if not self.dead:
            self._connection.is_patient = False
            try:
                self._call(self._session.disconnect, False, timeout=_LOG_OFF_SECONDS)
            except SmbError:
                self.dead = True
        self.kill()

    def send(self, message: Any) -> Any:
        """Send a request and return it; :meth:`answer` waits for what comes back."""
        return self._call(self._connection.send, message, self._session.session_id, self._tree.tree_connect_id)

    def answer(self, request: Any, timeout_seconds: Optional[float] = None) -> bytes:
        """Return the body of the answer (what follows the 64-byte header)."""
        response = self._call(self._connection.receive, request, timeout=timeout_seconds)
        return bytes(response["data"].get_value())

    def open(self, path: str, access: int, disposition: int = OPEN, options: int = 0) -> Handle:
        """Open ``path`` (names joined by a backslash); a link is opened itself, never what it points at."""
        return self.opened(self.send_open(path, access, disposition, options))

    def send_open(self, path: str, access: int, disposition: int = OPEN, options: int = 0) -> Opening:
        """Ask for what :meth:`open` asks for; :meth:`opened` waits for the answer."""
        opened = self._requests.Open(self._tree, path)
        message, answer = self._call(
            opened.create,
            _IMPERSONATION,
            access | READ_ATTRIBUTES | SYNCHRONIZE,
            0,
            _SHARE_ALL,
            disposition,
            options | _THE_LINK_ITSELF,
            send=False,
        )
        return Opening(opened, answer, self.send(message))

    def opened(self, opening: Opening) -> Handle:
        self._call(opening.answer, opening.request)
        attributes, size_bytes = int(opening.open.file_attributes), int(opening.open.end_of_file)
        if size_bytes > _MAX_FILE_BYTES:
            raise self.invalid("a file of %d bytes" % size_bytes)
        kind = _kind(attributes)
        return Handle(opening.open, kind, size_bytes if kind is EntryKind.FILE else 0)

    def close(self, handle: Handle) -> None:
        self._call(handle.open.close)

    def close_quietly(self, handle: Handle) -> None:
        """Close what an error left open; a dead link has closed it already."""
        try:
            self.close(handle)
        except (LinkLost, Refused):
            return

    def let_go(self, handle: Handle) -> None:
        """Close what nothing depends on any more, without a round trip; :meth:`settle` waits for the answers."""
        try:
            message, answer = handle.open.close(send=False)
            request = self.send(message)
        except (LinkLost, Refused):
            return  # the server closes what a lost link had open
        with self._closed:
            self._let_go.append((answer, request))
        self._settle(_MAX_LET_GO)

    def settle(self) -> None:
        """Wait until everything let go is closed: a directory with open files in it can't be renamed or removed."""
        self._settle(0)
        with self._closed:
            self._closed.wait_for(lambda: not self._closing, _FLUSH_SECONDS)

    def _settle(self, most_left: int) -> None:
        while True:
            with self._closed:
                if len(self._let_go) <= most_left:
                    return
                answer, request = self._let_go.popleft()
                self._closing += 1
            try:
                self._call(answer, request)
            except (LinkLost, Refused):
                continue
            finally:
                with self._closed:
                    self._closing -= 1
                    self._closed.notify_all()

    def send_write(self, handle: Handle, data: bytes, offset_bytes: int) -> Any:
        message, dummy = handle.open.write(data, offset_bytes, send=False)
        return self.send(message)

    def written(self, request: Any) -> int:
        """Return how many bytes a write took [MS-SMB2 2.2.22]."""
        return int(self._unpack("<4xI", self.answer(request))[0])

    def send_read(self, handle: Handle, offset_bytes: int, length_bytes: int) -> Any:
        message, dummy = handle.open.read(offset_bytes, length_bytes, send=False)
        return self.send(message)

    def data(self, request: Any, asked_bytes: int) -> bytes:
        """Return the bytes of a read [MS-SMB2 2.2.20], at most what was asked for."""
        body = self.answer(request)
        start, length = self._unpack("<2xBxI", body)
        start -= 64
        if start < 16 or length > asked_bytes or start + length > len(body):
            raise self.invalid("a read of %d bytes returned %d" % (asked_bytes, length))
        return body[start : start + length]

    def flush(self, handle: Handle) -> None:
        message, dummy = handle.open.flush(send=False)
        self.answer(self.send(message), _FLUSH_SECONDS)

    def rename(self, handle: Handle, path: str, replace: bool) -> None:
        """Give an open file another name [MS-FSCC 2.4.37.2]."""
        name = path.encode("utf-16-le")
        self._set(handle, _RENAME, struct.pack("<?7xQI", replace, 0, len(name)) + name.ljust(4, b"\0"))

    def delete_on_close(self, handle: Handle) -> None:
        self._set(handle, _DISPOSITION, b"\1")

    def _set(self, handle: Handle, information: int, content: bytes) -> None:
        message = self._requests.SMB2SetInfoRequest()
        message["info_type"] = _FILE_INFORMATION
        message["file_info_class"] = information
        message["file_id"] = handle.open.file_id
        message["buffer"] = content
        self.answer(self.send(message))

    def beside(self, share: str) -> SmbLink:
        """Return a link to another share of the server over the same session; both end together. :raises SmbError:"""
        server = str(self._tree.share_name).lstrip("\\").partition("\\")[0]
        tree = smbprotocol("tree").TreeConnect(self._session, "\\\\%s\\%s" % (server, share))
        try:
            self._call(tree.connect)
        except Refused as refused:
            raise from_share(refused.status, share) from None
        return SmbLink(self._connection, self._session, tree, "")

    def create_folder(self, path: str, descriptor: bytes) -> Handle:
        """Create a folder whose access list is there from its first moment [MS-SMB2 2.2.13.2.2]."""
        opened = self._requests.Open(self._tree, path)
        context = smbprotocol("create_contexts").SMB2CreateContextRequest()
        context["buffer_name"] = b"SecD"
        context["buffer_data"] = descriptor
        access = READ_ATTRIBUTES | READ_SECURITY | SYNCHRONIZE
        options = ONLY_DIRECTORY | _THE_LINK_ITSELF
        self._call(opened.create, _IMPERSONATION, access, 0, _SHARE_ALL, CREATE, options, [context])
        return Handle(opened, EntryKind.DIRECTORY, 0)

    def security(self, handle: Handle) -> bytes:
        """Return owner and access list of what was opened with READ_SECURITY [MS-SMB2 2.2.37]."""
        message = self._requests.SMB2QueryInfoRequest()
        message["info_type"] = 3
        message["output_buffer_length"] = _MAX_DESCRIPTOR_BYTES
        message["additional_information"] = 1 | 4  # owner, access list
        message["file_id"] = handle.open.file_id
        return self._buffer(self.answer(self.send(message)))

    def open_pipe(self, name: str) -> Handle:
        """Open a named pipe of the server; this link must be one to its share for pipes [MS-SMB2 2.2.13]."""
        opened = self._requests.Open(self._tree, name)
        self._call(opened.create, _IMPERSONATION, _PIPE_ACCESS, 0, READ | WRITE, OPEN, ONLY_FILE)
        return Handle(opened, EntryKind.OTHER, 0)

    def transceive(self, handle: Handle, message: bytes, most_bytes: int) -> bytes:
        """Write a message to a pipe and return the next one from it [MS-SMB2 2.2.31, 2.2.32]."""
        request = smbprotocol("ioctl").SMB2IOCTLRequest()
        request["ctl_code"] = _PIPE_TRANSCEIVE
        request["file_id"] = handle.open.file_id
        request["max_output_response"] = most_bytes
        request["flags"] = 1  # a control code of a file system
        request["buffer"] = message
        body = self.answer(self.send(request))
        start, length = self._unpack("<32xII", body)
        start -= 64
        if start < 48 or length > most_bytes or start + length > len(body):
            raise self.invalid("a message of a pipe that exceeds its packet")
        return body[start : start + length]

    def space(self, handle: Handle) -> Space:
        """Return total and free bytes as the user may use them."""
        total, free, dummy = self._sizes(handle)
        return Space(total, free)

    def unused_bytes(self, handle: Handle) -> int:
        """Return the free space on the disk, independent of the user."""
        return self._sizes(handle)[2]

    def _sizes(self, handle: Handle) -> Tuple[int, int, int]:
        """Total, free to this user, free at all: in bytes [MS-FSCC 2.5.4, FileFsFullSizeInformation]."""
        message = self._requests.SMB2QueryInfoRequest()
        message["info_type"] = _FILE_SYSTEM_INFORMATION
        message["file_info_class"] = _FULL_SIZE
        message["output_buffer_length"] = 32
        message["file_id"] = handle.open.file_id
        content = self._buffer(self.answer(self.send(message)))
        total, free, unused, sectors, sector_bytes = self._unpack("<QQQII", content)
        unit_bytes = sectors * sector_bytes
        return total * unit_bytes, free * unit_bytes, unused * unit_bytes

    def entries(
        self, handle: Handle, wanted: Callable[[str], bool] = lambda name: True, most: Optional[int] = None
    ) -> List[Entry]:
        """Return what an open directory holds of ``wanted`` names, at most ``most``; the others take no memory.

        :raises SmbError: when the listing has no end or holds names that lead elsewhere.
        """
        entries: List[Entry] = []
        first = True
        deadline = time.monotonic() + _MAX_LISTING_SECONDS
        while True:
            message, dummy = handle.open.query_directory("*", _FULL_DIRECTORY, 0, 0, _LISTING_BYTES, send=False)
            try:
                content = self._buffer(self.answer(self.send(message)))
            except Refused as refused:
                if refused.status in (NO_MORE_FILES, NO_SUCH_FILE):
                    return entries
                raise
            named = self._parse_entries(content, entries, wanted)
            if most is not None and len(entries) >= most:
                return entries[:most]
            if time.monotonic() > deadline or len(entries) > _MAX_ENTRIES or not (named or first):
                raise self.invalid("a directory with more than %d names or an endless listing" % _MAX_ENTRIES)
            first = False

    def _parse_entries(self, content: bytes, entries: List[Entry], wanted: Callable[[str], bool]) -> int:
        """Add what one answer lists of ``wanted`` names; return how many names it lists."""
        offset = named = 0
        while True:
            following, dummy, size_bytes, dummy, attributes, length, dummy = self._unpack(_ENTRY_HEAD, content, offset)
            start = offset + _ENTRY_HEAD.size
            if start + length > len(content) or length > _MAX_NAME_BYTES or size_bytes > _MAX_FILE_BYTES:
                raise self.invalid("a directory entry exceeds its response")
            name = content[start : start + length].decode("utf-16-le", "replace")
            if name not in (".", ".."):
                if not name or any(character in "\\/\0" for character in name):
                    raise self.invalid("the name %r in a directory" % name[:80])
                named += 1
                if wanted(name):
                    kind = _kind(attributes)
                    entries.append(Entry(name, kind, size_bytes if kind is EntryKind.FILE else 0))
            if not following:
                return named
            if following < _ENTRY_HEAD.size + length:
                raise self.invalid("directory entries that overlap")
            offset += following

    def _buffer(self, body: bytes) -> bytes:
        """Return the content of a query's answer [MS-SMB2 2.2.34, 2.2.38]."""
        start, length = self._unpack("<2xHI", body)
        start -= 64
        if start < 8 or start + length > len(body):
            raise self.invalid("a response that exceeds its packet")
        return body[start : start + length]

    def _unpack(self, layout: Any, content: bytes, offset: int = 0) -> Tuple[Any, ...]:
        shape = struct.Struct(layout) if isinstance(layout, str) else layout
        try:
            return tuple(shape.unpack_from(content, offset))
        except struct.error:
            raise self.invalid("a response that is cut off") from None


def modified_seconds(handle: Handle) -> Optional[float]:
    """Return when the file was written to by the server's clock, as its opening told; or None if it did not."""
    moment = handle.open.last_write_time
    return None if moment is None else float(moment.timestamp())


def _kind(attributes: int) -> EntryKind:
    if attributes & _IS_REPARSE_POINT:
        return EntryKind.OTHER
    return EntryKind.DIRECTORY if attributes & _IS_DIRECTORY else EntryKind.FILE
