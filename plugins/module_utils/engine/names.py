# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that every storage can hold as they are: the rules of Windows shares, which are the strictest [MS-FSCC 2.1.5]."""

from __future__ import annotations

import re

from .errors import StoragePathInvalid

_MAX_PATH_LENGTH = 1024
_MAX_NAME_LENGTH = 255
_FORBIDDEN = frozenset('<>:"\\|?*')
# "Naming Files, Paths, and Namespaces": devices in every folder, with any ending.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\xb9\xb2\xb3]) *(?:\..*)?", re.IGNORECASE)


def check_name(name: str) -> str:
    """Return ``name`` if every storage can hold it as it is (SMB rules included).

    :raises StoragePathInvalid: reserved device names, trailing dots or spaces, control characters, ``<>:"\\|?*/``.
    """
    reason = why_invalid(name)
    if reason:
        raise StoragePathInvalid(path=name, reason=reason)
    return name


def is_valid_name(name: str) -> bool:
    """Whether ``name``, which another program chose, passes :func:`check_name`: else no operation takes a path with it."""
    return not why_invalid(name)


def why_invalid(name: str) -> str:
    """Return what is wrong with a name, "" where nothing is."""
    if not name or len(name) > _MAX_NAME_LENGTH:
        return "a name has 1 to %d characters" % _MAX_NAME_LENGTH
    if name in (".", ".."):
        return "it leaves its directory"
    if any(character in _FORBIDDEN or character == "/" or ord(character) < 32 for character in name):
        return "it holds a character that Windows shares refuse"
    if any("\ud800" <= character <= "\udfff" for character in name):
        return "it is not valid Unicode"
    if name[-1] in ". ":
        return "it ends in a dot or a space"
    if is_device_of_windows(name):
        return "Windows reserves this name"
    return ""


def is_device_of_windows(name: str) -> bool:
    """Whether Windows opens a device by this name, such as a serial port, in every folder, and no file."""
    return _DEVICE.fullmatch(name) is not None


def check_path(path: str) -> str:
    """Return ``path`` if it is relative and every name in it passes :func:`check_name`; "" (the root) passes.

    :raises StoragePathInvalid: otherwise.
    """
    if len(path) > _MAX_PATH_LENGTH:
        raise StoragePathInvalid(path=path[:80] + "...", reason="it is longer than %d characters" % _MAX_PATH_LENGTH)
    if path:
        for name in path.split("/"):
            check_name(name)
    return path
