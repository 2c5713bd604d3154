# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts SFTP after a login, and reports what came in its place. Diagnostics are collected before the connection is closed."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import Any, Callable, Iterator

from ..._libraries import paramiko
from ...errors import (
    StorageError,
    StoragePasswordExpired,
    StorageSessionCut,
    StorageSessionFailed,
    StorageSessionRefused,
    StorageSftpDisturbed,
    StorageSftpMissing,
)
from .login import PASSWORD_EXPIRED, Account
from .session import SessionLost, SftpSession
from .transport import quoted, readable

# The channel's window: what the server may send before it is read; requests in flight bound what it has reason to send.
_WINDOW_BYTES = 32 << 20
_PACKET_BYTES = 32 << 10
_LAST_WORDS_SECONDS = 1.5
_SERVER_FAILED = 255  # how OpenSSH's own process ends that can't go where it should [log.c, fatal]
_STATUS_WORDS = {
    # OpenSSH drops what is said on the error output here [session.c, do_exec_no_pty], so that the status is all there is.
    1: (
        "the program that it started for SFTP ended at once; the password of this account may have "
        "expired, or its shell may be nologin or false"
    ),
    126: "the program of its SFTP subsystem can't be started",
    127: "the program of its SFTP subsystem is missing",
}


def start_sftp(
    transport: Any, account: Account, seconds: float, timeout_seconds: float, is_openssh: bool
) -> SftpSession:
    """Open a channel on a connection that is logged in and start SFTP on it.

    :raises StorageError: for each cause another one.
    """
    closer = _Closer(transport.close)
    channel: Any = None
    try:
        channel = transport.open_session(_WINDOW_BYTES, _PACKET_BYTES, timeout=seconds)
        channel.invoke_subsystem("sftp")
        session = SftpSession(channel, closer, timeout_seconds, is_openssh)
    except (paramiko().SSHException, EOFError, OSError, SessionLost) as error:
        raise _why(transport, channel, account, error) from None
    closer.is_armed = True
    return session


def start_beside(transport: Any, seconds: float, timeout_seconds: float) -> SftpSession:
    """Start SFTP again on a connection that has it.

    :raises paramiko.SSHException, EOFError, OSError, SessionLost: where the server permits it once only.
    """
    channel = transport.open_session(_WINDOW_BYTES, _PACKET_BYTES, timeout=seconds)
    with closed_after(seconds, channel):
        channel.invoke_subsystem("sftp")
        return SftpSession(channel, channel.close, timeout_seconds, is_openssh=True)


class _Closer:
    """Closes a connection, but not before it has been asked why SFTP did not start."""

    def __init__(self, close: Callable[[], None]) -> None:
        self._close = close
        self.is_armed = False

    def __call__(self) -> None:
        if self.is_armed:
            self._close()


def _why(transport: Any, channel: Any, account: Account, error: Exception) -> StorageError:
    named = {"storage": account.server, "username": account.username}
    if channel is None:
        if type(error).__name__ == "ChannelException":
            return StorageSessionRefused(reason=readable(str(error).encode("utf-8", "replace")), **named)
        return _cut(transport, named)
    channel.status_event.wait(_LAST_WORDS_SECONDS)
    status = channel.exit_status if channel.exit_status >= 0 else None
    said = readable(channel.recv_stderr(4096) if channel.recv_stderr_ready() else b"")
    received = getattr(error, "received", b"")
    came = readable(received) if _is_text(received) else ""
    banner = transport.auth_handler.banner_text if transport.auth_handler is not None else ""
    for words in (said, came, banner):
        if PASSWORD_EXPIRED.search(words):
            return StoragePasswordExpired(reason="it says %s" % quoted(words), **named)
    if status == _SERVER_FAILED:
        reason = "the server's own process ended (exit status %d)" % status
        return StorageSessionFailed(reason=reason, **named)
    if status is not None:
        told = said or came
        reason = "the program that it started for SFTP ended at once"
        if status != 1 or not told:
            reason = _STATUS_WORDS.get(status, reason)
        reason += " (exit status %d%s)" % (status, ", %s" % quoted(told) if told else "")
        return StorageSftpMissing(reason=reason, **named)
    if received:
        words = quoted(came) if came else "%d bytes that are not SFTP" % len(received)
        return StorageSftpDisturbed(reason=words, **named)
    if not transport.is_active():
        return _cut(transport, named)
    if isinstance(error, SessionLost):
        return StorageSessionCut(reason=": %s" % (said or error), **named)
    return StorageSftpMissing(reason="it has no SFTP subsystem for this user", **named)


def _cut(transport: Any, named: Any) -> StorageError:
    words = transport.farewell
    return StorageSessionCut(reason=": it says %s" % quoted(words) if words else "", **named)


def _is_text(data: bytes) -> bool:
    """Whether what came looks like words: a length of SFTP begins with a byte that no text has."""
    head = data[:16].strip(b"\r\n\t")
    return bool(data) and data[:1] != b"\0" and all(byte >= 32 or byte in b"\r\n\t\x1b" for byte in head[:3])


@contextmanager
def closed_after(seconds: float, what: Any) -> Iterator[None]:
    """Close a transport or a channel when the block takes longer: several of paramiko's waits have no time limit."""
    limit = threading.Timer(seconds, what.close)
    limit.daemon = True
    limit.start()
    try:
        yield
    finally:
        limit.cancel()
