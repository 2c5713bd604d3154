# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kerberos: a real key distribution centre, a real Samba that takes its tickets, and what is said when there is none.

The Python packages gssapi and krb5 have to be built, which takes minutes: `make test-long` installs them.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Dict, Iterator, NamedTuple

import pytest
from engine.errors import StorageError, StorageLoginFailed, StorageNtlmBlocked
from engine.storage.retry import RetryingStorage
from engine.storage.smb.storage import SmbStorage
from support.kerberos import REALM, USER_PASSWORD, Kdc, kdc
from support.refusing import check_sentence
from support.samba_server import PASSWORD, USER, SambaServer, samba

pytestmark = pytest.mark.long
FORMS = [USER, "%s@%s" % (USER, REALM), "PLANT\\" + USER, "%s\\%s" % (REALM.lower(), USER)]


class Plant(NamedTuple):
    centre: Kdc
    server: SambaServer

    def settings(self, **more: Any) -> Dict[str, Any]:
        """Kerberos knows a server by its name, never by its address."""
        url = "\\\\localhost\\%s\\%s" % (self.server.share, self.server.below)
        return dict(self.server.settings, url=url, **more)


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with kdc(tmp_path / "kdc") as centre:
        centre.add_user(USER)
        options = {
            "realm": REALM,
            "kerberos method": "dedicated keytab",
            "dedicated keytab file": str(centre.service_keys("cifs/localhost")),
            "server smb encrypt": "required",
            "ntlm auth": "disabled",
        }
        with samba(tmp_path / "smb", options=options) as server:
            yield Plant(centre, server)


def refused(settings: Dict[str, Any]) -> str:
    return str(refusal(settings))


def refusal(settings: Dict[str, Any]) -> StorageLoginFailed:
    with pytest.raises(StorageLoginFailed) as caught, SmbStorage(settings) as storage:
        storage.list("")
    check_sentence(caught.value, [PASSWORD, USER_PASSWORD])
    return caught.value


@pytest.mark.parametrize("username", FORMS)
def test_a_ticket_opens_the_share(plant: Plant, username: str) -> None:
    plant.centre.log_in(USER)
    data = os.urandom(3 << 20)
    with SmbStorage(plant.settings(username=username, password=None)) as storage:
        storage.put("file", [data])
        assert storage.get("file") == data
    assert (plant.server.root / plant.server.below / "file").read_bytes() == data


@pytest.mark.parametrize("username", FORMS[:2])
def test_a_password_opens_it_where_ntlm_is_off(plant: Plant, username: str) -> None:
    with SmbStorage(plant.settings(username=username, password=USER_PASSWORD)) as storage:
        assert storage.list("") == []
    wrong = refusal(plant.settings(username=username, password="wrong"))
    # Where Kerberos refused the password, NTLM is tried, and what the server answers to that depends on its version.
    assert wrong.code == StorageNtlmBlocked.code or wrong.fields["reason"] == "user name or password is wrong"
    ntlm = refusal(plant.settings(username="PLANT\\" + USER, password=PASSWORD))  # what NTLM would take
    assert ntlm.code == StorageNtlmBlocked.code


def test_without_a_ticket_the_library_says_why(plant: Plant) -> None:
    without = plant.settings(username=USER, password="")
    assert "Can't find client principal" in refused(without)
    plant.centre.log_in(USER)
    assert "other@" in refused(dict(without, username="other"))
    address = dict(without, url=plant.server.settings["url"])
    assert "Server cifs/127.0.0.1@%s not found in Kerberos database" % REALM in refused(address)
    plant.centre.log_in(USER, lifetime="1s")
    time.sleep(2)
    assert "expired" in refused(without)


def test_a_session_that_ends_with_its_ticket_is_opened_again(plant: Plant) -> None:
    """The server ends a session when the ticket that opened it has expired: NETWORK_SESSION_EXPIRED."""
    plant.centre.log_in(USER, lifetime="4s")
    ended = []

    class Told(SmbStorage):
        def get(self, path: str, offset_bytes: int = 0, length_bytes: Any = None) -> bytes:
            try:
                return super().get(path, offset_bytes, length_bytes)
            except StorageError as error:
                ended.append(str(error))
                raise

    with Told(plant.settings(username=USER, password=None)) as inner:
        storage = RetryingStorage(inner, 30.0)
        storage.put("file", [b"before"])
        time.sleep(6)
        plant.centre.log_in(USER)
        with pytest.raises(StorageError) as caught:
            inner.get("file")
        assert caught.value.retry
        assert "session has ended" in str(caught.value.fields["reason"])
        assert storage.get("file") == b"before"
