# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a failure of the SMB client to an error of the catalogue about a device.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

from typing import Callable, Dict, NamedTuple

from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    DeviceAccountBlocked,
    DeviceAccountLocked,
    DeviceAgentRemoved,
    DeviceDialectRefused,
    DeviceFileFailed,
    DeviceLinkCut,
    DeviceLoginFailed,
    DeviceManagerRefused,
    DeviceNtlmBlocked,
    DeviceProtectionRefused,
    DeviceRightsFiltered,
    DeviceServiceBlocked,
    DeviceServiceFailed,
    DeviceShareMissing,
    DeviceSmbBusy,
    DeviceSmbClosed,
    DeviceSmbError,
    DeviceSmbInvalid,
)
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb.errors import Failure, Refused, SmbError
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb.rpc import CallRefused

# Errors of Windows when a program is not started [MS-ERREF 2.2].
_BLOCKED = {
    5: "access is denied",
    225: "its virus scanner found a threat in the program",
    226: "its virus scanner deleted the program",
    577: "the program is not signed as its policy demands",
    1260: "a policy for applications blocks the program",
    4551: "its application control policy blocks the program",
}
_GONE = {2: "a file of the program is missing", 3: "the folder of the program is missing"}
_OTHERS = {
    193: "the program is not one for this Windows",
    1053: "it did not report in time that it had started",
    1055: "the database of services is locked",
    1058: "the service is disabled",
    1060: "the service does not exist",
    1072: "the service is marked for deletion; a program, such as the window Services, still has it open",
    1115: "the device is shutting down",
}
# VIRUS_INFECTED, VIRUS_DELETED [MS-ERREF 2.3.1]
_VIRUS = {0xC0000906: "its virus scanner found a threat in it", 0xC0000907: "its virus scanner deleted it"}
# ACCESS_DISABLED_BY_POLICY_DEFAULT and its kin, MEDIA_WRITE_PROTECTED
_POLICY = frozenset([0xC0000361, 0xC0000362, 0xC0000364, 0xC000A004])


class Peer(NamedTuple):
    """The device in messages: never the password."""

    device: str
    address: str
    username: str
    share: str
    base: str = ""


class _Told(NamedTuple):
    peer: Peer
    reason: str


def _closed(of: _Told) -> DeviceSmbError:
    return DeviceSmbClosed(device=of.peer.device, address=of.peer.address, reason=of.reason)


def _login(of: _Told) -> DeviceSmbError:
    return DeviceLoginFailed(device=of.peer.device, username=of.peer.username, reason=of.reason)


def _account(of: _Told) -> DeviceSmbError:
    return DeviceAccountBlocked(device=of.peer.device, username=of.peer.username, reason=of.reason)


def _unprotected(of: _Told) -> DeviceSmbError:
    return DeviceProtectionRefused(device=of.peer.device, reason=of.reason)


# Each is made by a call that can be seen: a test looks for these.
# pylint: disable=unnecessary-lambda
_ERRORS: Dict[Failure, Callable[[_Told], DeviceSmbError]] = {
    **dict.fromkeys(
        [Failure.SERVER_NOT_FOUND, Failure.UNREACHABLE, Failure.FOREIGN_SERVER, Failure.HOST_REFUSED], _closed
    ),
    **dict.fromkeys([Failure.LOGIN_FAILED, Failure.GUEST, Failure.USERNAME_MISSING], _login),
    **dict.fromkeys(
        [
            *(Failure.ACCOUNT_RESTRICTED, Failure.ACCOUNT_DISABLED, Failure.ACCOUNT_EXPIRED, Failure.PASSWORD_EXPIRED),
            *(Failure.LOGON_HOURS, Failure.WORKSTATION_REFUSED, Failure.LOGON_TYPE_REFUSED),
        ],
        _account,
    ),
    **dict.fromkeys([Failure.UNPROTECTED, Failure.ENCRYPTION_NOT_OFFERED], _unprotected),
    Failure.ACCOUNT_LOCKED: lambda of: DeviceAccountLocked(device=of.peer.device, username=of.peer.username),
    Failure.NTLM_BLOCKED: lambda of: DeviceNtlmBlocked(device=of.peer.device, username=of.peer.username),
    Failure.SHARE_NOT_FOUND: lambda of: DeviceShareMissing(device=of.peer.device, share=of.peer.share),
    Failure.DIALECT_REFUSED: lambda of: DeviceDialectRefused(device=of.peer.device, reason=of.reason),
    Failure.LINK_LOST: lambda of: DeviceLinkCut(device=of.peer.device, reason=of.reason),
    Failure.BUSY: lambda of: DeviceSmbBusy(device=of.peer.device, reason=of.reason),
    Failure.ANSWER_INVALID: lambda of: DeviceSmbInvalid(device=of.peer.device, reason=of.reason),
}
# pylint: enable=unnecessary-lambda


def connection_error(error: SmbError, peer: Peer) -> DeviceSmbError:
    """Return the error for what failed until the share was open."""
    if error.failure is Failure.DENIED:
        return DeviceRightsFiltered(
            device=peer.device, username=peer.username, object=error.about or "the share %s" % peer.share
        )
    return _general(error, peer, "Opening", error.about or peer.share)


def file_error(error: SmbError, peer: Peer, operation: str, path: str) -> DeviceSmbError:
    """Return the error for ``operation`` of a file; a virus scanner is named where the device says so."""
    status = error.status if isinstance(error, Refused) else 0
    if status in _VIRUS or status in _POLICY:
        reason = "%s: %s" % (path, _VIRUS.get(status, "a policy blocks it"))
        return DeviceAgentRemoved(device=peer.device, reason=reason, base=peer.base or path)
    return _general(error, peer, operation, path)


def manager_error(error: SmbError, peer: Peer, service: str) -> DeviceSmbError:
    """Return the error for a call to the service manager."""
    if not isinstance(error, CallRefused):
        if error.failure in (Failure.NOT_FOUND, Failure.DENIED):
            return DeviceManagerRefused(device=peer.device, reason=error.reason)
        return _general(error, peer, "Opening", "the service manager")
    if error.failure is Failure.DENIED and service not in error.about:
        return DeviceRightsFiltered(device=peer.device, username=peer.username, object="the service manager")
    return service_error(error.code, peer, service, error.about)


def service_error(code: int, peer: Peer, service: str, operation: str) -> DeviceSmbError:
    """Return the error for a service that Windows does not start, or that ended with this code."""
    if code in _BLOCKED:
        reason = "%s (error %d)" % (_BLOCKED[code], code)
        return DeviceServiceBlocked(device=peer.device, service=service, reason=reason)
    if code in _GONE:
        return DeviceAgentRemoved(device=peer.device, reason="%s (error %d)" % (_GONE[code], code), base=peer.base)
    reason = "%s: %s (error %d)" % (operation, _OTHERS.get(code, "Windows returned an error"), code)
    return DeviceServiceFailed(device=peer.device, service=service, reason=reason, base=peer.base)


def _general(error: SmbError, peer: Peer, operation: str, path: str) -> DeviceSmbError:
    make = _ERRORS.get(error.failure)
    if make is not None:
        return make(_Told(peer, error.reason))
    return DeviceFileFailed(device=peer.device, operation=operation, path=path, reason=error.reason)
