# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a failure of the SMB client to an error of the catalogue about a storage."""

from __future__ import annotations

from typing import Callable, Dict, NamedTuple

from ...errors import (
    StorageAccountBlocked,
    StorageAccountDisabled,
    StorageAccountExpired,
    StorageAccountLocked,
    StorageAnswerInvalid,
    StorageCredentialInvalid,
    StorageDialectRefused,
    StorageError,
    StorageExists,
    StorageFailed,
    StorageForeignServer,
    StorageFull,
    StorageGuestRefused,
    StorageHostRefused,
    StorageLoginFailed,
    StorageLogonHours,
    StorageLogonTypeRefused,
    StorageNotFound,
    StorageNtlmBlocked,
    StoragePasswordExpired,
    StoragePathTooLong,
    StoragePermissionDenied,
    StorageProtectionRefused,
    StorageQuotaReached,
    StorageServerBusy,
    StorageServerNotFound,
    StorageShareNotFound,
    StorageUnreachable,
    StorageUrlInvalid,
    StorageWorkstationRefused,
)
from ...smb.errors import Failure, SmbError
from ...smb.login import SmbPeer

_LONG_PATH = 200
_LONG_NAME_BYTES = 255


class _Told(NamedTuple):
    """The name in messages: never the password."""

    peer: SmbPeer
    operation: str
    path: str
    reason: str

    @property
    def storage(self) -> str:
        return self.peer.address

    @property
    def username(self) -> str:
        return self.peer.username


def _failed(of: _Told) -> StorageError:
    return StorageFailed(operation=of.operation, path=of.path, storage=of.storage, reason=of.reason)


def _name_invalid(of: _Told) -> StorageError:
    """The fault of a name is its length, or unknown: check_path found no other fault."""
    is_long = len(of.path) > _LONG_PATH or any(
        len(name.encode("utf-8")) > _LONG_NAME_BYTES for name in of.path.split("/")
    )
    return StoragePathTooLong(storage=of.storage, path=of.path) if is_long else _failed(of)


# Each is made by a call that can be seen: a test looks for these.
# pylint: disable=unnecessary-lambda
_ERRORS: Dict[Failure, Callable[[_Told], StorageError]] = {
    Failure.ADDRESS_INVALID: lambda of: StorageUrlInvalid(url=of.path, reason=of.reason),
    Failure.PORT_IN_ADDRESS: lambda of: StorageUrlInvalid(url=of.path, reason="set the port in imaging_storage.port"),
    Failure.USERNAME_MISSING: lambda of: StorageCredentialInvalid(setting="username", reason=of.reason),
    Failure.SERVER_NOT_FOUND: lambda of: StorageServerNotFound(
        server=of.peer.server, storage=of.storage, reason=of.reason
    ),
    Failure.UNREACHABLE: lambda of: StorageUnreachable(storage=of.storage, reason=of.reason),
    Failure.LINK_LOST: lambda of: StorageUnreachable(storage=of.storage, reason=of.reason),
    Failure.FOREIGN_SERVER: lambda of: StorageForeignServer(storage=of.storage, kind="SMB", words=of.reason),
    Failure.HOST_REFUSED: lambda of: StorageHostRefused(storage=of.storage),
    Failure.DIALECT_REFUSED: lambda of: StorageDialectRefused(storage=of.storage, reason=of.reason),
    Failure.BUSY: lambda of: StorageServerBusy(storage=of.storage, reason=of.reason),
    Failure.ANSWER_INVALID: lambda of: StorageAnswerInvalid(storage=of.storage, reason=of.reason),
    Failure.UNPROTECTED: lambda of: StorageProtectionRefused(storage=of.storage, reason=of.reason),
    Failure.ENCRYPTION_NOT_OFFERED: lambda of: StorageProtectionRefused(
        storage=of.storage, reason="imaging_storage.require_encryption is set, but " + of.reason
    ),
    Failure.LOGIN_FAILED: lambda of: StorageLoginFailed(storage=of.storage, username=of.username, reason=of.reason),
    Failure.GUEST: lambda of: StorageGuestRefused(storage=of.storage, username=of.username),
    Failure.ACCOUNT_RESTRICTED: lambda of: StorageAccountBlocked(
        storage=of.storage, username=of.username, reason=of.reason
    ),
    Failure.ACCOUNT_DISABLED: lambda of: StorageAccountDisabled(storage=of.storage, username=of.username),
    Failure.ACCOUNT_EXPIRED: lambda of: StorageAccountExpired(
        storage=of.storage, username=of.username, reason=of.reason
    ),
    Failure.ACCOUNT_LOCKED: lambda of: StorageAccountLocked(storage=of.storage, username=of.username),
    Failure.PASSWORD_EXPIRED: lambda of: StoragePasswordExpired(
        storage=of.storage, username=of.username, reason=of.reason
    ),
    Failure.LOGON_HOURS: lambda of: StorageLogonHours(storage=of.storage, username=of.username),
    Failure.WORKSTATION_REFUSED: lambda of: StorageWorkstationRefused(storage=of.storage, username=of.username),
    Failure.LOGON_TYPE_REFUSED: lambda of: StorageLogonTypeRefused(storage=of.storage, username=of.username),
    Failure.NTLM_BLOCKED: lambda of: StorageNtlmBlocked(storage=of.storage, username=of.username),
    Failure.SHARE_NOT_FOUND: lambda of: StorageShareNotFound(server=of.peer.server, share=of.peer.share),
    Failure.NAMESPACE_ENDLESS: _failed,
    Failure.NOT_FOUND: lambda of: StorageNotFound(path=of.path, storage=of.storage),
    Failure.EXISTS: lambda of: StorageExists(path=of.path, storage=of.storage),
    Failure.DENIED: lambda of: StoragePermissionDenied(storage=of.storage, operation=of.operation, path=of.path),
    Failure.LINK_ON_PATH: lambda of: StoragePermissionDenied(
        storage=of.storage, operation="following a link on the way to", path=of.path
    ),
    Failure.FULL: lambda of: StorageFull(storage=of.storage, path=of.path),
    Failure.QUOTA_REACHED: lambda of: StorageQuotaReached(storage=of.storage, path=of.path, username=of.username),
    Failure.PATH_TOO_LONG: lambda of: StoragePathTooLong(storage=of.storage, path=of.path),
    Failure.NAME_INVALID: _name_invalid,
    Failure.OTHER: _failed,
}
# pylint: enable=unnecessary-lambda


def storage_error(error: SmbError, peer: SmbPeer, operation: str, path: str) -> StorageError:
    """Return what to raise for a failure of ``operation`` of ``path``, "" for the root."""
    return _ERRORS[error.failure](_Told(peer, operation, error.about or path or "the directory", error.reason))
