# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A login that was refused is remembered for the play, without its password."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import List

import pytest
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    DeviceAccountBlocked,
    DeviceAccountLocked,
    DeviceLoginFailed,
    EngineError,
)
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb.errors import Failure, from_login
from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share.errors import Peer, connection_error
from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share.refused_logins import RefusedLogins

PEER = Peer("pc-1", "pc-1", "u", "C$")
WRONG = connection_error(from_login(0xC000006D, "C$"), PEER)
LOCKED = DeviceAccountLocked(device="pc-1", username="u")
NO_TRUST = connection_error(from_login(0xC000018C, "C$"), PEER)
GUEST = DeviceLoginFailed(device="pc-1", username="u", reason=Failure.GUEST.value)
BLOCKED = DeviceAccountBlocked(device="pc-1", username="u", reason="r")


@pytest.mark.parametrize("username", ["PC-1\\Service", ".\\Service", "Service"])
def test_one_account_of_one_device_is_remembered(tmp_path: Path, username: str) -> None:
    RefusedLogins(str(tmp_path)).add("pc-1", 445, username, WRONG)
    other = RefusedLogins(str(tmp_path))  # of another worker
    assert other.has("PC-1", 445, username.lower())
    assert not other.has("pc-1", 446, username)
    assert not other.has("pc-1", 445, "PC-1\\Other")
    if "PC-1" not in username:
        assert not other.has("pc-2", 445, username)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b""]


@pytest.mark.parametrize("username", ["PLANT\\service", "service@plant.example"])
@pytest.mark.parametrize("error", [WRONG, LOCKED])
def test_a_wrong_password_of_a_domain_is_tried_on_one_device_alone(
    tmp_path: Path, username: str, error: EngineError
) -> None:
    """Each device would hand it to the same domain controller, which locks the account after a few."""
    RefusedLogins(str(tmp_path)).add("pc-1", 445, username, error)
    for address, port in (("pc-1", 445), ("pc-2", 445), ("10.0.0.7", 4450)):
        assert RefusedLogins(str(tmp_path)).has(address, port, username.upper())
    assert not RefusedLogins(str(tmp_path)).has("pc-2", 445, "PLANT\\other")


@pytest.mark.parametrize("error", [NO_TRUST, GUEST, BLOCKED])
def test_what_one_device_has_against_an_account_counts_there_alone(tmp_path: Path, error: EngineError) -> None:
    RefusedLogins(str(tmp_path)).add("pc-1", 445, "PLANT\\service", error)
    assert RefusedLogins(str(tmp_path)).has("pc-1", 445, "PLANT\\service")
    assert not RefusedLogins(str(tmp_path)).has("pc-2", 445, "PLANT\\service")


def test_workers_try_an_account_of_a_domain_one_after_the_other_until_it_is_accepted(tmp_path: Path) -> None:
    """As many workers as there are forks start at the same time: each wrong password counts."""
    tried: List[str] = []

    def log_in(address: str) -> None:
        logins = RefusedLogins(str(tmp_path))
        with logins.turn(address, "PLANT\\service"):
            if not logins.has(address, 445, "PLANT\\service"):
                tried.append(address)
                time.sleep(0.2)
                logins.add(address, 445, "PLANT\\service", WRONG)
                raise WRONG

    with ThreadPoolExecutor(4) as workers:
        started = [workers.submit(log_in, "pc-%d" % number) for number in range(4)]
        ends = [one.exception() for one in started]
    assert len(tried) == 1
    assert ends.count(None) == 3
    with RefusedLogins(str(tmp_path)).turn("pc-1", "PLANT\\other"):
        pass
    began = time.monotonic()
    with RefusedLogins(str(tmp_path)).turn("pc-1", "PLANT\\other"):
        with RefusedLogins(str(tmp_path)).turn("pc-2", "PLANT\\other"):
            assert time.monotonic() < began + 20, "an account that was accepted waits for nobody"
