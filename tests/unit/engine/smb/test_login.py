# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who proves the password of a login: Windows or the engine."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
import spnego
from engine.smb.errors import Failure, SmbError
from engine.smb.login import DeviceConnector, SmbConnector
from engine.smb.unc import parse_unc
from spnego import NTLMHash


@pytest.mark.parametrize("own", [False, True])
def test_the_login_of_windows_is_replaced_only_by_the_setting(own: bool) -> None:
    """pyspnego gives a password to Windows; a hash it can't, so that it uses its own NTLM."""
    settings = {"username": "PLANT\\imaging", "password": "secret", "own_ntlm": own}
    found = SmbConnector(parse_unc("\\\\server\\images"), settings, 5.0)._credential()
    assert found == (
        NTLMHash("PLANT\\imaging", nt_hash="878d8014606cda29677a44efa1353fc7") if own else "PLANT\\imaging"
    )


class Exchange:
    """A connection as far as a login needs it; the login fails at its first word."""

    supports_encryption = require_signing = False
    server_name = "pc-1"
    session_table: Dict[int, Any] = {}
    gss_negotiate_token = None
    preauth_integrity_hash_value: List[bytes] = []


@pytest.mark.parametrize(
    ("settings", "protocol", "user", "password"),
    [
        ({"password": "secret"}, "negotiate", NTLMHash, None),
        ({"password": "secret", "kerberos": True}, "kerberos", str, "secret"),
        ({}, "kerberos", str, None),
    ],
)
def test_a_password_for_a_device_is_given_to_one_protocol(
    settings: Dict[str, Any], protocol: str, user: type, password: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong one for Kerberos and NTLM counts as two failed logins or more."""
    asked: List[Any] = []

    def client(username: Any, given: Any, **named: Any) -> Any:
        asked.append((username, given, named["protocol"]))
        raise spnego.exceptions.SpnegoError(spnego.exceptions.ErrorCode.no_cred)

    monkeypatch.setattr(spnego, "client", client)
    connector = DeviceConnector(parse_unc("\\\\pc-1\\C$"), dict(settings, username="plant.example\\imaging"), 5.0)
    with pytest.raises(SmbError) as refused:
        connector._log_in(Exchange())
    assert refused.value.failure is Failure.LOGIN_FAILED
    ((username, given, used),) = asked
    assert (type(username), given, used) == (user, password, protocol)
    assert user is NTLMHash or username == "imaging@PLANT.EXAMPLE"


def test_pyspnego_gives_the_credential_of_a_device_to_ntlm_alone() -> None:
    settings = {"username": "PLANT\\imaging", "password": "secret"}
    found = DeviceConnector(parse_unc("\\\\pc-1\\C$"), settings, 5.0)._credential()
    assert found.supported_protocols == ["ntlm"]
