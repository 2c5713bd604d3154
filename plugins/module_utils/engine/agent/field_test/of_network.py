# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A question to the SMB server of this machine: a login of a user that does not exist, with the login of Windows."""

from __future__ import annotations

from typing import Any, Dict, Tuple

from ...smb.errors import SmbError
from ...smb.login import SmbConnector
from ...smb.unc import parse_unc
from .check import Answer, Check, equals

SHARE = "\\\\127.0.0.1\\C$"
SETTINGS: Dict[str, Any] = {"username": "plantops-field-test", "password": "of an account that does not exist"}
_SECONDS = 30.0


def _login() -> Answer:
    try:
        SmbConnector(parse_unc(SHARE), SETTINGS, _SECONDS).connect().log_off()
    except SmbError as error:
        return {"failure": error.failure.name, "reason": error.reason}
    return {"failure": "", "reason": "the server accepted the user"}


CHECKS: Tuple[Check, ...] = (
    Check(
        "login",
        _login,
        ("InitializeSecurityContext (Negotiate) with a user and a password", "SMB 2 and 3 of this Windows, signed"),
        (equals("failure", "LOGIN_FAILED"), equals("reason", "user name or password is wrong")),
        '"InitializeSecurityContext (Negotiate) function", [MS-SMB2] 3.2.5.3, [MS-ERREF] 2.3.1',
        ("smb/login.py", "smb/connection.py", "smb/errors.py"),
        "The agent can't store images on a Windows share. If the service Server is stopped here, the failure is UNREACHABLE.",
        seconds=240.0,
        wine=("failure", "reason"),
    ),
)
