# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bounded reading of a system's own records below a root directory: "/" for this machine, a file tree in tests.

Every file is hostile: only regular files are read, none beyond its limit, no link leaves the root, and a deadline holds
over all of it.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from typing import Iterator, List, NamedTuple, Optional

TEXT_BYTES = 1 << 20
MOST_NAMES = 20_000
_MOST_LINKS = 40
_MOST_FOLDERS = 4000
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ENODEV)


class Unreadable(Exception):
    """A section can't be read; the text is the reason that the document gives."""


class TookTooLong(Unreadable):
    """A section was not read in its time."""


class FoundFile(NamedTuple):
    """A file below a folder. ``link`` is the target of a symbolic link, "" for a file."""

    place: str
    name: str
    link: str


class SystemTree:
    """The files of a system. Places are absolute paths as the system itself sees them."""

    def __init__(self, root: str = "/", seconds: float = 5.0) -> None:
        self.root = root
        self.is_running = os.path.realpath(root) == "/"
        self._ends = time.monotonic() + seconds

    def limit(self, seconds: float) -> None:
        """Give what follows ``seconds`` from now."""
        self._ends = time.monotonic() + seconds

    @property
    def left_seconds(self) -> float:
        """The time that is left, at least 0."""
        return max(0.0, self._ends - time.monotonic())

    def check_time(self) -> None:
        """:raises TookTooLong: when the time of the section is over."""
        if not self.left_seconds:
            raise TookTooLong("reading it took too long")

    def path(self, place: str) -> str:
        """Return the path on this machine. In a file tree links are followed below its root."""
        if self.is_running:
            return place
        done: List[str] = []
        rest = [part for part in reversed(place.split("/")) if part not in ("", ".")]
        links = 0
        while rest:
            part = rest.pop()
            if part == "..":
                done = done[:-1]
                continue
            link = self._read_link(os.path.join(self.root, *done, part))
            if link is None:
                done.append(part)
                continue
            links += 1
            if links > _MOST_LINKS:
                return os.path.join(self.root, *done, part)
            done = [] if link.startswith("/") else done
            rest += [one for one in reversed(link.split("/")) if one not in ("", ".")]
        return os.path.join(self.root, *done)

    def data(self, place: str, most_bytes: int = TEXT_BYTES) -> Optional[bytes]:
        """Return the content of a regular file, None where there is not one.

        :raises Unreadable: when it exists and can't be read, or is larger than ``most_bytes``.
        """
        self.check_time()
        try:
            number = os.open(self.path(place), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            if isinstance(error, ValueError) or error.errno in _ABSENT:
                return None
            raise Unreadable("%s: %s" % (place, error.strerror)) from None
        with os.fdopen(number, "rb") as file:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                return None
            try:
                data = file.read(most_bytes + 1)
            except OSError as error:
                raise Unreadable("%s: %s" % (place, error.strerror)) from None
        if len(data) > most_bytes:
            raise Unreadable("%s is larger than %d bytes" % (place, most_bytes))
        return data

    def text(self, place: str, most_bytes: int = TEXT_BYTES) -> str:
        """Return the content as text, "" where there is not such a file."""
        return (self.data(place, most_bytes) or b"").decode("utf-8", "replace")

    def line(self, place: str) -> str:
        """Return the first line of a small file; "" where it can't be read, which many files of /sys can't."""
        try:
            return self.text(place, 64 << 10).split("\n", 1)[0].strip()
        except Unreadable:
            self.check_time()
            return ""

    def names(self, place: str) -> List[str]:
        """Return the sorted names in a folder, none where there is not one.

        :raises Unreadable: when it exists and can't be read, or has too many names.
        """
        self.check_time()
        found: List[str] = []
        try:
            with os.scandir(self.path(place)) as entries:
                for entry in entries:
                    found.append(entry.name)
                    if len(found) > MOST_NAMES:
                        raise Unreadable("%s has more than %d entries" % (place, MOST_NAMES))
        except OSError as error:
            if error.errno in _ABSENT:
                return []
            raise Unreadable("%s: %s" % (place, error.strerror)) from None
        return sorted(found)

    def link(self, place: str) -> str:
        """Return the target of a symbolic link as it is written, "" where there is not one."""
        folder, name = os.path.split(place.rstrip("/"))
        return self._read_link(os.path.join(self.path(folder), name)) or ""

    def is_folder(self, place: str) -> bool:
        return os.path.isdir(self.path(place))

    def exists(self, place: str) -> bool:
        return os.path.exists(self.path(place))

    def files(self, place: str, depth: int = 1) -> Iterator[FoundFile]:
        """Yield the files and links below a folder in order, without following links, as deep as ``depth`` folders."""
        folders = [(place.rstrip("/"), depth)]
        seen = 0
        while folders:
            folder, left = folders.pop()
            seen += 1
            if seen > _MOST_FOLDERS:
                raise Unreadable("%s has more than %d folders" % (place, _MOST_FOLDERS))
            inside = []
            for name in self.names(folder):
                one = "%s/%s" % (folder, name)
                link = self.link(one)
                if link or not self.is_folder(one):
                    yield FoundFile(one, name, link)
                elif left > 1:
                    inside.append((one, left - 1))
            folders += reversed(inside)

    def _read_link(self, path: str) -> Optional[str]:
        try:
            return os.readlink(path)
        except (OSError, ValueError):
            return None
