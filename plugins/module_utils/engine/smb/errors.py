# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the status of an SMB answer [MS-ERREF 2.3.1] to a failure of the client, which its user words for its own purpose."""

from __future__ import annotations

from enum import Enum

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
# Windows refuses to rename or delete an open file with these: CANNOT_DELETE, DIRECTORY_NOT_EMPTY (a file in it
# that is deleted, but open).
HELD = frozenset([SHARING_VIOLATION, ACCESS_DENIED, 0xC0000121, 0xC0000101])
# The server has dropped the session or the share: connect and log in again. USER_SESSION_DELETED,
# NETWORK_SESSION_EXPIRED, NETWORK_NAME_DELETED, CONNECTION_DISCONNECTED, FILE_CLOSED (its server restarted),
# INVALID_HANDLE.
LINK_GONE = frozenset([0xC0000203, 0xC000035C, 0xC00000C9, 0xC000020C, 0xC0000128, 0xC0000008])
ABSENT = frozenset([0xC0000034, PATH_NOT_FOUND, NO_SUCH_FILE, 0xC0000225, DELETE_PENDING])
FULL = frozenset([0xC000007F, 0xC00002CF])
QUOTA_EXCEEDED = 0xC0000044
_DENIED = frozenset([ACCESS_DENIED, 0xC0000061, 0xC0000121, 0xC00000A2, 0xC000019B])
_WRONG_LOGIN = frozenset([0xC000006D, 0xC000006A, 0xC0000064])


class Failure(Enum):
    """The kind of a failure, as far as callers handle it differently."""

    # The settings
    ADDRESS_INVALID = "the address is not valid"
    PORT_IN_ADDRESS = "the address holds a port"
    USERNAME_MISSING = "a share requires a user name, because guest access is not supported"
    # The way to the server
    SERVER_NOT_FOUND = "the server's name is not known"
    UNREACHABLE = "the server can't be reached"
    LINK_LOST = "the link is lost"
    FOREIGN_SERVER = "the server speaks another protocol"
    HOST_REFUSED = "the server refuses connections from this machine"
    DIALECT_REFUSED = "the server does not support SMB 2 or 3"
    BUSY = "the server refuses more work for now"
    ANSWER_INVALID = "the server sent an invalid response"
    # Protection
    UNPROTECTED = "the connection is not secure"
    ENCRYPTION_NOT_OFFERED = "the server does not offer encryption"
    # The login
    LOGIN_FAILED = "the server refused the login"
    GUEST = "the server mapped the user to a guest"
    ACCOUNT_RESTRICTED = "the account is restricted"
    ACCOUNT_DISABLED = "the account is disabled"
    ACCOUNT_EXPIRED = "the account has expired"
    ACCOUNT_LOCKED = "the account is locked"
    PASSWORD_EXPIRED = "the password has expired"
    LOGON_HOURS = "the account may not log in at this time"
    WORKSTATION_REFUSED = "the account may not log in from this machine"
    LOGON_TYPE_REFUSED = "the account may not log in over the network"
    NTLM_BLOCKED = "the server does not permit NTLM"
    # The share
    SHARE_NOT_FOUND = "the server has no such share"
    NAMESPACE_ENDLESS = "its DFS namespace refers on without an end"
    # A file or directory
    NOT_FOUND = "it does not exist"
    EXISTS = "it exists already"
    DENIED = "access is denied"
    LINK_ON_PATH = "a link is on the way to it"
    FULL = "the disk is full"
    QUOTA_REACHED = "the user's quota is reached"
    PATH_TOO_LONG = "the path is too long"
    NAME_INVALID = "the server does not accept the name"
    OTHER = "the server returned an error"


class SmbError(Exception):
    """A failure of the client. ``about`` is the object that failed, if it is not the object of the caller."""

    def __init__(self, failure: Failure, reason: str = "", *, about: str = "") -> None:
        super().__init__(reason or failure.value)
        self.failure = failure
        self.reason = reason or failure.value
        self.about = about


class LinkLost(SmbError):
    """This link can't be used any more; another one may work."""

    def __init__(self, reason: str) -> None:
        super().__init__(Failure.LINK_LOST, reason)


class Refused(SmbError):
    """The server answered a request with an error."""

    def __init__(self, status: int, about: str = "") -> None:
        super().__init__(_OF_A_PATH.get(status, Failure.OTHER), _words(status), about=about)
        self.status = status


_OF_A_PATH = {
    **dict.fromkeys(ABSENT, Failure.NOT_FOUND),
    NOT_A_DIRECTORY: Failure.NOT_FOUND,
    NAME_COLLISION: Failure.EXISTS,
    **dict.fromkeys(_DENIED, Failure.DENIED),
    **dict.fromkeys([0x8000002D, 0xC0000280, 0xC000050B], Failure.LINK_ON_PATH),
    **dict.fromkeys(FULL, Failure.FULL),
    **dict.fromkeys([QUOTA_EXCEEDED, 0xC0000802], Failure.QUOTA_REACHED),
    **dict.fromkeys([0xC0000106, 0xC0000095], Failure.PATH_TOO_LONG),
    **dict.fromkeys([0xC0000033, 0xC000003B, 0xC0000039], Failure.NAME_INVALID),
}
_OF_A_LOGIN = {
    **dict.fromkeys(_WRONG_LOGIN, (Failure.LOGIN_FAILED, "user name or password is wrong")),
    0xC0000133: (Failure.LOGIN_FAILED, "the clocks of this machine and of the domain controller differ too much"),
    0xC000018A: (Failure.LOGIN_FAILED, "the server has no trust account in its domain"),
    0xC000018B: (Failure.LOGIN_FAILED, "the domain does not know the server"),
    0xC000018C: (Failure.LOGIN_FAILED, "the trust between the server's domain and the user's is broken"),
    0xC000018D: (Failure.LOGIN_FAILED, "the trust between the server and its domain is broken"),
    0xC000006E: (
        Failure.ACCOUNT_RESTRICTED,
        "the account is restricted, for instance to passwords that are not empty",
    ),
    0xC000006F: (Failure.LOGON_HOURS, ""),
    0xC0000070: (Failure.WORKSTATION_REFUSED, ""),
    0xC0000071: (Failure.PASSWORD_EXPIRED, "it has expired"),
    0xC0000072: (Failure.ACCOUNT_DISABLED, ""),
    0xC000015B: (Failure.LOGON_TYPE_REFUSED, ""),
    0xC0000193: (Failure.ACCOUNT_EXPIRED, "its end date has passed"),
    0xC0000224: (Failure.PASSWORD_EXPIRED, "the server requires a new password at this login"),
    0xC0000234: (Failure.ACCOUNT_LOCKED, ""),
    0xC0000413: (
        Failure.ACCOUNT_RESTRICTED,
        "selective authentication of its domain does not permit it on this server",
    ),
    0xC0000418: (Failure.NTLM_BLOCKED, ""),
    **dict.fromkeys(
        _DENIED,
        (
            Failure.LOGIN_FAILED,
            "the server refuses this user, or requires an encryption that was not negotiated",
        ),
    ),
}
# Refusals that are about the server and not about the account: another server may accept the same password.
REASONS_OF_A_SERVER = frozenset(
    [_OF_A_LOGIN[status][1] for status in (0xC0000133, 0xC000018A, 0xC000018B, 0xC000018C, 0xC000018D)]
    + [Failure.GUEST.value]
)
# Conditions that end on their own.
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


def from_login(status: int, share: str) -> SmbError:
    """Return the failure for the answer to a login that was to open ``share``."""
    if status in _OF_A_LOGIN:
        return SmbError(*_OF_A_LOGIN[status])
    if status in _BUSY:
        return SmbError(Failure.BUSY, _BUSY[status])
    return SmbError(Failure.OTHER, _words(status), about=share)


def from_share(status: int, share: str) -> SmbError:
    """Return the failure for the answer to connecting to ``share``."""
    if status == BAD_NETWORK_NAME:
        return SmbError(Failure.SHARE_NOT_FOUND)
    if status in _BUSY:
        return SmbError(Failure.BUSY, _BUSY[status])
    return Refused(status, "the share " + share)


def _words(status: int) -> str:
    known = _WORDS.get(status)
    return "%s (status 0x%08X)" % (known, status) if known else "the server returned status 0x%08X" % status
