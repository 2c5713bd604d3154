# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A storage in a local directory (a disk, or a share that the system has mounted)."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Callable, Iterable, Iterator, List, NoReturn, Optional, Union

from ...entries import Entry, EntryKind, Space
from ...errors import (
    StorageExists,
    StorageFailed,
    StorageFileInTheWay,
    StorageFull,
    StorageMountGone,
    StorageNotFound,
    StoragePathInvalid,
    StoragePermissionDenied,
    StorageQuotaReached,
    StorageUrlInvalid,
)
from ..contract import NOTHING_ABOVE, PARTIAL_SUFFIX, READ_SIZE_BYTES, Deadline, Storage
from ..parts import parts_of
from .walk import BY_DESCRIPTOR, LinkInTheWay, LocalPlace, reach

_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_FILE_MODE = 0o600
_DIRECTORY_MODE = 0o700
_QUOTA = getattr(errno, "EDQUOT", errno.ENOSPC)
_FULL = frozenset([errno.ENOSPC, _QUOTA])
# The mounted share has lost its server, or the disk its cable; FUSE reports ENOTCONN, NFS ESTALE.
_GONE = frozenset(
    getattr(errno, name)
    for name in (
        *("ESTALE", "ENOTCONN", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ETIMEDOUT", "ECONNREFUSED"),
        *("ECONNABORTED", "ECONNRESET", "ESHUTDOWN", "ENODEV", "ENOLINK", "EREMOTEIO"),
    )
    if hasattr(errno, name)
)
_DENIED = frozenset([errno.EACCES, errno.EPERM, errno.EROFS])
_ABSENT = frozenset([errno.ENOENT, errno.ENOTDIR, errno.ENXIO])  # the last: a socket is opened as a file


class DirectoryStorage(Storage):
    """The contract over a directory. Links below the root are never followed."""

    def __init__(self, root: str) -> None:
        if not os.path.isabs(root):
            raise StorageUrlInvalid(url=root, reason="a directory must be an absolute path")
        self.description = root
        self._root = root
        try:
            os.mkdir(root, _DIRECTORY_MODE)
        except FileExistsError:
            self._check_root(root)
        except OSError as error:
            if error.errno in _ABSENT:
                raise StorageUrlInvalid(url=root, reason=NOTHING_ABOVE) from None
            self._fail(error, "making", "the directory")

    def _check_root(self, root: str) -> None:
        try:
            is_directory = stat.S_ISDIR(os.stat(root).st_mode)
        except FileNotFoundError:
            is_directory = False  # a link that leads nowhere
        except OSError as error:
            self._fail(error, "opening", "the directory")
        if not is_directory:
            raise StorageUrlInvalid(url=root, reason="it is not a directory")

    def put(
        self, path: str, data: Iterable[bytes], *, replace: bool = False, deadline: Optional[Deadline] = None
    ) -> int:
        with self._at(path, "writing") as target:
            if not replace and target.is_there():
                raise StorageExists(path=path, storage=self.description)
            temporary = target.beside("%s.%s%s" % (os.path.basename(target.path), secrets.token_hex(4), PARTIAL_SUFFIX))
            try:
                size_bytes = self._write(temporary, data, deadline)
                if replace and deadline is not None:
                    deadline()
                self._publish(temporary, target, path, replace)
            except BaseException:
                self._drop(temporary)
                raise
            return size_bytes

    def _write(self, temporary: LocalPlace, data: Iterable[bytes], deadline: Optional[Deadline]) -> int:
        size_bytes = 0
        descriptor = temporary.open(os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, _FILE_MODE)
        try:
            for part in parts_of(data, deadline):
                size_bytes += len(part)
                left = part
                while left:
                    left = left[os.write(descriptor, left) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return size_bytes

    def _publish(self, temporary: LocalPlace, target: LocalPlace, path: str, replace: bool) -> None:
        if replace:
            os.replace(temporary.path, target.path, src_dir_fd=temporary.folder, dst_dir_fd=target.folder)
        elif hasattr(os, "link"):
            try:
                # Unlike rename, link never replaces a file that another writer has published in between.
                os.link(
                    temporary.path,
                    target.path,
                    src_dir_fd=temporary.folder,
                    dst_dir_fd=target.folder,
                    follow_symlinks=False,
                )
            except FileExistsError:
                if not temporary.is_same_as(target):
                    raise StorageExists(path=path, storage=self.description) from None
                os.unlink(temporary.path, dir_fd=temporary.folder)
            except OSError as error:
                if temporary.is_same_as(target):  # it was done, and only the answer failed
                    os.unlink(temporary.path, dir_fd=temporary.folder)
                elif error.errno in _FULL | _DENIED | _ABSENT | _GONE and error.errno != errno.EPERM:
                    raise
                else:
                    self._rename_unless_there(temporary, target, path)  # a file system without hard links
            else:
                os.unlink(temporary.path, dir_fd=temporary.folder)
        else:
            self._rename_unless_there(temporary, target, path)
        target.sync_folder()

    def _rename_unless_there(self, source: LocalPlace, target: LocalPlace, path: str) -> None:
        if target.is_there():
            raise StorageExists(path=path, storage=self.description)
        os.rename(source.path, target.path, src_dir_fd=source.folder, dst_dir_fd=target.folder)

    @staticmethod
    def _drop(temporary: LocalPlace) -> None:
        try:
            os.unlink(temporary.path, dir_fd=temporary.folder)
        except OSError:
            return  # it was never there, or the sweep will find it by its suffix

    def read(self, path: str, offset_bytes: int = 0, length_bytes: Optional[int] = None) -> Iterator[bytes]:
        descriptor = self._open_file(path)
        try:
            os.lseek(descriptor, offset_bytes, os.SEEK_SET)
            left = length_bytes
            while left is None or left > 0:
                piece = os.read(descriptor, READ_SIZE_BYTES if left is None else min(left, READ_SIZE_BYTES))
                if not piece:
                    break
                if left is not None:
                    left -= len(piece)
                yield piece
        except OSError as error:
            self._let_go(descriptor)
            self._fail(error, "reading", path)
        except BaseException:
            self._let_go(descriptor)
            raise
        self._close(descriptor, path)

    def _close(self, descriptor: int, path: str) -> None:
        """On some file systems an error shows only here."""
        try:
            os.close(descriptor)
        except OSError as error:
            self._fail(error, "reading", path)

    @staticmethod
    def _let_go(descriptor: int) -> None:
        """Close the descriptors that a first error left open; the caller reports the first error."""
        with suppress(OSError):
            os.close(descriptor)

    def _open_file(self, path: str) -> int:
        with self._at(path, "reading") as place:
            descriptor = place.open(os.O_RDONLY | _BINARY | getattr(os, "O_NONBLOCK", 0))
            try:
                is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
            except OSError:
                self._let_go(descriptor)
                raise
        if not is_file:
            self._let_go(descriptor)
            raise StorageNotFound(path=path, storage=self.description)
        return descriptor

    def list(self, path: str) -> List[Entry]:
        return self.list_some(path, lambda name: True)

    def list_some(self, path: str, wanted: Callable[[str], bool], most: Optional[int] = None) -> List[Entry]:
        with self._at(path, "listing") as place:
            if not BY_DESCRIPTOR:
                return self._entries(place.path, wanted, most)
            descriptor = place.open_folder()
            try:
                return self._entries(descriptor, wanted, most)
            finally:
                os.close(descriptor)

    @staticmethod
    def _entries(folder: Union[int, str], wanted: Callable[[str], bool], most: Optional[int]) -> List[Entry]:
        with os.scandir(folder) as found:
            named = (_entry(item.name, item) for item in found if wanted(item.name))
            return list(islice((entry for entry in named if entry is not None), most))

    def stat(self, path: str) -> Entry:
        with self._at(path, "looking at") as place:
            return _describe(path.rsplit("/", 1)[-1], place.status())

    def rename(self, source: str, destination: str) -> None:
        with self._at(source, "renaming") as old, self._at(destination, "renaming") as new:
            self._rename_unless_there(old, new, destination)
            new.sync_folder()
            old.sync_folder()

    def delete(self, path: str) -> None:
        with self._at(path, "deleting") as place:
            os.unlink(place.path, dir_fd=place.folder)
            place.sync_folder()

    def make_directory(self, path: str, *, exclusive: bool = False) -> None:
        with self._at(path, "making the directory", make=not exclusive) as place:
            if place.path == ".":
                return
            try:
                os.mkdir(place.path, _DIRECTORY_MODE, dir_fd=place.folder)
            except FileExistsError:
                if exclusive:
                    raise
                if not stat.S_ISDIR(place.status().st_mode):
                    raise StorageFileInTheWay(storage=self.description, path=path) from None
            place.sync_folder()

    def remove_directory(self, path: str) -> None:
        with self._at(path, "removing the directory") as place:
            os.rmdir(place.path, dir_fd=place.folder)
            place.sync_folder()

    def space(self) -> Optional[Space]:
        import shutil

        try:
            usage = shutil.disk_usage(self._root)
        except OSError as error:
            self._fail(error, "looking at", "")
        # Some drivers of FUSE do not tell: they report a file system of no size.
        return Space(usage.total, usage.free) if usage.total else None

    def modified_seconds(self, path: str) -> Optional[float]:
        with self._at(path, "looking at") as place:
            return place.status().st_mtime

    def forget_cache(self, path: str) -> None:
        if not hasattr(os, "posix_fadvise"):
            return
        descriptor = self._open_file(path)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError as error:
            self._let_go(descriptor)
            self._fail(error, "reading", path)
        self._close(descriptor, path)

    def close(self) -> None:
        """Calls keep no file open."""

    @contextmanager
    def _at(self, path: str, operation: str, make: bool = False) -> Iterator[LocalPlace]:
        """The place of ``path``; each refusal of the system becomes an error of the catalogue."""
        try:
            with reach(self._root, path, make=make, mode=_DIRECTORY_MODE) as place:
                yield place
        except LinkInTheWay as error:
            raise StoragePermissionDenied(
                storage=self.description, operation="following the link %s" % error.name, path=path
            ) from error
        except NotADirectoryError as error:
            if make:  # what is missing on the way is made: only a file can be in it
                raise StorageFileInTheWay(storage=self.description, path=path) from error
            self._fail(error, operation, path)
        except OSError as error:
            self._fail(error, operation, path)

    def _fail(self, error: OSError, operation: str, path: str) -> NoReturn:
        if error.errno == _QUOTA != errno.ENOSPC:
            raise StorageQuotaReached(storage=self.description, path=path, username=_user()) from error
        if error.errno in _GONE:
            raise StorageMountGone(storage=self.description, reason=error.strerror) from error
        if error.errno in _FULL:
            raise StorageFull(storage=self.description, path=path) from error
        if error.errno in _DENIED:
            raise StoragePermissionDenied(storage=self.description, operation=operation, path=path) from error
        if error.errno in _ABSENT or error.errno == errno.ELOOP:
            raise StorageNotFound(storage=self.description, path=path) from error
        if error.errno == errno.ENAMETOOLONG:
            raise StoragePathInvalid(path=path, reason="it is too long for the file system") from error
        if error.errno == errno.EEXIST:
            raise StorageExists(storage=self.description, path=path) from error
        raise StorageFailed(storage=self.description, operation=operation, path=path, reason=error.strerror) from error


def _user() -> str:
    """The owner of the quota."""
    return "uid %d" % os.geteuid() if hasattr(os, "geteuid") else "this user"


def _entry(name: str, item: os.DirEntry[str]) -> Optional[Entry]:
    try:
        return _describe(name, item.stat(follow_symlinks=False))
    except FileNotFoundError:
        return None  # deleted since the directory was read


def _describe(name: str, status: os.stat_result) -> Entry:
    if stat.S_ISREG(status.st_mode):
        return Entry(name, EntryKind.FILE, status.st_size)
    if stat.S_ISDIR(status.st_mode):
        return Entry(name, EntryKind.DIRECTORY, 0)
    return Entry(name, EntryKind.OTHER, 0)
