# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A login to a device over SMB, and the files of its administrative share.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import functools
import hashlib
import time
from contextlib import contextmanager
from typing import Callable, Iterable, Iterator, List, NamedTuple, Optional, TypeVar

from ansible_collections.plantops.imaging.plugins.module_utils.engine.entries import Entry, EntryKind
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    DeviceFileChanged,
    DeviceFileFailed,
    DeviceFolderUnsafe,
    DevicePathUnproved,
)
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb import link as smb
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb import security
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb.errors import (
    HELD,
    SHARING_VIOLATION,
    Failure,
    Refused,
    SmbError,
)
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb.login import DeviceConnector
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb.pipes import NamedPipe, link_to_pipes
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb.rpc import CallRefused
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb.server_service import (
    UNKNOWN_SHARE,
    ServerService,
    ServerVersion,
)
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb.unc import UncPath
from ansible_collections.plantops.imaging.plugins.module_utils.engine.storage.smb.transfer import pull, push

from .at_once import each
from .errors import Peer, connection_error, file_error
from .place import SharePlace, place_of

_PIECE_BYTES = 1 << 20
_MAX_SMALL_BYTES = 32 << 20
_ASK_SECONDS = 60.0
_HELD_SECONDS = 5.0  # a virus scanner has a file open for a moment, a process that ends for somewhat longer
_HELD_PAUSE_SECONDS = 0.2
_Result = TypeVar("_Result")


class Login(NamedTuple):
    """Where and as whom to log in. ``folder``: the folder behind the share, "" to ask the device."""

    device: str
    address: str
    port: int
    username: str
    password: str
    share: str
    folder: str
    must_encrypt: bool
    kerberos: bool = False


class DeviceShare:
    """The administrative share of a device, open until :meth:`close`; paths are those of the share."""

    def __init__(self, login: Login) -> None:
        """Log in. :raises DeviceSmbError:"""
        address = login.address if login.port == 445 else "%s (port %d)" % (login.address, login.port)
        self.peer = Peer(login.device, address, login.username, login.share)
        settings = {
            "port": login.port,
            "username": login.username,
            "password": login.password,
            "require_encryption": login.must_encrypt,
            "kerberos": login.kerberos,
        }
        try:
            connector = DeviceConnector(UncPath(login.address, login.share, ()), settings, _ASK_SECONDS)
            self.link = connector.connect()
        except SmbError as error:
            raise connection_error(error, self.peer) from None
        try:
            self.place = self._place(login.folder)
            self.peer = self.peer._replace(base=self.place.base)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.link.log_off()

    @property
    def is_dead(self) -> bool:
        return self.link.dead

    @contextmanager
    def pipe(self, name: str) -> Iterator[NamedPipe]:
        """Open a named pipe of the device. :raises SmbError:"""
        with NamedPipe(self._pipes, name) as pipe:
            yield pipe

    @functools.cached_property
    def _pipes(self) -> smb.SmbLink:
        """:raises SmbError:"""
        return link_to_pipes(self.link)

    @functools.cached_property
    def _system(self) -> smb.SmbLink:
        """The folder of Windows, as a share. :raises SmbError:"""
        return self.link.beside("ADMIN$")

    @functools.cached_property
    def windows(self) -> ServerVersion:
        """The version of Windows there. :raises DeviceSmbError:"""
        try:
            with self.pipe("srvsvc") as pipe:
                return ServerService(pipe).version()
        except SmbError as error:
            raise connection_error(error, self.peer) from None

    def _place(self, given: str) -> SharePlace:
        share = self.peer.share
        try:
            return place_of(share, given or self._asked_folder())
        except ValueError as error:
            raise DevicePathUnproved(
                device=self.peer.device, share=share, path=given or "that it names", reason=error
            ) from None

    def _asked_folder(self) -> str:
        try:
            with self.pipe("srvsvc") as pipe:
                return ServerService(pipe).path_of_share(self.peer.share)
        except CallRefused as refused:
            if refused.code == UNKNOWN_SHARE:
                refused.failure = Failure.SHARE_NOT_FOUND
            raise connection_error(refused, self.peer) from None
        except SmbError as error:
            raise connection_error(error, self.peer) from None

    # -- files --------------------------------------------------------------------------------------------------------

    def write(self, path: str, data: Iterable[bytes]) -> str:
        """Write a file and return the SHA-256 of what was sent; one that exists is replaced."""
        digest = hashlib.sha256()

        def hashed() -> Iterator[bytes]:
            for piece in data:
                digest.update(piece)
                yield piece

        access = smb.WRITE | smb.DELETE
        with self._told("Writing", path), self._opened(path, access, smb.REPLACE_OR_CREATE, smb.ONLY_FILE) as handle:
            push(self.link, handle, hashed(), None)
        return digest.hexdigest()

    def write_new(self, path: str, data: bytes) -> None:
        """Write a small file so that it appears whole: under another name, which is then changed."""
        unfinished = path + ".new"
        self.write(unfinished, [data])
        self.rename(unfinished, path)

    def put(self, local_path: str, path: str) -> None:
        """Send a file, then read it back and compare. :raises DeviceFileChanged:"""
        with open(local_path, "rb") as file:
            sent = self.write(path, iter(lambda: file.read(_PIECE_BYTES), b""))
        self.check(path, sent)

    def check(self, path: str, sha256: str) -> None:
        """Compare what the device holds with what was sent. :raises DeviceFileChanged:"""
        digest = hashlib.sha256()
        for piece in self.pieces(path):
            digest.update(piece)
        if digest.hexdigest() != sha256:
            raise DeviceFileChanged(device=self.peer.device, path=self.place.on_device(path))

    def pieces(self, path: str) -> Iterator[bytes]:
        """Yield the content of a file. :raises DeviceSmbError:"""
        with self._told("Reading", path), self._opened(path, smb.READ, smb.OPEN, smb.ONLY_FILE) as handle:
            yield from pull(self.link, handle, 0, None)

    def read(self, path: str, most_bytes: int = _MAX_SMALL_BYTES) -> Optional[bytes]:
        """Return the content of a small file, ``None`` when there is none."""

        def work() -> bytes:
            with self._opened(path, smb.READ, smb.OPEN, smb.ONLY_FILE) as handle:
                if handle.size_bytes > most_bytes:
                    raise SmbError(Failure.ANSWER_INVALID, "%s has %d bytes" % (path, handle.size_bytes))
                return b"".join(pull(self.link, handle, 0, most_bytes))

        return self._unless_absent("Reading", path, work)

    def system_file(self, path: str, most_bytes: int) -> Optional[bytes]:
        """Return how a file of Windows' own folder begins, ``None`` where the device does not show that folder."""
        try:
            handle = self._system.open(path, smb.READ, smb.OPEN, smb.ONLY_FILE)
            try:
                return b"".join(pull(self._system, handle, 0, most_bytes))
            finally:
                self._system.close_quietly(handle)
        except SmbError as error:
            if error.failure in (Failure.NOT_FOUND, Failure.DENIED, Failure.SHARE_NOT_FOUND):
                return None
            raise file_error(error, self.peer, "Reading", path) from None

    def rename(self, path: str, new_path: str) -> None:
        """Rename a file or folder; a file of the new name is replaced."""
        with self._told("Renaming", path):
            self._rename(path, new_path)

    def move_aside(self, folder: str, new_path: str) -> bool:
        """Rename a folder; return False when Windows does not let it, since a program has a file in it open."""
        with self._told("Renaming", folder):
            try:
                self._rename(folder, new_path)
            except Refused as refused:
                if refused.status not in HELD:
                    raise
                return False
        return True

    def _rename(self, path: str, new_path: str) -> None:
        """:raises SmbError:"""

        def work() -> None:
            with self._opened(path, smb.DELETE) as handle:
                self.link.rename(handle, new_path, handle.kind is EntryKind.FILE)

        _patiently(work)

    def is_running(self, program: str) -> bool:
        """Whether a process of the device runs this program: Windows refuses to open it for writing then."""

        def work() -> None:
            with self._opened(program, smb.WRITE, smb.OPEN, smb.ONLY_FILE):
                return

        with self._told("Opening", program):
            try:
                _patiently(work)
            except Refused as refused:
                if refused.status in HELD:
                    # With another one Windows, or a scanner, protects it from every writer.
                    return refused.status == SHARING_VIOLATION
                if refused.failure is not Failure.NOT_FOUND:
                    raise
        return False

    def free_bytes(self) -> int:
        """Return the free space of the share as this user may use it."""
        with self._told("Looking at the free space of", ""), self._opened(
            "", smb.READ_ATTRIBUTES, smb.OPEN, smb.ONLY_DIRECTORY
        ) as handle:
            return self.link.space(handle).free_bytes

    def entries(self, path: str) -> Optional[List[Entry]]:
        """Return what a folder holds, ``None`` when there is none."""

        def work() -> List[Entry]:
            with self._opened(path, smb.READ, smb.OPEN, smb.ONLY_DIRECTORY) as handle:
                return self.link.entries(handle)

        return self._unless_absent("Listing", path, work)

    def delete(self, path: str) -> bool:
        """Delete a file, an empty folder or a link; return whether it was there."""

        def work() -> bool:
            with self._opened(path, smb.DELETE) as handle:
                self.link.delete_on_close(handle)
            return True

        return bool(self._unless_absent("Deleting", path, lambda: _patiently(work)))

    def delete_tree(self, path: str) -> bool:
        """Delete a folder and everything in it; links go, what they lead to stays. Return whether it was there."""
        found = self.entries(path)
        if found is None:
            return self.delete(path)
        folders = [entry.name for entry in found if entry.kind is EntryKind.DIRECTORY]
        for name in folders:
            self.delete_tree("%s\\%s" % (path, name))
        each(self.delete, ["%s\\%s" % (path, entry.name) for entry in found if entry.kind is not EntryKind.DIRECTORY])
        self.delete(path)
        return True

    def make_folder(self, path: str) -> None:
        """Make a folder, which inherits its access list; an existing one is left alone."""
        with self._told("Making the folder", path), self._opened(
            path, smb.READ, smb.OPEN_OR_CREATE, smb.ONLY_DIRECTORY
        ) as handle:
            if handle.kind is not EntryKind.DIRECTORY:
                raise SmbError(Failure.LINK_ON_PATH)

    def make_base(self) -> None:
        """Make the agent's folder with its access list, or check the existing one.

        :raises DeviceFolderUnsafe: when another user could have put files there. :raises DeviceFileFailed:
        """
        path = self.place.base_in_share
        missing = self._check_above()
        if missing:
            reason = "the folder %s does not exist; create it as an administrator" % self.place.on_device(missing)
            raise DeviceFileFailed(
                device=self.peer.device, operation="Making the folder", path=self.place.base, reason=reason
            )
        with self._told("Making the folder", path):
            try:
                handle = self.link.create_folder(path, security.administrators_only())
            except SmbError as error:
                if error.failure is not Failure.EXISTS:
                    raise
            else:
                self.link.close_quietly(handle)
        self.check_base()

    def check_base(self) -> bool:
        """Return whether the agent's folder exists; it and those above it in the share are safe then.

        :raises DeviceFolderUnsafe:
        """
        self._check_above()
        return self._check_folder(self.place.base_in_share, security.why_untrusted)

    def _check_above(self) -> str:
        """Check the folders above the agent's: who may rename one of them could put other programs in its place.

        Return the one that does not exist, "" when all do. :raises DeviceFolderUnsafe:
        """
        above = self.place.base_in_share.split("\\")[:-1]
        for path in ("\\".join(above[:count]) for count in range(len(above) + 1)):
            if not self._check_folder(path, security.why_replaceable):
                return path
        return ""

    def _check_folder(self, path: str, why_not: Callable[[security.Security], str]) -> bool:
        """Return whether a folder of the share exists. :raises DeviceFolderUnsafe: for the reason that ``why_not`` finds."""

        def work() -> str:
            with self._opened(path, smb.READ_SECURITY) as handle:
                if handle.kind is not EntryKind.DIRECTORY:
                    return "it is a link or a file"
                return why_not(security.parse(self.link.security(handle)))

        reason = self._unless_absent("Looking at", path, work)
        if reason:
            raise DeviceFolderUnsafe(device=self.peer.device, path=self.place.on_device(path), reason=reason)
        return reason is not None

    @contextmanager
    def _opened(self, path: str, access: int, disposition: int = smb.OPEN, options: int = 0) -> Iterator[smb.Handle]:
        handle = self.link.open(path, access, disposition, options)
        close = self.link.close_quietly  # an error on the way counts, not a second one
        try:
            yield handle
            close = self.link.close
        finally:
            close(handle)

    @contextmanager
    def _told(self, operation: str, path: str) -> Iterator[None]:
        """Turn a failure of the client into the error for ``operation`` of a file. :raises DeviceSmbError:"""
        try:
            yield
        except SmbError as error:
            raise file_error(error, self.peer, operation, self.place.on_device(path)) from None

    def _unless_absent(self, operation: str, path: str, work: Callable[[], _Result]) -> Optional[_Result]:
        with self._told(operation, path):
            try:
                return work()
            except SmbError as error:
                if error.failure is not Failure.NOT_FOUND:
                    raise
        return None


def _patiently(work: Callable[[], _Result]) -> _Result:
    """Do the work, again and again for some seconds while a program of the device has the file open. :raises SmbError:"""
    end = time.monotonic() + _HELD_SECONDS
    while True:
        try:
            return work()
        except Refused as refused:
            if refused.status not in HELD or time.monotonic() > end:
                raise
        time.sleep(_HELD_PAUSE_SECONDS)
