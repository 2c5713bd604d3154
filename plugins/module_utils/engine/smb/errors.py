# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the status of an SMB answer [MS-ERREF 2.3.1] to an error of the catalogue."""

from __future__ import annotations

from typing import Callable, Dict, NamedTuple

from ..errors import (
    StorageAccountBlocked,
    StorageAccountDisabled,
    StorageAccountExpired,
    StorageAccountLocked,
    StorageError,
    StorageExists,
    StorageFailed,
    StorageFull,
    StorageLoginFailed,
    StorageLogonHours,
    StorageLogonTypeRefused,
    StorageNotFound,
    StorageNtlmBlocked,
    StoragePasswordExpired,
    StoragePathTooLong,
    StoragePermissionDenied,
    StorageQuotaReached,
    StorageServerBusy,
    StorageShareNotFound,
    StorageWorkstationRefused,
)

ACCESS_DENIED = 0xC0000022
BAD_NETWORK_NAME = 0xC00000CC
DELETE_PENDING = 0xC0000056
END_OF_FILE = 0xC0000011
FILE_IS_A_DIRECTORY = 0xC00000BA
NO_MORE_FILES = 0x80000006
NO_SUCH_FILE = 0xC000000F
NOT_A_DIRECTORY = 0xC0000103
PATH_NOT_FOUND = 0xC000003A
SHARING_VIOLATION = 0xC0000043
NAME_COLLISION = 0xC0000035
# The session or the share is gone: connect and log in again. USER_SESSION_DELETED, NETWORK_SESSION_EXPIRED,
# NETWORK_NAME_DELETED, CONNECTION_DISCONNECTED, FILE_CLOSED (its server restarted), INVALID_HANDLE.
LINK_GONE = frozenset([0xC0000203, 0xC000035C, 0xC00000C9, 0xC000020C, 0xC0000128, 0xC0000008])
ABSENT = frozenset([0xC0000034, PATH_NOT_FOUND, NO_SUCH_FILE, 0xC0000225, DELETE_PENDING])
_DENIED = frozenset([ACCESS_DENIED, 0xC0000061, 0xC0000121, 0xC00000A2, 0xC000019B])
FULL = frozenset([0xC000007F, 0xC00002CF])
QUOTA_EXCEEDED = 0xC0000044
_QUOTA = frozenset([QUOTA_EXCEEDED, 0xC0000802])
_TOO_LONG = frozenset([0xC0000106, 0xC0000095])
_NAME_INVALID = frozenset([0xC0000033, 0xC000003B, 0xC0000039])
_ON_A_LINK = frozenset([0x8000002D, 0xC0000280, 0xC000050B])
_WRONG_LOGIN = frozenset([0xC000006D, 0xC000006A, 0xC0000064])
_TROUBLE_AT_LOGIN = {
    0xC0000133: "the clocks of this machine and of the domain controller differ too much",
    0xC000018A: "the server has no trust account in its domain",
    0xC000018B: "the domain does not know the server",
    0xC000018C: "the trust between the server's domain and the user's is broken",
    0xC000018D: "the trust between the server and its domain is broken",
}
# Each is made by a call that can be seen: a test looks for these.
# pylint: disable=unnecessary-lambda
_BLOCKED: Dict[int, Callable[..., StorageError]] = {
    0xC000006E: lambda **of: StorageAccountBlocked(
        reason="the account is restricted, for instance to passwords that are not empty", **of
    ),
    0xC000006F: lambda **of: StorageLogonHours(**of),
    0xC0000070: lambda **of: StorageWorkstationRefused(**of),
    0xC0000071: lambda **of: StoragePasswordExpired(reason="it has expired", **of),
    0xC0000072: lambda **of: StorageAccountDisabled(**of),
    0xC000015B: lambda **of: StorageLogonTypeRefused(**of),
    0xC0000193: lambda **of: StorageAccountExpired(reason="its end date has passed", **of),
    0xC0000224: lambda **of: StoragePasswordExpired(reason="the server requires a new password at this login", **of),
    0xC0000234: lambda **of: StorageAccountLocked(**of),
    0xC0000413: lambda **of: StorageAccountBlocked(
        reason="selective authentication of its domain does not permit it on this server", **of
    ),
    0xC0000418: lambda **of: StorageNtlmBlocked(**of),
}
# pylint: enable=unnecessary-lambda
# What ends by itself.
_BUSY = {
    0xC000005E: "no domain controller responds to it",
    0xC000009A: "it is short of memory, or the share has reached its limit of connections",
    0xC00000BF: "its network is busy",
    0xC00000CE: "it has reached its limit of sessions",
    0xC00000D0: "it accepts no more connections",
    0xC0000205: "it is short of memory",
    0xC0000246: "it has reached its limit of connections",
    0xC0000466: "it is unavailable",
}
_WORDS = {
    0xC0000101: "the directory is not empty",
    FILE_IS_A_DIRECTORY: "it is a directory",
    SHARING_VIOLATION: "another program has it open",
    0xC00000D0: "the server accepts no more connections",
    0xC000009A: "the server is short of memory",
    0xC0000205: "the server is short of memory",
    0xC0000257: "it is on another server of this DFS namespace; set the share of that server",
}


class Place(NamedTuple):
    """What messages name: never the password."""

    storage: str
    server: str
    share: str
    username: str


def from_status(place: Place, operation: str, path: str, status: int) -> StorageError:
    """Return the error for an answer to ``operation`` of ``path``."""
    storage, shown = place.storage, path or "the directory"
    if status in ABSENT:
        return StorageNotFound(path=shown, storage=storage)
    if status == NAME_COLLISION:
        return StorageExists(path=shown, storage=storage)
    if status in _DENIED:
        return StoragePermissionDenied(storage=storage, operation=operation, path=shown)
    if status in _ON_A_LINK:
        return StoragePermissionDenied(storage=storage, operation="following a link on the way to", path=shown)
    if status in FULL:
        return StorageFull(storage=storage, path=shown)
    if status in _QUOTA:
        return StorageQuotaReached(storage=storage, path=shown, username=place.username)
    if status in _TOO_LONG or (status in _NAME_INVALID and _is_long(path)):
        return StoragePathTooLong(storage=storage, path=shown)
    if status == NOT_A_DIRECTORY:
        return StorageNotFound(path=shown, storage=storage)
    return StorageFailed(operation=operation, path=shown, storage=storage, reason=_words(status))


def _is_long(path: str) -> bool:
    """Whether what is wrong with a name is its length: check_path has found nothing else."""
    return len(path) > 200 or any(len(name.encode("utf-8")) > 255 for name in path.split("/"))


def from_login(place: Place, status: int) -> StorageError:
    """Return the error for the answer to a login."""
    if status in _WRONG_LOGIN:
        reason = "user name or password is wrong"
        return StorageLoginFailed(storage=place.storage, username=place.username, reason=reason)
    if status in _TROUBLE_AT_LOGIN:
        return StorageLoginFailed(storage=place.storage, username=place.username, reason=_TROUBLE_AT_LOGIN[status])
    if status in _BLOCKED:
        return _BLOCKED[status](storage=place.storage, username=place.username)
    if status in _BUSY:
        return StorageServerBusy(storage=place.storage, reason=_BUSY[status])
    if status in _DENIED:
        reason = "the server refuses this user, or requires an encryption that was not negotiated"
        return StorageLoginFailed(storage=place.storage, username=place.username, reason=reason)
    return StorageFailed(operation="opening", path=place.share, storage=place.storage, reason=_words(status))


def from_share(place: Place, status: int) -> StorageError:
    """Return the error for the answer to connecting to the share."""
    if status == BAD_NETWORK_NAME:
        return StorageShareNotFound(server=place.server, share=place.share)
    if status in _BUSY:
        return StorageServerBusy(storage=place.storage, reason=_BUSY[status])
    return from_status(place, "opening", "the share " + place.share, status)


def _words(status: int) -> str:
    known = _WORDS.get(status)
    return "%s (status 0x%08X)" % (known, status) if known else "the server returned status 0x%08X" % status
