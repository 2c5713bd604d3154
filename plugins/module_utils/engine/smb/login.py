# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From settings to an authenticated link: server, protection, login, share. Guests and unsigned sessions never pass."""

from __future__ import annotations

import re
import socket
from typing import Any, Callable, List, Mapping, NamedTuple, Tuple

from .._libraries import ntlm_credential, smbprotocol
from . import dfs as smb_dfs
from .connection import AnswerUnprotected, RequestTimedOut, open_connection
from .errors import ACCESS_DENIED, Failure, SmbError, from_login, from_share
from .link import SmbLink
from .smb_one import speaks_smb_1
from .transport import ForeignServer, SessionRefused
from .unc import UncPath, parse_unc

_PORT = 445
_SMB_3 = 0x0300
_MOST_HOPS = 4
_MAX_WORDS = 200
# Another target of a name space may do what this one does not.
_TRY_ANOTHER = frozenset([Failure.SERVER_NOT_FOUND, Failure.UNREACHABLE, Failure.SHARE_NOT_FOUND])


class SmbPeer(NamedTuple):
    """The name in messages: never the password."""

    address: str
    server: str
    share: str
    username: str


def _principal(username: str) -> str:
    """Return the name that Kerberos knows: ``domain\\user`` tells of the realm only where the domain is its full name."""
    domain, separator, user = username.rpartition("\\")
    if not separator or "@" in user:
        return user
    return "%s@%s" % (user, domain.upper()) if "." in domain.strip(".") else user


def _why_no_ticket(error: Exception, has_password: bool) -> str:
    """Say in the words of the Kerberos library what is missing."""
    about = "" if has_password else "password is not set, and "
    if isinstance(error, ImportError):
        return about + "Kerberos needs the Python packages gssapi and krb5"
    major, minor = (re.search(kind + r" \(-?\d+\): (.*?)(?:, |$)", str(error)) for kind in ("Major", "Minor"))
    # A minor "Success" says nothing; a major "Unspecified" says that the minor does.
    told = minor if minor is not None and minor.group(1) != "Success" else major
    words = told.group(1)[:_MAX_WORDS].rstrip(". ") if told is not None else "it does not work"
    return about + "Kerberos reports: %s" % words


def _folded(unc: UncPath) -> List[str]:
    return [name.casefold() for name in (unc.server, unc.share, *unc.names)]


class SmbConnector:
    """Makes links, one after the other, from one set of settings."""

    _guesses_encryption = True  # a server that denies access to SMB 2 may demand encryption, which only SMB 3 has

    def __init__(self, unc: UncPath, settings: Mapping[str, Any], timeout_seconds: float) -> None:
        self._port = int(settings.get("port") or _PORT)
        self._timeout_seconds = timeout_seconds
        self._password = str(settings.get("password") or "")
        self._must_encrypt = bool(settings.get("require_encryption"))
        self._own_ntlm = bool(settings.get("own_ntlm"))
        self._is_kerberos = not self._password
        username = str(settings.get("username") or "")
        if not username:
            raise SmbError(Failure.USERNAME_MISSING)
        server = unc.server if self._port == _PORT else "%s (port %d)" % (unc.server, self._port)
        self.peer = SmbPeer(str(unc), server, unc.share, username)
        self._unc = unc

    def connect(self) -> SmbLink:
        """Connect, agree on protection, log in, connect to the share; a DFS name space is followed to where it leads.

        :raises SmbError: with the reason for which it is impossible.
        """
        return self._reach(self._unc, _MOST_HOPS)

    def _reach(self, unc: UncPath, hops_left: int) -> SmbLink:
        connection = self._connect(unc.host)
        try:
            self._check_protection(connection)
            session = self._log_in(connection)
            tree, elsewhere = self._place_of(connection, session, unc)
            if not elsewhere:
                return SmbLink(connection, session, tree, "\\".join(unc.names))
        except BaseException:
            connection.disconnect(False)
            raise
        connection.disconnect(False)
        return self._reach_one_of(elsewhere, hops_left)

    def _reach_one_of(self, targets: List[UncPath], hops_left: int) -> SmbLink:
        """The first target that answers: the server names the nearest first."""
        if not hops_left:
            raise SmbError(Failure.NAMESPACE_ENDLESS, about="it")
        for number, target in enumerate(targets, 1):
            try:
                return self._reach(target, hops_left - 1)
            except SmbError as error:
                if error.failure not in _TRY_ANOTHER or number == len(targets):
                    raise
        raise AssertionError("it has no target")

    def _place_of(self, connection: Any, session: Any, unc: UncPath) -> Tuple[Any, List[UncPath]]:
        """Return the connected share, and where its path leads instead."""
        tree = None
        try:
            tree = self._share(connection, session, unc)
        except SmbError as error:
            if error.failure is not Failure.SHARE_NOT_FOUND:
                raise
            # a domain's name space is not a share of one of its servers
            targets = self._targets(connection, session, unc)
            if not targets:
                raise
            return None, targets
        targets = self._targets(connection, session, unc) if tree.is_dfs_share else []
        # In a DFS root our paths are plain; only one that leads to another server is answered with an error.
        tree.is_dfs_share = False
        return tree, targets

    def _targets(self, connection: Any, session: Any, unc: UncPath) -> List[UncPath]:
        try:
            found = smb_dfs.ask(connection, session, unc.server, str(unc))
        except Exception as error:
            raise self._failed(error, "resolving the DFS path") from error
        targets = [parse_unc(one) for one in found]
        here = _folded(unc)
        return [] if any(_folded(target) == here for target in targets) else targets

    def _connect(self, host: str) -> Any:
        try:
            return open_connection(host, self._port, self._timeout_seconds)
        except (socket.gaierror, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "its name is not valid"
            raise SmbError(Failure.SERVER_NOT_FOUND, reason) from None
        except OSError as error:
            reason = error.strerror or str(error) or "no answer"
            raise SmbError(Failure.UNREACHABLE, reason) from None
        except self._refusal() as error:
            reason = "no SMB version was negotiated (status 0x%08X)" % error.status
            raise SmbError(Failure.DIALECT_REFUSED, reason) from None
        except RequestTimedOut as error:
            raise SmbError(Failure.UNREACHABLE, str(error)) from None
        except ForeignServer as error:
            raise SmbError(Failure.FOREIGN_SERVER, str(error)) from None
        except SessionRefused:
            raise SmbError(Failure.HOST_REFUSED) from None
        except smbprotocol("exceptions").SMBConnectionClosed:
            if speaks_smb_1(host, self._port):
                raise SmbError(Failure.DIALECT_REFUSED, "it speaks SMB 1 (NT1) only") from None
            reason = "it closed the connection before an SMB version was negotiated"
            raise SmbError(Failure.UNREACHABLE, reason) from None
        except Exception as error:  # an answer that is not SMB can make the library raise anything
            reason = "the server does not speak SMB 2 or 3 (%s)" % (str(error)[:100] or type(error).__name__)
            raise SmbError(Failure.UNREACHABLE, reason) from error

    @staticmethod
    def _refusal() -> Any:
        return smbprotocol("exceptions").SMBResponseException

    def _check_protection(self, connection: Any) -> None:
        if self._must_encrypt and not connection.supports_encryption:
            reason = "the server does not offer encryption (SMB 0x%04X)" % connection.dialect
            raise SmbError(Failure.ENCRYPTION_NOT_OFFERED, reason)

    def _log_in(self, connection: Any) -> Any:
        exceptions = smbprotocol("exceptions")
        session = smbprotocol("session").Session(
            connection,
            self._credential(),
            None if self._own_ntlm else self._password or None,
            require_encryption=bool(connection.supports_encryption),
            auth_protocol="kerberos" if self._is_kerberos else "negotiate",
        )
        try:
            session.connect()
        except (exceptions.SMBAuthenticationError, ImportError) as error:  # of the gssapi package, where it is missing
            reason = "no login method was negotiated"
            if self._is_kerberos:
                reason = _why_no_ticket(error, bool(self._password))
            raise SmbError(Failure.LOGIN_FAILED, reason) from error
        except exceptions.SMBResponseException as error:
            raise self._refused("login", error.status, connection, from_login) from None
        except Exception as error:
            if session.session_id is None:  # how the library says that it was made a guest
                raise SmbError(Failure.GUEST) from None
            raise self._failed(error, "logging in") from error
        if session.signing_key is None:
            raise SmbError(Failure.GUEST)
        return session

    def _credential(self) -> Any:
        """The user as the login takes it. The login of Windows proves the password there, the engine does with ``own_ntlm``."""
        username = self.peer.username
        if self._is_kerberos:
            return _principal(username)
        return ntlm_credential(username, self._password) if self._own_ntlm else username

    def _share(self, connection: Any, session: Any, unc: UncPath) -> Any:
        name = "\\\\%s\\%s" % (unc.server, unc.share)
        tree = smbprotocol("tree").TreeConnect(session, name)
        try:
            tree.connect()
        except self._refusal() as error:
            raise self._refused("share", error.status, connection, from_share) from None
        except Exception as error:
            raise self._failed(error, "opening the share") from error
        return tree

    def _refused(self, step: str, status: int, connection: Any, told: Callable[[int, str], SmbError]) -> SmbError:
        """Return the failure for a login or a share that was refused; ``told`` knows what else the status says."""
        if status == ACCESS_DENIED and connection.dialect < _SMB_3 and self._guesses_encryption:
            reason = "the server refuses the %s; it may require encryption, which SMB 2 does not support" % step
            return SmbError(Failure.UNPROTECTED, reason)
        return told(status, self.peer.share)

    @staticmethod
    def _failed(error: Exception, operation: str) -> SmbError:
        if isinstance(error, AnswerUnprotected) or "Secure negotiate" in str(error) or "signature" in str(error):
            return SmbError(Failure.UNPROTECTED, "%s failed: %s" % (operation, error))
        reason = "%s failed: %s" % (operation, str(error)[:200] or type(error).__name__)
        return SmbError(Failure.UNREACHABLE, reason)


class DeviceConnector(SmbConnector):
    """Makes links to a share of a device: no name space leads elsewhere, and a refusal is one of rights."""

    _guesses_encryption = False

    def __init__(self, unc: UncPath, settings: Mapping[str, Any], timeout_seconds: float) -> None:
        """``kerberos``: a password is for Kerberos, not for NTLM.

        A password is given to one of them. To both it would count as several attempts where it is wrong: Kerberos asks the
        domain controller at once, and NTLM, which follows, lets the device ask it again.
        """
        super().__init__(unc, settings, timeout_seconds)
        self._is_kerberos = self._is_kerberos or bool(settings.get("kerberos"))
        self._own_ntlm = not self._is_kerberos  # its credential is one that Kerberos does not take

    def _place_of(self, connection: Any, session: Any, unc: UncPath) -> Tuple[Any, List[UncPath]]:
        tree = self._share(connection, session, unc)
        tree.is_dfs_share = False
        return tree, []
