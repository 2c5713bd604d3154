# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From settings to an authenticated link: server, protection, login, share. Guests and unsigned sessions never pass."""

from __future__ import annotations

import socket
from typing import Any, Mapping, NamedTuple, Tuple

from .._libraries import smbprotocol
from ..errors import (
    StorageCredentialInvalid,
    StorageGuestRefused,
    StorageLoginFailed,
    StorageProtectionRefused,
    StorageServerNotFound,
    StorageUnreachable,
    StorageUrlInvalid,
)
from .contract import check_name
from .smb_connection import AnswerUnprotected, open_connection
from .smb_errors import Place, from_login, from_share
from .smb_link import SmbLink

_PORT = 445
_SMB_3 = 0x0300
_MAX_SHARE_LENGTH = 80  # [MS-SRVS 2.2.4.23]: what Windows lets a share be called


class UncPath(NamedTuple):
    """``\\\\server\\share\\path``; ``names`` is the path's."""

    server: str
    share: str
    names: Tuple[str, ...]


def parse_unc(url: str) -> UncPath:
    """Split ``\\\\server\\share\\path``.

    :raises StorageUrlInvalid: when it is not of that form.
    :raises StoragePathInvalid: when a name in it is one that a share can't hold.
    """
    parts = url[2:].rstrip("\\").split("\\")
    reason = ""
    if not url.startswith("\\\\") or len(parts) < 2 or not all(parts):
        reason = "it is not of the form \\\\server\\share\\path"
    elif parts[0] in ("?", ".") or any(character in '/@:*?"<>| ' for character in parts[0].strip("[]")):
        reason = "%s is no server's name" % parts[0]
    elif len(parts[1]) > _MAX_SHARE_LENGTH or parts[1].lower() in ("ipc$", "pipe"):
        reason = "%s is not a share for files" % parts[1][:80]
    if reason:
        raise StorageUrlInvalid(url=url, reason=reason)
    for name in parts[1:]:
        check_name(name)
    return UncPath(parts[0], parts[1], tuple(parts[2:]))


class SmbConnector:
    """Makes links, one after the other, from one set of settings."""

    def __init__(self, unc: UncPath, settings: Mapping[str, Any], timeout_seconds: float) -> None:
        self._port = int(settings.get("port") or _PORT)
        self._timeout_seconds = timeout_seconds
        self._password = str(settings.get("password") or "")
        self._must_encrypt = bool(settings.get("require_encryption"))
        username = str(settings.get("username") or "")
        if not username:
            raise StorageCredentialInvalid(setting="username", reason="a share needs one: guests are never used")
        server = unc.server if self._port == _PORT else "%s (port %d)" % (unc.server, self._port)
        storage = "\\\\" + "\\".join((unc.server, unc.share) + unc.names)
        self.place = Place(storage, server, unc.share, username)
        self._host = unc.server

    def connect(self) -> SmbLink:
        """Connect, agree on protection, log in, connect to the share.

        :raises StorageServerNotFound, StorageUnreachable, StorageLoginFailed, StorageAccountBlocked,
            StorageGuestRefused, StorageProtectionRefused, StorageShareNotFound, StoragePermissionDenied: as they say.
        """
        connection = self._connect()
        try:
            self._check_protection(connection)
            session = self._log_in(connection)
            return SmbLink(connection, session, self._share(connection, session), self.place.storage)
        except BaseException:
            connection.disconnect(False)
            raise

    def _connect(self) -> Any:
        place = self.place
        try:
            return open_connection(self._host, self._port, self._timeout_seconds)
        except (socket.gaierror, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "its name is not valid"
            raise StorageServerNotFound(server=place.server, storage=place.storage, reason=reason) from None
        except OSError as error:
            reason = error.strerror or str(error) or "no answer"
            raise StorageUnreachable(storage=place.storage, reason=reason) from None
        except self._refusal() as error:
            reason = "it offers no SMB 2 or 3 (status 0x%08X)" % error.status
            raise StorageProtectionRefused(storage=place.storage, reason=reason) from None
        except Exception as error:  # whatever an answer that is not SMB makes the library raise
            reason = "what answers there does not speak SMB 2 or 3 (%s)" % (str(error)[:100] or type(error).__name__)
            raise StorageUnreachable(storage=place.storage, reason=reason) from error

    @staticmethod
    def _refusal() -> Any:
        return smbprotocol("exceptions").SMBResponseException

    def _check_protection(self, connection: Any) -> None:
        if self._must_encrypt and not connection.supports_encryption:
            reason = (
                "imaging_storage.require_encryption demands encryption, which the server does not offer (SMB 0x%04X)"
            )
            raise StorageProtectionRefused(storage=self.place.storage, reason=reason % connection.dialect)

    def _log_in(self, connection: Any) -> Any:
        exceptions = smbprotocol("exceptions")
        place = self.place
        session = smbprotocol("session").Session(
            connection,
            place.username,
            self._password or None,
            require_encryption=bool(connection.supports_encryption),
            auth_protocol="negotiate" if self._password else "kerberos",
        )
        try:
            session.connect()
        except (exceptions.SMBAuthenticationError, ImportError) as error:  # of the gssapi package, where it is missing
            reason = "no way to log in was agreed on" if self._password else "no password, and Kerberos does not work"
            raise StorageLoginFailed(storage=place.storage, username=place.username, reason=reason) from error
        except exceptions.SMBResponseException as error:
            raise from_login(place, error.status) from None
        except Exception as error:
            if session.session_id is None:  # how the library says that it was made a guest
                raise StorageGuestRefused(storage=place.storage, username=place.username) from None
            raise self._failed(error, "logging in") from error
        if session.signing_key is None:
            raise StorageGuestRefused(storage=place.storage, username=place.username)
        return session

    def _share(self, connection: Any, session: Any) -> Any:
        name = "\\\\%s\\%s" % (self._host, self.place.share)
        tree = smbprotocol("tree").TreeConnect(session, name)
        try:
            tree.connect()
        except self._refusal() as error:
            if error.status == 0xC0000022 and connection.dialect < _SMB_3:
                reason = "the server refuses the share; it may demand encryption, which SMB 2 does not have"
                raise StorageProtectionRefused(storage=self.place.storage, reason=reason) from None
            raise from_share(self.place, error.status) from None
        except Exception as error:
            raise self._failed(error, "opening the share") from error
        # In a DFS root our paths are plain; only one that leads to another server is answered with an error.
        tree.is_dfs_share = False
        return tree

    def _failed(self, error: Exception, operation: str) -> Exception:
        if isinstance(error, AnswerUnprotected) or "Secure negotiate" in str(error) or "signature" in str(error):
            return StorageProtectionRefused(storage=self.place.storage, reason="%s failed: %s" % (operation, error))
        reason = "%s failed: %s" % (operation, str(error)[:200] or type(error).__name__)
        return StorageUnreachable(storage=self.place.storage, reason=reason)
