# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who an SFTP server is, and who we are to it: host keys, keys, passwords, and what messages must not show."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from engine.errors import (
    EngineError,
    StorageCredentialInvalid,
    StorageHostKeyChanged,
    StorageHostKeyUnknown,
    StorageLoginFailed,
    StorageUnreachable,
    StorageUrlInvalid,
)
from engine.image.reader import ImageReader
from engine.storage.open import open_storage
from engine.storage.sftp.storage import SftpStorage
from engine.verbs.dispatch import run_job
from support import imaging
from support.refusing import failing
from support.sftp_server import PASSPHRASE, SftpServer, make_key
from support.sftp_stub import PASSWORD, StubServer, plain_files

IMAGE_PASSWORD = "correct-horse-battery-staple-47"
MIB = 1 << 20


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpServer]:
    with SftpServer(tmp_path / "server") as server:
        yield server


def fingerprint_of(key: Path) -> str:
    shown = subprocess.run(["ssh-keygen", "-lf", str(key)], check=True, stdout=subprocess.PIPE, text=True).stdout
    return shown.split()[1]


def works(settings: Dict[str, Any], **more: Any) -> None:
    with SftpStorage(settings, **more) as storage:
        storage.put("proof", [b"x"], replace=True)
        assert storage.get("proof") == b"x"


# -- host keys ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["fingerprint", "keygen line", "public key", "known hosts line", "path", "file"])
def test_a_host_key_may_be_given_in_many_forms(server: SftpServer, tmp_path: Path, how: str) -> None:
    known = tmp_path / "known_hosts"
    known.write_text("[127.0.0.1]:%d %s\n" % (server.port, server.host_key_line), encoding="utf-8")
    given: Dict[str, Dict[str, Any]] = {
        "fingerprint": {"host_key": server.fingerprint},
        "keygen line": {"host_key": "256 %s root@server (ED25519)" % server.fingerprint},
        "public key": {"host_key": server.host_key_line},
        "known hosts line": {"host_key": known.read_text(encoding="utf-8")},
        "path": {"host_key": str(known)},
        "file": {"host_key": None, "known_hosts_file": str(known)},
    }
    works(server.settings(**given[how]))


def test_an_unknown_host_key_is_refused_and_named(server: SftpServer) -> None:
    with pytest.raises(StorageHostKeyUnknown, match="127.0.0.1:%d" % server.port) as raised:
        works(server.settings(host_key=None))
    assert server.fingerprint in str(raised.value)
    assert not raised.value.retry


def test_another_host_key_is_refused_before_anything_is_sent(server: SftpServer, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other")
    line = other.with_suffix(".pub").read_text(encoding="utf-8")
    for given in (line, "SHA256:" + "A" * 43):
        with pytest.raises(StorageHostKeyChanged) as raised:
            works(server.settings(host_key=given))
        assert server.fingerprint in str(raised.value)
        assert (fingerprint_of(other) if given == line else given) in str(raised.value)
    assert "Accepted" not in (server.folder / "sshd.log").read_text(encoding="utf-8")
    assert not list(server.root.iterdir())


def test_a_fingerprint_of_the_servers_other_key_is_found(tmp_path: Path) -> None:
    server = SftpServer(tmp_path)
    rsa = make_key(tmp_path / "rsa_key", "rsa")
    with open(tmp_path / "sshd_config", "a", encoding="utf-8") as file:
        file.write("HostKey %s\n" % rsa)
    shown = subprocess.run(["ssh-keygen", "-lf", str(rsa)], check=True, stdout=subprocess.PIPE, text=True).stdout
    with server:
        works(server.settings(host_key=shown.split()[1]))
        works(server.settings(host_key=rsa.with_suffix(".pub").read_text(encoding="utf-8")))


def test_accept_new_reports_the_key_and_holds_to_it(server: SftpServer) -> None:
    said: List[str] = []
    with SftpStorage(server.settings(host_key="accept-new"), said.append) as storage:
        storage.list("")
        assert len(said) == 1
        assert server.fingerprint in said[0]
        new_host_key(server)
        with pytest.raises(StorageUnreachable):
            storage.list("")
        with pytest.raises(StorageHostKeyChanged):
            storage.list("")


def new_host_key(server: SftpServer) -> None:
    """The server is installed anew."""
    server.kill()
    for name in ("host_key", "host_key.pub"):
        (server.folder / name).unlink()
    make_key(server.folder / "host_key")
    server.start()


def test_the_first_key_is_recorded_and_holds_from_then_on(server: SftpServer, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    settings = server.settings(host_key="accept-new", known_hosts_file=str(known))
    said_in_check: List[str] = []
    with SftpStorage(dict(settings, records_host_key=False), said_in_check.append) as storage:
        storage.list("")
    assert not known.exists(), "check mode leaves no trace"
    assert "would record it in %s" % known in said_in_check[0]
    said: List[str] = []
    for dummy in range(2):
        with SftpStorage(settings, said.append) as storage:
            assert storage.server_key is None
            storage.list("")
            assert storage.server_key is not None
            assert storage.server_key.fingerprint == server.fingerprint
            assert storage.server_key.is_new == (dummy == 0)
    assert len(said) == 1
    assert "accepted without a check" in said[0]
    assert str(known) in said[0]
    assert known.read_text(encoding="utf-8") == "[127.0.0.1]:%d %s\n" % (
        server.port,
        " ".join(server.host_key_line.split()[:2]),
    )
    assert known.stat().st_mode & 0o777 == 0o600
    found = subprocess.run(
        ["ssh-keygen", "-F", "[127.0.0.1]:%d" % server.port, "-lf", str(known)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    assert server.fingerprint in found  # as OpenSSH reads it

    first = server.fingerprint
    new_host_key(server)
    before = known.read_text(encoding="utf-8")
    with pytest.raises(StorageHostKeyChanged) as raised:
        works(settings)
    assert first in str(raised.value)
    assert server.fingerprint in str(raised.value)
    assert known.read_text(encoding="utf-8") == before
    assert not raised.value.retry


def test_a_key_that_can_not_be_recorded_is_not_accepted(server: SftpServer, tmp_path: Path) -> None:
    with pytest.raises(StorageCredentialInvalid, match="known_hosts_file"):
        works(server.settings(host_key="accept-new", known_hosts_file=str(tmp_path / "missing" / "known_hosts")))
    assert "Accepted" not in (server.folder / "sshd.log").read_text(encoding="utf-8")


def test_a_job_names_the_key_and_the_image_keeps_it(server: SftpServer, tmp_path: Path) -> None:
    (tmp_path / "disk.raw").write_bytes(b"x" * MIB)
    settings = server.settings(host_key="accept-new", known_hosts_file=str(tmp_path / "known_hosts"))
    logs = []
    for is_new in (True, False):
        events: List[Dict[str, Any]] = []
        document = imaging.job(Path("/"), "image", drives=[str(tmp_path / "disk.raw")], limit_read_rate=0)
        made = run_job(dict(document, storage=settings), events.append, lambda: False)
        assert made["storage_host_key"] == server.fingerprint
        assert made["storage_host_key_is_new"] is is_new
        assert is_new == bool([event for event in events if "accepted without a check" in str(event.get("message"))])
        with SftpStorage(settings) as storage:
            logs.append(ImageReader(storage, "pc", made["image"], imaging.PASSWORD).document("job.log").decode("utf-8"))
    assert "%s, was accepted without a check" % server.fingerprint in logs[0]
    assert "%s, matched the expected key" % server.fingerprint in logs[1]


def test_host_keys_that_are_none(server: SftpServer, tmp_path: Path) -> None:
    for given in ("yes", "ssh-ed25519 !!!", str(tmp_path / "nothing")):
        with pytest.raises(StorageCredentialInvalid, match="host_key"):
            SftpStorage(server.settings(host_key=given))


# -- logins ------------------------------------------------------------------------------------------------------------


def says_nothing_secret(error: EngineError, *secrets: str) -> None:
    shown = "%s %s %r %r" % (error.as_dict(), error.fields, error, error.__context__)
    for secret in secrets:
        assert secret not in shown


def test_a_locked_key_needs_its_passphrase(server: SftpServer, tmp_path: Path) -> None:
    for kind in ("ed25519", "rsa", "ecdsa"):
        key = make_key(tmp_path / kind, kind, PASSPHRASE)
        with open(server.folder / "authorized_keys", "a", encoding="utf-8") as file:
            file.write(key.with_suffix(".pub").read_text(encoding="utf-8"))
        works(server.settings(private_key_file=str(key), private_key_passphrase=PASSPHRASE))
        text = key.read_text(encoding="utf-8")
        works(server.settings(private_key_file=None, private_key=text, private_key_passphrase=PASSPHRASE))
        for passphrase in (None, "not this one"):
            with pytest.raises(StorageCredentialInvalid, match="passphrase") as raised:
                works(server.settings(private_key_file=str(key), private_key_passphrase=passphrase))
            says_nothing_secret(raised.value, text[60:120], "not this one")


def test_a_key_that_the_server_does_not_know(server: SftpServer, tmp_path: Path) -> None:
    with failing(StorageLoginFailed, reason="key was not accepted") as raised:
        works(server.settings(private_key_file=str(make_key(tmp_path / "stranger"))))
    assert not raised.value.retry


def test_credentials_that_are_none(server: SftpServer, tmp_path: Path) -> None:
    (tmp_path / "no-key").write_text("no key", encoding="utf-8")
    for change in (
        {"username": None},
        {"private_key_file": None},
        {"private_key_file": str(tmp_path / "no-key")},
        {"private_key_file": str(tmp_path / "nothing")},
    ):
        with pytest.raises(StorageCredentialInvalid):
            SftpStorage(server.settings(**change))


@pytest.mark.parametrize("interactive", [False, True])
def test_passwords(tmp_path: Path, interactive: bool) -> None:
    import paramiko

    (tmp_path / "images").mkdir()
    files = plain_files(tmp_path / "images")
    with StubServer(paramiko.SFTPServer, (files,), interactive) as stub:
        works(stub.settings())
        with pytest.raises(StorageLoginFailed, match="line3") as raised:
            works(stub.settings(password="Wr0ng-s3cret"))
        says_nothing_secret(raised.value, "Wr0ng-s3cret", PASSWORD)
        assert PASSWORD not in SftpStorage(stub.settings()).description


def test_addresses_that_are_none(server: SftpServer) -> None:
    good = server.settings()
    for url in ("sftp:///path", "sftp://host:port/x", "sftp://host/../x", "sftp://host/x?y"):
        with pytest.raises(StorageUrlInvalid):
            SftpStorage(dict(good, url=url))
    with pytest.raises(StorageUrlInvalid) as raised:
        open_storage(dict(good, url="sftp://user:Wr0ng-s3cret@host/x"))
    says_nothing_secret(raised.value, "Wr0ng-s3cret")
    server.kill()
    with pytest.raises(StorageUnreachable):
        works(good)
