# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who proves the password of a login: Windows or the engine."""

from __future__ import annotations

import pytest
from engine.smb.login import SmbConnector
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
