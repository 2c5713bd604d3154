# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what was built: whole and durable under its name, or not at all."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path
from typing import NamedTuple, Optional

from ..errors import BundleFailed
from .wheel_store import hash_file


class Built(NamedTuple):
    """A bundle's file. ``sha256``, ``size_bytes`` and ``identity`` are None where check mode has built nothing.

    ``replaced`` is the SHA-256 of another file that was there before, None for none.
    """

    platform: str
    path: str
    sha256: Optional[str]
    size_bytes: Optional[int]
    identity: Optional[str]
    changed: bool
    replaced: Optional[str]


class Published(NamedTuple):
    """The file that a path holds now, or would without check mode, and whether another one was there: ``replaced``."""

    sha256: str
    changed: bool
    replaced: Optional[str]


def sha256_of(path: str) -> Optional[str]:
    """Return the SHA-256 of a file, None where there is none."""
    return hash_file(Path(path)) if os.path.exists(path) else None


def publish_changed(path: str, content: bytes, check: bool) -> Published:
    """Write the file unless it is there with these bytes, or ``check`` is set. :raises BundleFailed:"""
    sha256, before = hashlib.sha256(content).hexdigest(), sha256_of(path)
    changed = sha256 != before
    if changed and not check:
        publish(path, content)
    return Published(sha256, changed, before if changed else None)


def publish(path: str, content: bytes) -> None:
    """:raises BundleFailed: when it can't be written."""
    temporary = "%s.new-%s" % (path, secrets.token_hex(4))
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            if os.path.exists(temporary):
                os.unlink(temporary)
    except OSError as error:
        raise BundleFailed(path=path, reason=error.strerror or str(error)) from None
