# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each failure of the client has one code of the catalogue; each error of a service that does not start has, too."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleAuthenticationFailure, AnsibleConnectionFailure, AnsibleError
from ansible_collections.plantops.imaging.plugins.module_utils.engine import errors as catalogue
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb.errors import Failure, Refused, SmbError
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb.rpc import CallRefused
from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share.errors import (
    Peer,
    connection_error,
    file_error,
    manager_error,
    service_error,
)
from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share.raising import (
    ansible_error,
    is_about_connection,
)

PEER = Peer("pc-1", "10.0.0.1", "PC-1\\service", "C$", "C:\\Program Files\\plantops-imaging")
SERVICE = "plantops-imaging"


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (Failure.UNREACHABLE, catalogue.DeviceSmbClosed),
        (Failure.SERVER_NOT_FOUND, catalogue.DeviceSmbClosed),
        (Failure.LOGIN_FAILED, catalogue.DeviceLoginFailed),
        (Failure.GUEST, catalogue.DeviceLoginFailed),
        (Failure.ACCOUNT_LOCKED, catalogue.DeviceAccountLocked),
        (Failure.ACCOUNT_DISABLED, catalogue.DeviceAccountBlocked),
        (Failure.PASSWORD_EXPIRED, catalogue.DeviceAccountBlocked),
        (Failure.NTLM_BLOCKED, catalogue.DeviceNtlmBlocked),
        (Failure.DENIED, catalogue.DeviceRightsFiltered),
        (Failure.SHARE_NOT_FOUND, catalogue.DeviceShareMissing),
        (Failure.UNPROTECTED, catalogue.DeviceProtectionRefused),
        (Failure.DIALECT_REFUSED, catalogue.DeviceDialectRefused),
        (Failure.LINK_LOST, catalogue.DeviceLinkCut),
        (Failure.BUSY, catalogue.DeviceSmbBusy),
        (Failure.ANSWER_INVALID, catalogue.DeviceSmbInvalid),
        (Failure.FULL, catalogue.DeviceFileFailed),
    ],
)
def test_each_failure_has_its_error(failure: Failure, error: type[catalogue.EngineError]) -> None:
    assert connection_error(SmbError(failure), PEER).__class__ is error


def test_every_failure_is_worded() -> None:
    for failure in Failure:
        assert str(connection_error(SmbError(failure, about="x"), PEER))


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (5, catalogue.DeviceServiceBlocked),
        (225, catalogue.DeviceServiceBlocked),
        (577, catalogue.DeviceServiceBlocked),
        (1260, catalogue.DeviceServiceBlocked),
        (4551, catalogue.DeviceServiceBlocked),
        (2, catalogue.DeviceAgentRemoved),
        (3, catalogue.DeviceAgentRemoved),
        (1053, catalogue.DeviceServiceFailed),
        (1058, catalogue.DeviceServiceFailed),
        (4242, catalogue.DeviceServiceFailed),
    ],
)
def test_each_error_of_a_start_has_its_error(code: int, error: type[catalogue.EngineError]) -> None:
    assert service_error(code, PEER, SERVICE, "starting").__class__ is error
    assert manager_error(CallRefused("starting the service %s" % SERVICE, code), PEER, SERVICE).__class__ is error


def test_a_manager_that_denies_access_is_a_matter_of_rights() -> None:
    error = manager_error(CallRefused("opening the service manager", 5), PEER, SERVICE)
    assert isinstance(error, catalogue.DeviceRightsFiltered)
    for failure in (Failure.NOT_FOUND, Failure.DENIED):
        assert isinstance(manager_error(SmbError(failure), PEER, SERVICE), catalogue.DeviceManagerRefused)


@pytest.mark.parametrize("status", [0xC0000906, 0xC0000907, 0xC0000361])
def test_a_file_that_a_scanner_takes_is_named(status: int) -> None:
    error = file_error(Refused(status), PEER, "Reading", "C:\\x\\python.exe")
    assert isinstance(error, catalogue.DeviceAgentRemoved)
    assert "python.exe" in str(error)


def test_a_refused_login_is_not_tried_again_and_a_lost_link_is() -> None:
    login = catalogue.DeviceLoginFailed(device="pc", username="u", reason="r")
    lost = catalogue.DeviceLinkCut(device="pc", reason="r")
    other = catalogue.DeviceShareMissing(device="pc", share="C$")
    assert isinstance(ansible_error(login), AnsibleAuthenticationFailure)
    assert ansible_error(lost).__class__ is AnsibleConnectionFailure
    assert ansible_error(other).__class__ is AnsibleError
    assert [is_about_connection(one) for one in (login, lost, other)] == [True, True, False]
    assert login.code in str(ansible_error(login))
