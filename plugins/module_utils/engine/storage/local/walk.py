# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reaches a name below a root through descriptors of directories, so that no link on the way is ever followed.

Each call of the system looks a path up again: between "this is not a link" and "delete the file in it" the owner of a
directory can put a link in its place, and a root process deletes elsewhere. A descriptor stays the directory that it is. So
each directory on the way is opened in its parent (``openat``), never through a link (``O_NOFOLLOW``), and what is done is
done to one name in the last of them (``unlinkat``, ``renameat``, ``mkdirat``, ``linkat``; POSIX.1-2008, openat(2)).
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from typing import Iterator, List, NamedTuple, Optional

from ...names import check_path

# O_PATH (Linux) needs the right to search a directory, not to list it: an account that may only create keeps working.
_SEARCH = getattr(os, "O_PATH", 0)
_DIRECTORY = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
# Some shares and file systems of user space have no way to sync a directory; what they do to names is done at once.
_NO_SYNC = frozenset([errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP])
# Windows has no calls relative to a descriptor; there a service account owns the whole storage.
BY_DESCRIPTOR = {os.open, os.unlink, os.rename, os.mkdir, os.rmdir, os.stat, os.link} <= os.supports_dir_fd


class LinkInTheWay(OSError):
    """A directory on the way to a name is a link."""

    def __init__(self, name: str) -> None:
        super().__init__(errno.ELOOP, os.strerror(errno.ELOOP), name)
        self.name = name


class LocalPlace(NamedTuple):
    """One name in an opened directory: pass ``path`` and, as ``dir_fd``, ``folder`` to the calls of :mod:`os`."""

    folder: Optional[int]
    path: str

    def beside(self, path: str) -> LocalPlace:
        """Another name in the same directory."""
        return self._replace(path=os.path.join(os.path.dirname(self.path), path))

    def status(self) -> os.stat_result:
        """The status of the name, of a link itself and not of its target. :raises OSError: as ``lstat`` does."""
        return os.stat(self.path, dir_fd=self.folder, follow_symlinks=False)

    def is_there(self) -> bool:
        try:
            self.status()
        except FileNotFoundError:
            return False
        return True

    def is_same_as(self, other: LocalPlace) -> bool:
        """Whether both names are of one file: a link that was made although the answer got lost."""
        try:
            return os.path.samestat(self.status(), other.status())
        except OSError:
            return False

    def open(self, flags: int, mode: int = 0o600) -> int:
        """Open the name, never through a link. :raises OSError: ELOOP where it is one."""
        return os.open(self.path, flags | _NOFOLLOW, mode, dir_fd=self.folder)

    def open_folder(self) -> int:
        """Open the name as a directory that can be listed and synced."""
        return self.open(os.O_RDONLY | _DIRECTORY)

    def sync_folder(self) -> None:
        """Make what happened to names in this directory durable."""
        if os.name == "nt":
            return  # Windows has no way to ask for it; NTFS journals its names
        descriptor = os.open(".", os.O_RDONLY | _DIRECTORY, dir_fd=self.folder)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in _NO_SYNC:
                raise
        finally:
            os.close(descriptor)


@contextmanager
def reach(root: str, path: str, *, make: bool = False, mode: int = 0o700) -> Iterator[LocalPlace]:
    """Yield the place of ``path`` below ``root``; the root itself is the place ``.`` in its own directory.

    ``make`` creates the directories on the way that are missing.

    :raises StoragePathInvalid: before anything is opened. :raises LinkInTheWay: at a link on the way.
    :raises OSError: where a directory on the way is missing or can't be entered.
    """
    names = check_path(path).split("/") if path else ["."]
    if not BY_DESCRIPTOR:
        yield _place_by_path(root, names, make, mode)
        return
    # The root was named by the operator and may be a link.
    folder = os.open(root, (_SEARCH or os.O_RDONLY) | _DIRECTORY)
    try:
        for name in names[:-1]:
            if make:
                _make(name, folder, mode)
            # The outer one is forgotten before it is closed: a close that fails has closed it, and its number may be another's.
            outer, folder = folder, _step(folder, name)
            os.close(outer)
        yield LocalPlace(folder, names[-1])
    finally:
        os.close(folder)


def _make(name: str, folder: int, mode: int) -> None:
    try:
        os.mkdir(name, mode, dir_fd=folder)
    except FileExistsError:
        return
    LocalPlace(folder, name).sync_folder()


def _step(folder: int, name: str) -> int:
    """Open the directory ``name`` in ``folder``."""
    try:
        return os.open(name, (_SEARCH or os.O_RDONLY) | _DIRECTORY | _NOFOLLOW, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP) and _is_link(folder, name):
            raise LinkInTheWay(name) from error
        raise


def _is_link(folder: int, name: str) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False  # it no longer exists: the error that led here says enough


def _place_by_path(root: str, names: List[str], make: bool, mode: int) -> LocalPlace:
    current = root
    for name in names[:-1]:
        current = os.path.join(current, name)
        if os.path.islink(current):
            raise LinkInTheWay(name)
        if make and not os.path.isdir(current):
            os.mkdir(current, mode)
    return LocalPlace(None, os.path.join(current, names[-1]))
