# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A storage in a local directory (a disk, or a share that the system has mounted)."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from typing import Iterable, Iterator, List, NoReturn, Optional

from ..errors import (
    StorageExists,
    StorageFailed,
    StorageFull,
    StorageNotFound,
    StoragePathInvalid,
    StoragePermissionDenied,
    StorageUrlInvalid,
)
from .contract import (
    NOTHING_ABOVE,
    PARTIAL_SUFFIX,
    READ_SIZE_BYTES,
    Entry,
    EntryKind,
    SendGate,
    Space,
    Storage,
    check_path,
)

_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_FILE_MODE = 0o600
_DIRECTORY_MODE = 0o700
_FULL = frozenset([errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)])
_DENIED = frozenset([errno.EACCES, errno.EPERM, errno.EROFS])
_ABSENT = frozenset([errno.ENOENT, errno.ENOTDIR])


class DirectoryStorage(Storage):
    """The contract over a directory. Links below the root are never followed."""

    def __init__(self, root: str) -> None:
        if not os.path.isabs(root):
            raise StorageUrlInvalid(url=root, reason="a directory is named by its absolute path")
        self.description = root
        self._root = root
        try:
            os.mkdir(root, _DIRECTORY_MODE)
        except FileExistsError:
            if not os.path.isdir(root):
                raise StorageUrlInvalid(url=root, reason="it is not a directory") from None
        except OSError as error:
            if error.errno in _ABSENT:
                raise StorageUrlInvalid(url=root, reason=NOTHING_ABOVE) from None
            self._fail(error, "making", "the directory")

    def put(self, path: str, data: Iterable[bytes], *, replace: bool = False, gate: Optional[SendGate] = None) -> int:
        target = self._local(path)
        if not replace and os.path.lexists(target):
            raise StorageExists(path=path, storage=self.description)
        temporary = "%s.%s%s" % (target, secrets.token_hex(4), PARTIAL_SUFFIX)
        try:
            size_bytes = self._write(temporary, data, gate)
            if replace and gate is not None:
                gate(0)
            self._publish(temporary, target, path, replace)
        except OSError as error:
            self._drop(temporary)
            self._fail(error, "writing", path)
        except BaseException:
            self._drop(temporary)
            raise
        return size_bytes

    def _write(self, temporary: str, data: Iterable[bytes], gate: Optional[SendGate]) -> int:
        size_bytes = 0
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, _FILE_MODE)
        try:
            for piece in data:
                view = memoryview(piece)
                for start in range(0, len(view), READ_SIZE_BYTES):
                    part = view[start : start + READ_SIZE_BYTES]
                    if gate is not None:
                        gate(len(part))
                    size_bytes += len(part)
                    while part:
                        part = part[os.write(descriptor, part) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return size_bytes

    def _publish(self, temporary: str, target: str, path: str, replace: bool) -> None:
        if replace:
            os.replace(temporary, target)
        elif hasattr(os, "link"):
            try:
                os.link(temporary, target)  # unlike rename, never replaces what another writer published meanwhile
            except FileExistsError:
                raise StorageExists(path=path, storage=self.description) from None
            except OSError as error:
                if error.errno in _FULL | _DENIED | _ABSENT and error.errno != errno.EPERM:
                    raise
                self._rename_unless_there(temporary, target, path)  # a file system without hard links
            else:
                os.unlink(temporary)
        else:
            self._rename_unless_there(temporary, target, path)
        self._sync_directory(os.path.dirname(target))

    def _rename_unless_there(self, source: str, target: str, path: str) -> None:
        if os.path.lexists(target):
            raise StorageExists(path=path, storage=self.description)
        os.rename(source, target)

    @staticmethod
    def _drop(temporary: str) -> None:
        try:
            os.unlink(temporary)
        except OSError:
            return  # it was never there, or the sweep will find it by its suffix

    @staticmethod
    def _sync_directory(path: str) -> None:
        if os.name == "nt":
            return  # Windows has no way to ask for it; NTFS journals its names
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def read(self, path: str, offset_bytes: int = 0, length_bytes: Optional[int] = None) -> Iterator[bytes]:
        try:
            descriptor = self._open_file(path)
        except OSError as error:
            self._fail(error, "reading", path)
        try:
            os.lseek(descriptor, offset_bytes, os.SEEK_SET)
            left = length_bytes
            while left is None or left > 0:
                piece = os.read(descriptor, READ_SIZE_BYTES if left is None else min(left, READ_SIZE_BYTES))
                if not piece:
                    return
                if left is not None:
                    left -= len(piece)
                yield piece
        except OSError as error:
            self._fail(error, "reading", path)
        finally:
            os.close(descriptor)

    def _open_file(self, path: str) -> int:
        descriptor = os.open(self._local(path), os.O_RDONLY | _BINARY | getattr(os, "O_NONBLOCK", 0))
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise StorageNotFound(path=path, storage=self.description)
        return descriptor

    def list(self, path: str) -> List[Entry]:
        target = self._local(path)
        entries = []
        if path and os.path.islink(target):
            raise StorageNotFound(storage=self.description, path=path)
        try:
            with os.scandir(target) as found:
                for item in found:
                    entry = _entry(item.name, item)
                    if entry is not None:
                        entries.append(entry)
        except OSError as error:
            self._fail(error, "listing", path)
        return entries

    def stat(self, path: str) -> Entry:
        try:
            return _describe(path.rsplit("/", 1)[-1], os.lstat(self._local(path)))
        except OSError as error:
            self._fail(error, "looking at", path)

    def rename(self, source: str, destination: str) -> None:
        old, new = self._local(source), self._local(destination)
        try:
            if os.path.lexists(new):
                raise StorageExists(path=destination, storage=self.description)
            os.rename(old, new)
            self._sync_directory(os.path.dirname(new))
            self._sync_directory(os.path.dirname(old))
        except OSError as error:
            self._fail(error, "renaming", source)

    def delete(self, path: str) -> None:
        target = self._local(path)
        try:
            os.unlink(target)
            self._sync_directory(os.path.dirname(target))
        except OSError as error:
            self._fail(error, "deleting", path)

    def make_directory(self, path: str, *, exclusive: bool = False) -> None:
        target = self._local(path)
        if path and os.path.islink(target):
            raise StorageExists(storage=self.description, path=path)
        try:
            if exclusive:
                os.mkdir(target, _DIRECTORY_MODE)
            else:
                os.makedirs(target, _DIRECTORY_MODE, exist_ok=True)
            self._sync_directory(os.path.dirname(target))
        except OSError as error:
            self._fail(error, "making the directory", path)

    def remove_directory(self, path: str) -> None:
        target = self._local(path)
        try:
            os.rmdir(target)
            self._sync_directory(os.path.dirname(target))
        except OSError as error:
            self._fail(error, "removing the directory", path)

    def space(self) -> Optional[Space]:
        import shutil

        try:
            usage = shutil.disk_usage(self._root)
        except OSError as error:
            self._fail(error, "looking at", "")
        return Space(usage.total, usage.free)

    def modified_seconds(self, path: str) -> Optional[float]:
        try:
            return os.lstat(self._local(path)).st_mtime
        except OSError as error:
            self._fail(error, "looking at", path)

    def forget_cache(self, path: str) -> None:
        if not hasattr(os, "posix_fadvise"):
            return
        try:
            descriptor = self._open_file(path)
        except OSError as error:
            self._fail(error, "reading", path)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Nothing is held open between calls."""

    def _local(self, path: str) -> str:
        names = check_path(path).split("/") if path else []
        current = self._root
        for name in names[:-1]:
            current = os.path.join(current, name)
            if os.path.islink(current):
                raise StoragePermissionDenied(
                    storage=self.description, operation="following the link %s" % name, path=path
                )
        return os.path.join(current, names[-1]) if names else current

    def _fail(self, error: OSError, operation: str, path: str) -> NoReturn:
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
