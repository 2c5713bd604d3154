# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories and small documents that belong to the agent alone.

Files that another user made, could change, or put a link to are refused. Names are looked at one after the other, which is
safe because no other user can write to the directory above: that one is checked first.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
from typing import Any, Dict, Iterator, Optional

from ..errors import AgentFileFailed, AgentPathUnsafe
from ..host.patience import patiently

_CLOSED = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_REPARSE_POINT = 0x400  # FILE_ATTRIBUTE_REPARSE_POINT: links and junctions of Windows
MAX_DOCUMENT_BYTES = 32 << 20


@contextlib.contextmanager
def telling(operation: str, path: str) -> Iterator[None]:
    """Turn what the system refuses into an error of the catalogue.

    :raises AgentFileFailed: for every OSError of the block.
    """
    try:
        yield
    except OSError as error:
        raise AgentFileFailed(operation=operation, path=path, reason=error.strerror or str(error)) from error


def make_directory(path: str) -> None:
    """Make ``path`` with mode 0700 unless it is there, and check it. The caller has checked the directory above.

    :raises AgentPathUnsafe: when it belongs to others. :raises AgentFileFailed:
    """
    with telling("Creating the directory", path):
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
    check_directory(path)


def check_directory(path: str) -> None:
    """:raises AgentPathUnsafe: when ``path`` is a link, no directory, another user's, or writable by others."""
    with telling("Looking at", path):
        status = os.lstat(path)
    if leads_elsewhere(status):
        raise AgentPathUnsafe(path=path, reason="it is a link")
    if not stat.S_ISDIR(status.st_mode):
        raise AgentPathUnsafe(path=path, reason="it is not a directory")
    _check_owner(path, status)


def leads_elsewhere(status: os.stat_result) -> bool:
    """Whether this is the status of a link, or of a junction of Windows."""
    return stat.S_ISLNK(status.st_mode) or bool(getattr(status, "st_file_attributes", 0) & _REPARSE_POINT)


def _check_owner(path: str, status: os.stat_result) -> None:
    if os.name == "nt":
        return  # mode bits say nothing there: the installer sets an access list
    if status.st_uid not in (0, os.geteuid()):
        raise AgentPathUnsafe(path=path, reason="it belongs to the user id %d" % status.st_uid)
    if status.st_mode & _OTHERS_WRITE:
        raise AgentPathUnsafe(path=path, reason="other users can write to it")


def open_owned(path: str, flags: int) -> int:
    """Open our regular file and return its descriptor; with ``os.O_CREAT`` it gets mode 0600.

    :raises AgentPathUnsafe: when it is a link, no regular file, another user's, or writable by others.
    :raises FileNotFoundError: when there is none.
    """
    descriptor = open_regular(path, flags)
    try:
        _check_owner(path, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_regular(path: str, flags: int) -> int:
    """Like :func:`open_owned`, but the file may belong to any user."""
    if os.path.islink(path):
        raise AgentPathUnsafe(path=path, reason="it is a link")
    # Without O_NONBLOCK a pipe in the file's place would hold us for ever.
    descriptor = patiently(lambda: os.open(path, flags | _CLOSED | getattr(os, "O_NONBLOCK", 0), 0o600))
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise AgentPathUnsafe(path=path, reason="it is not a regular file")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_bytes(path: str, limit_bytes: int = MAX_DOCUMENT_BYTES) -> Optional[bytes]:
    """Return what ``path`` holds, None when there is no such file.

    :raises AgentPathUnsafe: :raises AgentFileFailed: also when it is larger than ``limit_bytes``.
    """
    with telling("Reading", path):
        try:
            descriptor = open_owned(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        with open(descriptor, "rb") as file:
            data = file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise AgentFileFailed(operation="Reading", path=path, reason="it is larger than %d bytes" % limit_bytes)
    return data


def read_document(path: str) -> Optional[Dict[str, Any]]:
    """Return the JSON object in ``path``; or None if there is none, or a loss of power left less than one.

    :raises AgentPathUnsafe: :raises AgentFileFailed:
    """
    data = read_bytes(path)
    if data is None:
        return None
    try:
        document = json.loads(data.decode("ascii"))
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def write_document(path: str, document: Dict[str, Any], *, durable: bool = False) -> None:
    """Put the document in the place of ``path`` by a rename; ``durable`` waits until it would survive a loss of power.

    :raises AgentFileFailed:
    """
    write_bytes(path, json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii"), durable=durable)


def write_bytes(path: str, data: bytes, *, durable: bool = False) -> None:
    """:raises AgentFileFailed:"""
    temporary = os.path.join(os.path.dirname(path), ".%s.%s" % (os.path.basename(path), secrets.token_hex(6)))
    with telling("Writing", path):
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CLOSED, 0o600)
            with open(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                if durable:
                    os.fsync(descriptor)
            patiently(lambda: os.replace(temporary, path))
        except BaseException:
            remove_file(temporary)
            raise


def remove_file(path: str) -> None:
    """Remove the file if it is there."""
    with contextlib.suppress(FileNotFoundError):
        patiently(lambda: os.unlink(path))
