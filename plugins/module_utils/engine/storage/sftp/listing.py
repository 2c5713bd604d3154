# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The usable entries of an open directory of an SFTP server."""

from __future__ import annotations

import time
from typing import Callable, List, Optional, Tuple

from ...entries import Entry, EntryKind
from ...errors import StorageFailed
from . import packets as wire
from .calls import SftpCalls
from .packets import Attributes, PacketInvalid

_MAX_ENTRIES = 200_000
_MAX_LISTING_SECONDS = 600.0
_MAX_NAME = 255
_LISTINGS_IN_FLIGHT = 4
_KINDS = {b"-": EntryKind.FILE, b"d": EntryKind.DIRECTORY}


def listed_entries(
    calls: SftpCalls, storage: str, handle: bytes, path: str, wanted: Callable[[str], bool], most: Optional[int]
) -> List[Entry]:
    """Return what the open directory ``handle`` holds of ``wanted`` names, at most ``most``; the others take no memory.

    :raises StorageFailed: when the listing does not end.
    :raises SessionLost, PacketInvalid: as the session and the packets do.
    """
    entries: List[Entry] = []
    useless = 0
    deadline = time.monotonic() + _MAX_LISTING_SECONDS
    pending: List[int] = []
    try:
        while True:
            while len(pending) < _LISTINGS_IN_FLIGHT:
                pending.append(calls.session.request(wire.READDIR, wire.string(handle)))
            reply = calls.session.wait(pending.pop(0))
            if reply.kind == wire.STATUS and calls.status(reply)[0] == wire.EOF:
                return entries
            if reply.kind != wire.NAME:
                calls.done(reply, "listing", path)
                raise PacketInvalid("it sent an empty response to a listing")
            names = reply.names()
            if not names:
                raise PacketInvalid("it sent an empty response to a listing")
            usable = [entry for entry in map(_entry, names) if entry is not None]
            useless += len(names) - len(usable)
            entries += [entry for entry in usable if wanted(entry.name)]
            if most is not None and len(entries) >= most:
                return entries[:most]
            if max(len(entries), useless) > _MAX_ENTRIES or time.monotonic() > deadline:
                reason = "the server sends a listing without an end"
                raise StorageFailed(operation="listing", path=path, storage=storage, reason=reason)
    finally:
        calls.session.abandon(pending)


def entry_of(name: str, found: Attributes) -> Entry:
    if found.is_file:
        return Entry(name, EntryKind.FILE, found.size_bytes or 0)
    return Entry(name, EntryKind.DIRECTORY if found.is_directory else EntryKind.OTHER, 0)


def _entry(named: Tuple[bytes, bytes, Attributes]) -> Optional[Entry]:
    """Return the entry of a listing, None for a name that no caller can use: a hostile one, or one not in UTF-8."""
    raw, line, found = named
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if not name or len(name) > _MAX_NAME or name in (".", "..") or "/" in name or "\0" in name:
        return None
    if found.mode is None:
        kind = _KINDS.get(line[:1], EntryKind.OTHER)
        return Entry(name, kind, found.size_bytes or 0 if kind is EntryKind.FILE else 0)
    return entry_of(name, found)
