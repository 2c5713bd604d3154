# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From settings to an authenticated link: server, protection, login, share. Guests and unsigned sessions never pass."""

from __future__ import annotations

import re
import socket
from typing import Any, List, Mapping, Tuple

from .._libraries import smbprotocol
from ..errors import (
    StorageCredentialInvalid,
    StorageDialectRefused,
    StorageFailed,
    StorageForeignServer,
    StorageGuestRefused,
    StorageHostRefused,
    StorageLoginFailed,
    StorageProtectionRefused,
    StorageServerNotFound,
    StorageShareNotFound,
    StorageUnreachable,
)
from . import dfs as smb_dfs
from .connection import AnswerUnprotected, RequestTimedOut, open_connection
from .errors import ACCESS_DENIED, Place, from_login, from_share
from .link import SmbLink
from .smb_one import speaks_smb_1
from .transport import ForeignServer, SessionRefused
from .unc import UncPath, parse_unc

_PORT = 445
_SMB_3 = 0x0300
_MOST_HOPS = 4
_MAX_WORDS = 200


def _principal(username: str) -> str:
    """Return the name that Kerberos knows: ``domain\\user`` tells of the realm only where the domain is its full name."""
    domain, separator, user = username.rpartition("\\")
    if not separator or "@" in user:
        return user
    return "%s@%s" % (user, domain.upper()) if "." in domain.strip(".") else user


def _why_no_ticket(error: Exception) -> str:
    """Say in the words of the Kerberos library what is missing."""
    if isinstance(error, ImportError):
        return "password is not set, and Kerberos needs the Python packages gssapi and krb5"
    major, minor = (re.search(kind + r" \(-?\d+\): (.*?)(?:, |$)", str(error)) for kind in ("Major", "Minor"))
    # A minor "Success" says nothing; a major "Unspecified" says that the minor does.
    told = minor if minor is not None and minor.group(1) != "Success" else major
    words = told.group(1)[:_MAX_WORDS].rstrip(". ") if told is not None else "it does not work"
    return "password is not set, and Kerberos reports: %s" % words


def _folded(unc: UncPath) -> List[str]:
    return [name.casefold() for name in (unc.server, unc.share, *unc.names)]


class SmbConnector:
    """Makes links, one after the other, from one set of settings."""

    def __init__(self, unc: UncPath, settings: Mapping[str, Any], timeout_seconds: float) -> None:
        self._port = int(settings.get("port") or _PORT)
        self._timeout_seconds = timeout_seconds
        self._password = str(settings.get("password") or "")
        self._must_encrypt = bool(settings.get("require_encryption"))
        username = str(settings.get("username") or "")
        if not username:
            raise StorageCredentialInvalid(
                setting="username", reason="a share requires a user name, because guest access is not supported"
            )
        server = unc.server if self._port == _PORT else "%s (port %d)" % (unc.server, self._port)
        storage = "\\\\" + "\\".join((unc.server, unc.share) + unc.names)
        self.place = Place(storage, server, unc.share, username)
        self._unc = unc

    def connect(self) -> SmbLink:
        """Connect, agree on protection, log in, connect to the share; a DFS name space is followed to where it leads.

        :raises StorageServerNotFound, StorageUnreachable, StorageLoginFailed, StorageAccountBlocked,
            StorageGuestRefused, StorageProtectionRefused, StorageShareNotFound, StoragePermissionDenied: as they say.
        """
        return self._reach(self._unc, _MOST_HOPS)

    def _reach(self, unc: UncPath, hops_left: int) -> SmbLink:
        connection = self._connect(unc.host)
        try:
            self._check_protection(connection)
            session = self._log_in(connection)
            tree, elsewhere = self._place_of(connection, session, unc)
            if not elsewhere:
                return SmbLink(connection, session, tree, self.place.storage, "\\".join(unc.names))
        except BaseException:
            connection.disconnect(False)
            raise
        connection.disconnect(False)
        return self._reach_one_of(elsewhere, hops_left)

    def _reach_one_of(self, targets: List[UncPath], hops_left: int) -> SmbLink:
        """The first target that answers: the server names the nearest first."""
        if not hops_left:
            reason = "its DFS namespace refers on without an end"
            raise StorageFailed(operation="opening", path="it", storage=self.place.storage, reason=reason)
        for number, target in enumerate(targets, 1):
            try:
                return self._reach(target, hops_left - 1)
            except (StorageServerNotFound, StorageUnreachable, StorageShareNotFound):
                if number == len(targets):
                    raise
        raise AssertionError("it has no target")

    def _place_of(self, connection: Any, session: Any, unc: UncPath) -> Tuple[Any, List[UncPath]]:
        """Return the connected share, and where its path leads instead."""
        tree = None
        try:
            tree = self._share(connection, session, unc)
        except StorageShareNotFound:
            targets = self._targets(connection, session, unc)  # a domain's own name space is no share of its servers
            if not targets:
                raise
            return None, targets
        targets = self._targets(connection, session, unc) if tree.is_dfs_share else []
        # In a DFS root our paths are plain; only one that leads to another server is answered with an error.
        tree.is_dfs_share = False
        return tree, targets

    def _targets(self, connection: Any, session: Any, unc: UncPath) -> List[UncPath]:
        try:
            found = smb_dfs.ask(
                connection, session, unc.server, "\\\\" + "\\".join((unc.server, unc.share) + unc.names)
            )
        except Exception as error:
            raise self._failed(error, "resolving the DFS path") from error
        targets = [parse_unc(one) for one in found]
        here = _folded(unc)
        return [] if any(_folded(target) == here for target in targets) else targets

    def _connect(self, host: str) -> Any:
        place = self.place
        try:
            return open_connection(host, self._port, self._timeout_seconds)
        except (socket.gaierror, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "its name is not valid"
            raise StorageServerNotFound(server=place.server, storage=place.storage, reason=reason) from None
        except OSError as error:
            reason = error.strerror or str(error) or "no answer"
            raise StorageUnreachable(storage=place.storage, reason=reason) from None
        except self._refusal() as error:
            reason = "no SMB version was negotiated (status 0x%08X)" % error.status
            raise StorageDialectRefused(storage=place.storage, reason=reason) from None
        except RequestTimedOut as error:
            raise StorageUnreachable(storage=place.storage, reason=str(error)) from None
        except ForeignServer as error:
            raise StorageForeignServer(storage=place.storage, kind="SMB", words=error) from None
        except SessionRefused:
            raise StorageHostRefused(storage=place.storage) from None
        except smbprotocol("exceptions").SMBConnectionClosed:
            if speaks_smb_1(host, self._port):
                raise StorageDialectRefused(storage=place.storage, reason="it speaks SMB 1 (NT1) only") from None
            reason = "it closed the connection before an SMB version was negotiated"
            raise StorageUnreachable(storage=place.storage, reason=reason) from None
        except Exception as error:  # whatever an answer that is not SMB makes the library raise
            reason = "the server does not speak SMB 2 or 3 (%s)" % (str(error)[:100] or type(error).__name__)
            raise StorageUnreachable(storage=place.storage, reason=reason) from error

    @staticmethod
    def _refusal() -> Any:
        return smbprotocol("exceptions").SMBResponseException

    def _check_protection(self, connection: Any) -> None:
        if self._must_encrypt and not connection.supports_encryption:
            reason = "imaging_storage.require_encryption is set, but the server does not offer encryption (SMB 0x%04X)"
            raise StorageProtectionRefused(storage=self.place.storage, reason=reason % connection.dialect)

    def _log_in(self, connection: Any) -> Any:
        exceptions = smbprotocol("exceptions")
        place = self.place
        session = smbprotocol("session").Session(
            connection,
            place.username if self._password else _principal(place.username),
            self._password or None,
            require_encryption=bool(connection.supports_encryption),
            auth_protocol="negotiate" if self._password else "kerberos",
        )
        try:
            session.connect()
        except (exceptions.SMBAuthenticationError, ImportError) as error:  # of the gssapi package, where it is missing
            reason = "no login method was negotiated" if self._password else _why_no_ticket(error)
            raise StorageLoginFailed(storage=place.storage, username=place.username, reason=reason) from error
        except exceptions.SMBResponseException as error:
            if error.status == ACCESS_DENIED and connection.dialect < _SMB_3:
                raise self._may_demand_encryption("login") from None
            raise from_login(place, error.status) from None
        except Exception as error:
            if session.session_id is None:  # how the library says that it was made a guest
                raise StorageGuestRefused(storage=place.storage, username=place.username) from None
            raise self._failed(error, "logging in") from error
        if session.signing_key is None:
            raise StorageGuestRefused(storage=place.storage, username=place.username)
        return session

    def _share(self, connection: Any, session: Any, unc: UncPath) -> Any:
        name = "\\\\%s\\%s" % (unc.server, unc.share)
        tree = smbprotocol("tree").TreeConnect(session, name)
        try:
            tree.connect()
        except self._refusal() as error:
            if error.status == ACCESS_DENIED and connection.dialect < _SMB_3:
                raise self._may_demand_encryption("share") from None
            raise from_share(self.place, error.status) from None
        except Exception as error:
            raise self._failed(error, "opening the share") from error
        return tree

    def _may_demand_encryption(self, refused: str) -> StorageProtectionRefused:
        reason = "the server refuses the %s; it may require encryption, which SMB 2 does not support" % refused
        return StorageProtectionRefused(storage=self.place.storage, reason=reason)

    def _failed(self, error: Exception, operation: str) -> Exception:
        if isinstance(error, AnswerUnprotected) or "Secure negotiate" in str(error) or "signature" in str(error):
            return StorageProtectionRefused(storage=self.place.storage, reason="%s failed: %s" % (operation, error))
        reason = "%s failed: %s" % (operation, str(error)[:200] or type(error).__name__)
        return StorageUnreachable(storage=self.place.storage, reason=reason)
