# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The patterns of imaging_exclude: paths and globs from a volume's root.

``C:\\Temp\\**`` is about the volume with that drive letter, ``/var/cache/*`` about the volume that holds this path where
mount points are known, else about every volume's ``/var/cache``. A pattern that begins with neither a letter nor a
separator (``**\\Thumbs.db``) starts at the root of every volume. ``*`` and ``?`` stay inside a name, ``**`` stands alone
between separators for any number of folders; at the end, or as a separator at the end, for everything below.
"""

from __future__ import annotations

import re
from typing import List, NamedTuple, Sequence, Tuple

from ..errors import PatternInvalid

_MAX_LENGTH = 4096
_MAX_SEGMENTS = 128
_MAX_CROSSINGS = 8
_DRIVE = re.compile(r"([A-Za-z]):([\\/].*)", re.DOTALL)


class PatternSegment(NamedTuple):
    """The pattern of one name of a path; ``pieces`` are the texts between its stars."""

    text: str
    pieces: Tuple[str, ...]
    crosses: bool = False  # "**": any number of folders

    @property
    def is_plain(self) -> bool:
        return not self.crosses and len(self.pieces) == 1 and "?" not in self.text

    def matches(self, name: str) -> bool:
        """Whether the whole of ``name`` matches, in time linear in it for each piece."""
        first, last = self.pieces[0], self.pieces[-1]
        if len(self.pieces) == 1:
            return len(name) == len(first) and _same(first, name, 0)
        end = len(name) - len(last)
        if end < len(first) or not _same(first, name, 0) or not _same(last, name, end):
            return False
        # The leftmost place for each piece leaves most for the next: no backtracking is needed.
        position = len(first)
        for piece in self.pieces[1:-1]:
            position = _find(piece, name, position, end)
            if position < 0:
                return False
            position += len(piece)
        return True


class Pattern(NamedTuple):
    """A parsed pattern; ``text`` is what the user wrote."""

    text: str
    drive: str  # "C:", or ""
    is_absolute: bool
    names: Tuple[str, ...]
    windows: bool  # written with backslashes or a drive letter: shown so in messages

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Parse a pattern of the user.

        :raises PatternInvalid: when it is not a path below a volume's root.
        """
        if not isinstance(text, str) or not text.strip():
            raise PatternInvalid(pattern=text, reason="it is empty")
        if len(text) > _MAX_LENGTH or any(ord(c) < 32 for c in text):
            raise PatternInvalid(pattern=text[:80], reason="it is too long or contains control characters")
        if text[:2] in ("\\\\", "//", "\\/", "/\\"):
            raise PatternInvalid(pattern=text, reason="it is a network or device path, not a path on a volume")
        drive, rest = "", text
        match = _DRIVE.fullmatch(text)
        if match:
            drive, rest = match.group(1).upper() + ":", match.group(2)
        # On Linux a backslash is a letter like others; where a pattern begins tells which kind of path it is.
        windows = bool(drive) or text[0] == "\\" or ("\\" in text and "/" not in text)
        names = [name for name in re.split(r"[\\/]" if windows else "/", rest) if name]
        if rest[-1] == "/" or (windows and rest[-1] == "\\"):
            names.append("**")
            if len(names) == 1:
                raise PatternInvalid(pattern=text, reason="it names a whole volume")
        cls._check(text, names, windows)
        return cls(text, drive, bool(drive) or rest[0] in ("/\\" if windows else "/"), tuple(names), windows)

    @staticmethod
    def _check(text: str, names: Sequence[str], windows: bool) -> None:
        if len(names) > _MAX_SEGMENTS or sum(name == "**" for name in names) > _MAX_CROSSINGS:
            raise PatternInvalid(pattern=text[:80], reason="it has too many parts")
        for name in names:
            if name in (".", ".."):
                raise PatternInvalid(pattern=text, reason="it contains %r, which is not a folder name" % name)
            if "**" in name and name != "**":
                raise PatternInvalid(pattern=text, reason="** must stand alone between separators")
            if windows and ":" in name:
                raise PatternInvalid(
                    pattern=text, reason="alternate streams can only be excluded together with their file"
                )

    def below(self, mount_points: Sequence[str], case_sensitive: bool) -> List[PatternSegment]:
        """The segments below a volume's root; empty where the pattern is about another volume.

        :param mount_points: where the device has the volume ("C:\\", "/var"); empty when that is not known.
        """
        names = self.names
        if self.drive:
            if not any(point[:2].upper() == self.drive for point in mount_points):
                return []
        elif self.is_absolute and mount_points and not self.windows:
            below = _below_mounts(names, [point for point in mount_points if point.startswith("/")])
            if not below and any(point.startswith("/") for point in mount_points):
                return []
            names = below or names
        joined: List[PatternSegment] = []
        for name in names:
            if name == "**":
                if not joined or not joined[-1].crosses:
                    joined.append(PatternSegment(name, (), True))
            else:
                joined.append(_segment(name if case_sensitive else fold(name)))
        return joined


def _below_mounts(names: Tuple[str, ...], mount_points: Sequence[str]) -> Tuple[str, ...]:
    """The rest of a path below the deepest mount point that it can lead into."""
    best: Tuple[str, ...] = ()
    for point in mount_points:
        below = _below(names, [part for part in point.split("/") if part])
        if below and (not best or len(below) < len(best)):
            best = below
    return best


def _below(names: Tuple[str, ...], parts: Sequence[str]) -> Tuple[str, ...]:
    for place, part in enumerate(parts):
        if place == len(names):
            return ()
        if names[place] == "**":
            return names[place:]
        if not _segment(names[place]).matches(part):
            return ()
    return names[len(parts) :]


def _segment(text: str) -> PatternSegment:
    return PatternSegment(text, tuple(re.sub(r"\*+", "*", text).split("*")))


def _same(piece: str, name: str, start: int) -> bool:
    if "?" not in piece:
        return name.startswith(piece, start)
    return all(c in ("?", other) for c, other in zip(piece, name[start : start + len(piece)]))


def _find(piece: str, name: str, start: int, end: int) -> int:
    if "?" not in piece:
        return name.find(piece, start, end)
    for position in range(start, end - len(piece) + 1):
        if _same(piece, name, position):
            return position
    return -1


def fold(name: str) -> str:
    """Upper case as NTFS, FAT and exFAT compare names: character by character, so that no letter becomes two.

    Letters whose small form is not unique (dotless i, long s) stay as they are: a match in doubt would lose data.
    """
    if name.isascii():
        return name.upper()
    return "".join(map(_upper, name))


def fold_by(table: bytes, name: str) -> str:
    """Upper case where a volume's table (two bytes for each character from 0 on) says the same as we do."""
    return "".join(
        upper if upper == character or _in_table(table, character) == upper else character
        for character, upper in zip(name, map(_upper, name))
    )


def _in_table(table: bytes, character: str) -> str:
    place = 2 * ord(character)
    return table[place : place + 2].decode("utf-16-le", "replace")


def _upper(character: str) -> str:
    upper = character.upper()
    return upper if len(upper) == 1 and upper.lower() == character else character
