# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The question of the field test to an SMB server, asked a real one of Samba."""

from __future__ import annotations

from typing import Iterator, List

import pytest
from engine.agent.field_test import of_network
from engine.agent.field_test.catalogue import BY_NAME
from support.ports import free_port
from support.samba_server import PASSWORD, SHARE, USER, SambaServer, samba

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SambaServer]:
    with samba(tmp_path_factory.mktemp("samba")) as made:
        yield made


def broken() -> List[str]:
    check = BY_NAME["login"]
    found = check.ask()
    return [rule.field for rule in check.rules if not rule.holds(found)]


@pytest.fixture(autouse=True)
def asked(server: SambaServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_network, "SHARE", "\\\\127.0.0.1\\%s" % SHARE)
    monkeypatch.setitem(of_network.SETTINGS, "port", server.port)


def test_a_server_that_refuses_the_user_satisfies_every_rule() -> None:
    assert broken() == []


def test_a_server_that_lets_a_user_in_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(of_network.SETTINGS, "username", USER)
    monkeypatch.setitem(of_network.SETTINGS, "password", PASSWORD)
    assert broken() == ["failure", "reason"]


def test_a_machine_without_a_server_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(of_network.SETTINGS, "port", free_port())
    assert broken() == ["failure", "reason"]
