# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From settings to an SFTP session: address, host key, login. A server with an unknown key receives no data."""

from __future__ import annotations

import socket
from copy import copy
from typing import Any, Callable, List, Mapping, NoReturn, Optional

from ..._libraries import paramiko
from ...errors import (
    StorageAlgorithmsDiffer,
    StorageCredentialInvalid,
    StorageError,
    StorageForeignServer,
    StorageServerNotFound,
    StorageUnreachable,
)
from ..contract import ServerKey
from .address import SftpAddress
from .hostkey import HostKeys
from .known_hosts import RSA_TYPES
from .login import Account, log_in
from .session import SessionLost, SftpSession
from .start import closed_after, start_beside, start_sftp
from .transport import key_types, missing, open_transport, prefer, quoted, readable
from .user_keys import private_key

_KEEPALIVE_SECONDS = 15
_CONNECT_SECONDS = 30.0
_REASONS = {
    "No existing session": "it did not respond within %d seconds" % _CONNECT_SECONDS,
    "Invalid packet blocking": "after its greeting it sent data that is not SSH",
    "Indecipherable protocol version": "it sent text instead of a greeting of SSH",
    "Error reading SSH protocol banner": "it closed the connection without a greeting, or sent none in time",
}
# How servers of HTTP, FTP, SMTP, POP and IMAP begin. (An sshd that is busy says so in words before its greeting.)
_FOREIGN = ("HTTP/", "220", "+OK", "* OK")


class SftpConnector:
    """Makes sessions, one after the other: what it learned about the host key holds for all of them."""

    def __init__(
        self, address: SftpAddress, settings: Mapping[str, Any], warn: Callable[[str], None], timeout_seconds: float
    ) -> None:
        self._address = address
        self._timeout_seconds = timeout_seconds
        self._host_keys = HostKeys(address.host, address.port, address.server, settings, warn)
        username, password = str(settings.get("username") or ""), str(settings.get("password") or "")
        if not username:
            raise StorageCredentialInvalid(setting="username", reason="an SFTP server requires a user name")
        self._shown = b""
        self._transport: Any = None
        self._account = Account(address.server, username, password, private_key(settings))
        if self._account.key is None and not password:
            raise StorageCredentialInvalid(setting="password", reason="neither password nor private_key is set")

    @property
    def server_key(self) -> Optional[ServerKey]:
        return self._host_keys.shown

    def connect(self) -> SftpSession:
        """Connect, check the host key, log in, start SFTP.

        :raises StorageError: for each cause another one (docs/errors.md, S).
        """
        only: Optional[List[str]] = None
        self._shown = b""
        while True:
            transport = self._open()
            try:
                with closed_after(2 * _CONNECT_SECONDS, transport):
                    return self._start(transport, only)
            except _OtherHostKey as other:
                transport.close()
                only = other.types_left
            except BaseException:
                transport.close()
                raise

    def connect_apart(self) -> SftpSession:
        """Another connection; the first one stays the one for :meth:`connect_beside`, which other threads may call.

        :raises StorageError: as :meth:`connect`.
        """
        return copy(self).connect()

    def connect_beside(self) -> Optional[SftpSession]:
        """Start SFTP again on the same connection; or None if the server permits it once only.

        Only OpenSSH is asked: ProFTPD accepts more channels and then answers on none (1.3.8, mod_sftp 1.1.1).

        A server takes a bounded number of bytes that it has not acknowledged on each channel (OpenSSH: 2 MiB), which over a
        long way is what limits a channel.
        """
        if not _is_openssh(self._transport):
            return None
        try:
            return start_beside(self._transport, _CONNECT_SECONDS, self._timeout_seconds)
        except (paramiko().SSHException, EOFError, OSError, SessionLost):
            return None

    def _open(self) -> Any:
        address = self._address
        try:
            connection = socket.create_connection((address.host, address.port), _CONNECT_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        except (socket.gaierror, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "its name is not valid"
            raise StorageServerNotFound(
                server=address.host, storage="sftp://%s" % address.server, reason=reason
            ) from None
        except OSError as error:
            raise self._unreachable(error.strerror or str(error)) from None
        return open_transport(connection, self._timeout_seconds)

    def _start(self, transport: Any, only: Optional[List[str]]) -> SftpSession:
        self._shake_hands(transport, only)
        log_in(transport, self._account)
        session = start_sftp(transport, self._account, _CONNECT_SECONDS, self._timeout_seconds, _is_openssh(transport))
        transport.set_keepalive(_KEEPALIVE_SECONDS)
        self._transport = transport
        return session

    def _shake_hands(self, transport: Any, only: Optional[List[str]]) -> None:
        """Agree on algorithms and check the host key."""
        transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = _CONNECT_SECONDS
        prefer(transport, self._host_keys.types(), only)
        try:
            transport.start_client(timeout=_CONNECT_SECONDS)
            key = transport.get_remote_server_key()  # start_client returns without a word when its time is over
        except (paramiko().SSHException, EOFError, OSError) as error:
            self._explain(transport, error)
        self._check_host_key(transport, key)

    def _explain(self, transport: Any, error: Exception) -> NoReturn:
        """Raise why the two sides did not come to terms."""
        if type(error).__name__ == "IncompatiblePeer":
            lacking = missing(transport)
            if lacking is not None and lacking.kind == "host key" and self._shown:
                self._host_keys.refuse(self._shown)  # it has no key of another type
            if lacking is None:
                raise StorageAlgorithmsDiffer(
                    server=self._address.server, kind="version of SSH", theirs=readable(str(error).encode()), ours="2.0"
                ) from None
            raise StorageAlgorithmsDiffer(server=self._address.server, **lacking._asdict()) from None
        reason = _reason(error)
        said = [line for line in transport.greeting if line and not line.startswith("SSH-")]
        if said and said[0].startswith(_FOREIGN):
            raise StorageForeignServer(storage="sftp://%s" % self._address.server, kind="SSH", words=said[0]) from None
        if transport.farewell or said:
            reason = "%s; the server says %s" % (reason, quoted(transport.farewell or said[0]))
        raise self._unreachable(reason) from None

    def _check_host_key(self, transport: Any, key: Any) -> None:
        certificate = getattr(getattr(key, "public_blob", None), "key_blob", None)
        if self._host_keys.is_known(key.asbytes(), certificate):
            return
        self._shown = self._shown or key.asbytes()
        used = RSA_TYPES if key.get_name() in RSA_TYPES else (key.get_name(),)
        left = [name for name in key_types(transport) if name not in used]
        if self._host_keys.may_be_of_another_type and left:
            raise _OtherHostKey(left)
        self._host_keys.refuse(key.asbytes(), certificate)

    def _unreachable(self, reason: str) -> StorageError:
        return StorageUnreachable(storage="sftp://%s" % self._address.server, reason=reason)


class _OtherHostKey(Exception):
    """The server showed a key of one type; the fingerprint given may belong to another of its keys."""

    def __init__(self, types_left: List[str]) -> None:
        self.types_left = types_left
        super().__init__()


def _reason(error: BaseException) -> str:
    """The message of paramiko without text of the server; our own words if it has no meaning."""
    if isinstance(error, EOFError):
        return "it closed the connection after its greeting"
    text = str(error) or type(error).__name__
    for theirs, ours in _REASONS.items():
        if text.startswith(theirs):
            return ours
    return "".join(character for character in text[:120] if character.isprintable()).rstrip(".")


def _is_openssh(transport: Any) -> bool:
    return "OpenSSH" in str(transport.remote_version)
