# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every failure of the SMB client becomes an error of the catalogue, each status of a server with the code that it has."""

from __future__ import annotations

from typing import Any, Callable

import pytest
from engine.errors import StorageError
from engine.smb.errors import Failure, LinkLost, Refused, SmbError, from_login, from_share
from engine.smb.login import SmbPeer
from engine.storage.smb.errors import storage_error
from engine.storage.smb.storage import SmbStorage

PEER = SmbPeer("\\\\server\\share\\images", "server", "share", "user")
CODES = {
    Failure.ADDRESS_INVALID: "S100",
    Failure.PORT_IN_ADDRESS: "S100",
    Failure.USERNAME_MISSING: "S112",
    Failure.SERVER_NOT_FOUND: "S122",
    Failure.UNREACHABLE: "S101",
    Failure.LINK_LOST: "S101",
    Failure.FOREIGN_SERVER: "S170",
    Failure.HOST_REFUSED: "S168",
    Failure.DIALECT_REFUSED: "S167",
    Failure.BUSY: "S169",
    Failure.ANSWER_INVALID: "S129",
    Failure.UNPROTECTED: "S126",
    Failure.ENCRYPTION_NOT_OFFERED: "S126",
    Failure.LOGIN_FAILED: "S111",
    Failure.GUEST: "S125",
    Failure.ACCOUNT_RESTRICTED: "S124",
    Failure.ACCOUNT_DISABLED: "S160",
    Failure.ACCOUNT_EXPIRED: "S161",
    Failure.ACCOUNT_LOCKED: "S162",
    Failure.PASSWORD_EXPIRED: "S153",
    Failure.LOGON_HOURS: "S163",
    Failure.WORKSTATION_REFUSED: "S164",
    Failure.LOGON_TYPE_REFUSED: "S166",
    Failure.NTLM_BLOCKED: "S165",
    Failure.SHARE_NOT_FOUND: "S123",
    Failure.NAMESPACE_ENDLESS: "S102",
    Failure.NOT_FOUND: "S105",
    Failure.EXISTS: "S106",
    Failure.DENIED: "S104",
    Failure.LINK_ON_PATH: "S104",
    Failure.FULL: "S103",
    Failure.QUOTA_REACHED: "S128",
    Failure.PATH_TOO_LONG: "S127",
    Failure.NAME_INVALID: "S102",
    Failure.OTHER: "S102",
}


def of_path(status: int, path: str = "path") -> StorageError:
    return storage_error(Refused(status), PEER, "reading", path)


def of_login(status: int) -> StorageError:
    return storage_error(from_login(status, "share"), PEER, "opening", "")


def of_share(status: int) -> StorageError:
    return storage_error(from_share(status, "share"), PEER, "opening", "")


@pytest.mark.parametrize("failure", Failure)
def test_every_failure_has_a_code(failure: Failure) -> None:
    assert storage_error(SmbError(failure, "a reason"), PEER, "reading", "path").code == CODES[failure]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (0xC0000034, "S105"),
        (0xC000003A, "S105"),
        (0xC0000056, "S105"),
        (0xC0000103, "S105"),
        (0xC0000035, "S106"),
        (0xC0000022, "S104"),
        (0xC00000A2, "S104"),
        (0x8000002D, "S104"),
        (0xC000007F, "S103"),
        (0xC0000044, "S128"),
        (0xC0000802, "S128"),
        (0xC0000106, "S127"),
        (0xC0000033, "S102"),
        (0xC0000043, "S102"),
        (0xC00000D0, "S102"),
        (0xC0000257, "S102"),
        (0xC000006D, "S102"),
        (0xDEADBEEF, "S102"),
    ],
)
def test_each_status_of_a_path_has_a_code(status: int, code: str) -> None:
    assert of_path(status).code == code
    # The share is opened with the same answers, but where its server is short of something.
    assert of_share(status).code == ("S169" if status == 0xC00000D0 else code)


@pytest.mark.parametrize("path", ["x" * 300, "a/" + "ß" * 128])
def test_a_name_that_a_server_does_not_accept_is_too_long_where_it_is_long(path: str) -> None:
    assert of_path(0xC0000033, path).code == "S127"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (0xC000006D, "S111"),
        (0xC0000133, "S111"),
        (0xC000018D, "S111"),
        (0xC0000022, "S111"),
        (0xC000006E, "S124"),
        (0xC0000413, "S124"),
        (0xC0000071, "S153"),
        (0xC0000224, "S153"),
        (0xC0000072, "S160"),
        (0xC0000193, "S161"),
        (0xC0000234, "S162"),
        (0xC000006F, "S163"),
        (0xC0000070, "S164"),
        (0xC0000418, "S165"),
        (0xC000015B, "S166"),
        (0xC000005E, "S169"),
        (0xC00000CE, "S169"),
        (0xC00000D0, "S169"),
        (0xC0000205, "S169"),
    ],
)
def test_each_reason_of_a_refused_login_has_a_code(status: int, code: str) -> None:
    error = of_login(status)
    assert error.code == code
    assert error.retry == (code == "S169"), "only what ends by itself is repeated"
    assert "0x" not in str(error), "a reason, not a number"


def test_a_share_that_is_not_there() -> None:
    error = of_share(0xC00000CC)
    assert (error.code, error.fields) == ("S123", {"server": "server", "share": "share"})


@pytest.mark.parametrize(
    ("error", "path"),
    [(of_login(0xDEADBEEF), "share"), (of_share(0xDEADBEEF), "the share share"), (of_path(0xDEADBEEF), "path")],
)
def test_an_unknown_status_is_told_with_what_it_was_the_answer_to(error: StorageError, path: str) -> None:
    assert error.fields["path"] == path
    assert "0xDEADBEEF" in str(error.fields["reason"])


def test_a_root_is_called_the_directory() -> None:
    assert of_path(0xC0000022, "").fields["path"] == "the directory"


class Failing:
    """A link whose server lets every call fail in one way."""

    dead = False
    root = ""

    def __init__(self, error: SmbError) -> None:
        self.error = error

    def __getattr__(self, dummy_name: str) -> Callable[..., Any]:
        def fail(*dummy: Any, **dummy_named: Any) -> None:
            raise self.error

        return fail


CALLS = {
    "put": lambda storage: storage.put("a", [b"x"]),
    "get": lambda storage: storage.get("a"),
    "list": lambda storage: storage.list("a"),
    "stat": lambda storage: storage.stat("a"),
    "modified": lambda storage: storage.modified_seconds("a"),
    "rename": lambda storage: storage.rename("a", "b"),
    "delete": lambda storage: storage.delete("a"),
    "make": lambda storage: storage.make_directory("a"),
    "make exclusively": lambda storage: storage.make_directory("a", exclusive=True),
    "remove": lambda storage: storage.remove_directory("a"),
    "space": lambda storage: storage.space(),
}


def storage_over(monkeypatch: pytest.MonkeyPatch) -> SmbStorage:
    storage = SmbStorage({"url": "\\\\server\\share", "username": "user", "password": "p"})
    monkeypatch.setattr(storage, "_look_for_root", lambda dummy_link: None)
    return storage


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SmbError(Failure.UNPROTECTED, "no signature"), "S126"),
        (SmbError(Failure.ANSWER_INVALID, "overlaps"), "S129"),
        (LinkLost("reset"), "S101"),
        (Refused(0xDEADBEEF), "S102"),
    ],
)
def test_no_call_of_a_storage_lets_a_failure_of_the_client_through(
    call: str, error: SmbError, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = storage_over(monkeypatch)
    monkeypatch.setattr(storage._connector, "connect", lambda: Failing(error))
    with pytest.raises(StorageError) as caught:
        CALLS[call](storage)
    assert caught.value.code == code


@pytest.mark.parametrize("call", CALLS)
def test_a_failure_to_connect_is_told_by_every_call(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect() -> Any:
        raise SmbError(Failure.GUEST)

    storage = storage_over(monkeypatch)
    monkeypatch.setattr(storage._connector, "connect", connect)
    with pytest.raises(StorageError) as caught:
        CALLS[call](storage)
    assert caught.value.code == "S125"


def test_settings_that_do_not_make_a_storage() -> None:
    for settings, code in (({"url": "\\\\server"}, "S100"), ({"url": "\\\\server\\share"}, "S112")):
        with pytest.raises(StorageError) as caught:
            SmbStorage(settings)
        assert caught.value.code == code
