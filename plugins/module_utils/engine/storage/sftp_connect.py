# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From settings to an SFTP session: address, host key, login. Nothing is sent to a server whose key is not known."""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import threading
import time
from typing import Any, Callable, Iterator, List, Mapping, NamedTuple, Optional, Tuple
from urllib.parse import unquote, urlsplit

from .._libraries import paramiko
from ..errors import (
    StorageCredentialInvalid,
    StorageError,
    StorageFailed,
    StorageLoginFailed,
    StorageUnreachable,
    StorageUrlInvalid,
)
from .contract import ServerKey
from .sftp_hostkey import RSA_TYPES, HostKeys
from .sftp_session import SessionLost, SftpSession

_PORT = 22
_KEEPALIVE_SECONDS = 15
_CONNECT_SECONDS = 30.0
# What the server may send before we take it from the channel; requests in flight bound what it has reason to send.
_WINDOW_BYTES = 32 << 20
_PACKET_BYTES = 32 << 10
# One pass over the data instead of two (cipher, then MAC): these make the most of a slow processor.
_FAST_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")


_REASONS = {
    "No existing session": "it did not answer within %d seconds" % _CONNECT_SECONDS,
    "Error reading SSH protocol banner": "it closed the connection without a greeting, or gave none in time",
}


class SftpAddress(NamedTuple):
    host: str
    port: int
    path: str

    @property
    def server(self) -> str:
        name = "[%s]" % self.host if ":" in self.host else self.host
        return name if self.port == _PORT else "%s:%d" % (name, self.port)


def parse_url(url: str) -> SftpAddress:
    """Split ``sftp://server:port/path``; ``%20`` and the like are decoded; ``/~/path`` is relative to the home directory.

    :raises StorageUrlInvalid: when it is not of that form.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORT
    except ValueError as error:
        raise StorageUrlInvalid(url=url, reason=str(error)) from None
    path = unquote(parts.path).rstrip("/") or "/"
    reason = ""
    if not host:
        reason = "it names no server"
    elif parts.username is not None or parts.query or parts.fragment:
        reason = "it holds more than server, port and path"
    elif "\0" in path or ".." in path.split("/"):
        reason = "its path leaves itself"
    if reason or not host:
        raise StorageUrlInvalid(url=url.split("?")[0] if parts.username is None else "sftp://...", reason=reason)
    return SftpAddress(host, port, path[3:] if path.startswith("/~/") else path)


class SftpConnector:
    """Makes sessions, one after the other: what it learned about the host key holds for all of them."""

    def __init__(
        self, address: SftpAddress, settings: Mapping[str, Any], warn: Callable[[str], None], timeout_seconds: float
    ) -> None:
        self._address = address
        self._timeout_seconds = timeout_seconds
        self._host_keys = HostKeys(address.host, address.port, address.server, settings, warn)
        self._username = str(settings.get("username") or "")
        self._password = str(settings.get("password") or "")
        if not self._username:
            raise StorageCredentialInvalid(setting="username", reason="an SFTP server needs one")
        self._shown = b""
        self._transport: Any = None
        self._key = _private_key(settings)
        if self._key is None and not self._password:
            raise StorageCredentialInvalid(setting="password", reason="neither a password nor a private key was given")

    @property
    def server_key(self) -> Optional[ServerKey]:
        return self._host_keys.shown

    def connect(self) -> SftpSession:
        """Connect, check the host key, log in, start SFTP.

        :raises StorageUnreachable, StorageHostKeyUnknown, StorageHostKeyChanged, StorageLoginFailed, StorageFailed:
        """
        types: Optional[List[str]] = self._host_keys.types()
        self._shown = b""
        while True:
            transport = self._open()
            try:
                with _closed_after(2 * _CONNECT_SECONDS, transport):
                    return self._log_in(transport, types)
            except _OtherHostKey as other:
                transport.close()
                types = other.types_left
            except BaseException:
                transport.close()
                raise

    def connect_beside(self) -> Optional[SftpSession]:
        """Start SFTP once more on the connection that is there; None where the server permits it once only.

        Only OpenSSH is asked: ProFTPD accepts more channels and then answers on none (1.3.8, mod_sftp 1.1.1).

        A server takes a bounded number of bytes that it has not acknowledged on each channel (OpenSSH: 2 MiB), which over a
        long way is what limits a channel.
        """
        if not _is_openssh(self._transport):
            return None
        try:
            channel = self._transport.open_session(_WINDOW_BYTES, _PACKET_BYTES, timeout=_CONNECT_SECONDS)
            with _closed_after(_CONNECT_SECONDS, channel):
                channel.invoke_subsystem("sftp")
                return SftpSession(channel, channel.close, self._timeout_seconds, is_openssh=True)
        except (paramiko().SSHException, EOFError, OSError, SessionLost):
            return None

    def _open(self) -> Any:
        address = self._address
        try:
            connection = socket.create_connection((address.host, address.port), _CONNECT_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        except (OSError, UnicodeError) as error:
            raise self._unreachable(getattr(error, "strerror", None) or str(error)) from None
        # Without a handler Python would print what paramiko logs, tracebacks and a hostile server's words included.
        logger = logging.getLogger("paramiko")
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
        return paramiko().Transport(_PatientSocket(connection, self._timeout_seconds))

    def _log_in(self, transport: Any, types: Optional[List[str]]) -> SftpSession:
        ssh_error = paramiko().SSHException
        transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = _CONNECT_SECONDS
        _prefer(transport, types)
        try:
            transport.start_client(timeout=_CONNECT_SECONDS)
            key = transport.get_remote_server_key()  # start_client returns without a word when its time is over
        except (ssh_error, EOFError, OSError) as error:
            if type(error).__name__ == "IncompatiblePeer" and types is not None:
                if self._shown:
                    self._host_keys.refuse(self._shown)
                self._host_keys.refuse(None)
            raise self._unreachable(_reason(error)) from None
        self._check_host_key(transport, key)
        try:
            self._authenticate(transport)
            channel = transport.open_session(_WINDOW_BYTES, _PACKET_BYTES, timeout=_CONNECT_SECONDS)
            channel.invoke_subsystem("sftp")
            transport.set_keepalive(_KEEPALIVE_SECONDS)
            self._transport = transport
            return SftpSession(channel, transport.close, self._timeout_seconds, _is_openssh(transport))
        except (ssh_error, EOFError, OSError, SessionLost) as error:
            if transport.is_active() and transport.is_authenticated():
                raise StorageFailed(
                    operation="starting SFTP",
                    path=self._address.path,
                    storage=self._address.server,
                    reason="the server has no SFTP for this user (%s)" % _reason(error),
                ) from None
            raise self._unreachable(_reason(error)) from None

    def _check_host_key(self, transport: Any, key: Any) -> None:
        if self._host_keys.is_known(key.asbytes()):
            return
        self._shown = self._shown or key.asbytes()
        used = RSA_TYPES if key.get_name() in RSA_TYPES else (key.get_name(),)
        left = [name for name in transport.get_security_options().key_types if name not in used]
        if self._host_keys.may_be_of_another_type and left:
            raise _OtherHostKey(left)
        self._host_keys.refuse(key.asbytes())

    def _authenticate(self, transport: Any) -> None:
        library = paramiko()
        try:
            if self._key is not None:
                try:
                    transport.auth_publickey(self._username, self._key)
                    if transport.is_authenticated():
                        return
                except library.AuthenticationException:
                    if not self._password or not transport.is_active():
                        raise
            transport.auth_password(self._username, self._password)
            if not transport.is_authenticated():
                raise library.AuthenticationException("more is asked for than a password or a key")
        except library.BadAuthenticationType as error:
            allowed = ", ".join(str(kind)[:40] for kind in list(error.allowed_types)[:5])
            reason = "it accepts only %s" % allowed if allowed else "it offers this user no way to log in"
            raise self._login_failed(reason) from None
        except library.AuthenticationException as error:
            text = str(error).lower()
            if "timeout" in text or "transport shut down" in text or "eof" in text:
                raise self._unreachable("the connection was lost during the login") from None
            raise self._login_failed("the key was not accepted" if not self._password else "wrong password") from None

    def _login_failed(self, reason: str) -> StorageError:
        return StorageLoginFailed(storage=self._address.server, username=self._username, reason=reason)

    def _unreachable(self, reason: str) -> StorageError:
        return StorageUnreachable(storage="sftp://%s" % self._address.server, reason=reason)


class _OtherHostKey(Exception):
    """The server showed a key of one type; the fingerprint given may belong to another of its keys."""

    def __init__(self, types_left: List[str]) -> None:
        self.types_left = types_left
        super().__init__()


class _PatientSocket:
    """A socket whose sends end. paramiko repeats a send that timed out for as long as the transport lives, so a peer
    that stops reading would hold the sending thread for ever."""

    def __init__(self, connection: socket.socket, limit_seconds: float) -> None:
        self._connection = connection
        self._limit_seconds = limit_seconds
        self._stuck_since: Optional[float] = None

    def send(self, data: bytes) -> int:
        try:
            sent = self._connection.send(data)
        except (socket.timeout, BlockingIOError):
            now = time.monotonic()
            if self._stuck_since is None:
                self._stuck_since = now
            elif now - self._stuck_since > self._limit_seconds:
                raise ConnectionAbortedError("the peer stopped reading") from None
            raise socket.timeout from None
        self._stuck_since = None
        return sent

    def recv(self, length: int) -> bytes:
        return self._connection.recv(length)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def _prefer(transport: Any, types: Optional[List[str]]) -> None:
    options = transport.get_security_options()
    known = list(options.ciphers)
    fast = [name for name in _FAST_CIPHERS if name in known]
    options.ciphers = fast + [name for name in known if name not in fast]
    if types is not None:
        chosen = [name for name in options.key_types if name in types]
        options.key_types = chosen or list(options.key_types)


def _reason(error: BaseException) -> str:
    """What paramiko says, without what a server may have put into it; in words of ours where its own mean nothing."""
    text = str(error) or type(error).__name__
    for theirs, ours in _REASONS.items():
        if text.startswith(theirs):
            return ours
    return "".join(character for character in text[:120] if character.isprintable()).rstrip(".")


@contextlib.contextmanager
def _closed_after(seconds: float, what: Any) -> Iterator[None]:
    """Close a transport or a channel when the block takes longer: several of paramiko's waits have no end of their own."""
    limit = threading.Timer(seconds, what.close)
    limit.daemon = True
    limit.start()
    try:
        yield
    finally:
        limit.cancel()


def _private_key(settings: Mapping[str, Any]) -> Any:
    """:raises StorageCredentialInvalid: when a key is given and can't be used."""
    name, text = "private_key", str(settings.get("private_key") or "")
    path = str(settings.get("private_key_file") or "")
    if path and not text:
        name = "private_key_file"
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                text = file.read(1 << 16)
        except OSError as error:
            raise StorageCredentialInvalid(setting=name, reason="%s: %s" % (path, error.strerror)) from None
    if not text:
        return None
    passphrase = str(settings.get("private_key_passphrase") or "") or None
    library = paramiko()
    locked = False
    for kind in (library.Ed25519Key, library.ECDSAKey, library.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(text.strip() + "\n"), passphrase)
        except library.PasswordRequiredException:
            locked = True
        except Exception:  # the library raises what its parsers happen to raise; no text of theirs is shown
            continue
    if locked:
        raise StorageCredentialInvalid(setting=name, reason="it is locked; give private_key_passphrase")
    reason = "it is no Ed25519, ECDSA or RSA key in the format of OpenSSH or PEM"
    raise StorageCredentialInvalid(
        setting=name, reason="private_key_passphrase does not open it, or %s" % reason if passphrase else reason
    )


def describe(address: SftpAddress) -> Tuple[str, str]:
    """Return the name of the storage in messages, and its root on the server."""
    root = address.path
    return "sftp://%s%s" % (address.server, root if root.startswith("/") else "/~/" + root), root


def _is_openssh(transport: Any) -> bool:
    return "OpenSSH" in str(transport.remote_version)
