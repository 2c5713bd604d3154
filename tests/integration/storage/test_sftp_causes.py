# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each reason why an SFTP server can't be used has its own code, from a real OpenSSH, and only what may pass is repeated."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple

import pytest
from engine.errors import (
    EngineError,
    StorageAccountExpired,
    StorageAlgorithmsDiffer,
    StorageForeignServer,
    StorageLoginAttemptsUsedUp,
    StorageLoginCut,
    StorageLoginFailed,
    StorageLoginNeedsMore,
    StoragePasswordExpired,
    StoragePermissionDenied,
    StorageServerNotFound,
    StorageSessionFailed,
    StorageSessionRefused,
    StorageSftpDisturbed,
    StorageSftpMissing,
    StorageUnreachable,
)
from engine.storage.open import open_storage
from engine.storage.sftp.storage import SftpStorage
from support.proxy import accepted
from support.recipes import elsewhere
from support.refusing import check_sentence
from support.sftp_server import SftpServer, make_key

PASSWORD = "Pass-word 9"


def cause(settings: Dict[str, Any]) -> EngineError:
    with pytest.raises(EngineError) as caught, SftpStorage(settings, timeout_seconds=10) as storage:
        storage.put("proof", [b"x"], replace=True)
    check_sentence(caught.value, [PASSWORD])
    return caught.value


# -- what the two sides have in common --------------------------------------------------------------------------------

LACKING = {
    "key exchange": "KexAlgorithms diffie-hellman-group14-sha1",
    "cipher": "Ciphers chacha20-poly1305@openssh.com",
    "MAC": "Ciphers aes256-ctr\nMACs umac-128-etm@openssh.com",
    "host key": "HostKeyAlgorithms sk-ssh-ed25519@openssh.com,ssh-rsa\nHostKey %(rsa)s",
}


@pytest.mark.parametrize("kind", sorted(LACKING))
def test_no_algorithm_in_common_is_told_with_both_lists(tmp_path: Path, kind: str) -> None:
    rsa = make_key(tmp_path / "rsa", "rsa")
    server = SftpServer(tmp_path / "server", more=LACKING[kind] % {"rsa": rsa} + "\n")
    with server:
        for host_key in (server.fingerprint, server.host_key_line):
            error = cause(server.settings(host_key=host_key))
            assert error.code == StorageAlgorithmsDiffer.code, str(error)
            assert not error.retry
            assert error.fields["kind"] == kind
            assert error.fields["theirs"]
            assert error.fields["ours"]
            assert not set(str(error.fields["theirs"]).split(", ")) & set(str(error.fields["ours"]).split(", "))


def test_a_cipher_that_authenticates_needs_no_mac_in_common(tmp_path: Path) -> None:
    more = "Ciphers aes256-gcm@openssh.com\nMACs umac-128-etm@openssh.com\n"
    with SftpServer(tmp_path, more=more) as server, SftpStorage(server.settings()) as storage:
        storage.put("file", [b"x"])
        assert storage.get("file") == b"x"


# -- what comes after the login ---------------------------------------------------------------------------------------

PROGRAMS = {
    "a password that has expired": ("echo WARNING: Your password has expired.; exit 1", StoragePasswordExpired),
    "an ending without a word": ("exit 1", StorageSftpMissing),
    "a program that is not there": ("exec /no/such/sftp-server", StorageSftpMissing),
    "a shell that ends all": ("echo This account is currently not available.; exit 1", StorageSftpMissing),
    "a shell that talks": ("echo Welcome; exec /usr/lib/openssh/sftp-server", StorageSftpDisturbed),
    "a shell that says little": ("echo; exec /usr/lib/openssh/sftp-server", StorageSftpDisturbed),
    "a shell that paints": ("printf '\\033[31mred'; exec /usr/lib/openssh/sftp-server", StorageSftpDisturbed),
    "another program": ("head -c 100 /dev/urandom; sleep 5", StorageSftpDisturbed),
}


@pytest.mark.parametrize("what", sorted(PROGRAMS))
def test_what_comes_in_the_place_of_sftp(tmp_path: Path, what: str) -> None:
    command, expected = PROGRAMS[what]
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n%s\n" % command, encoding="utf-8")
    program.chmod(0o755)
    server = SftpServer(tmp_path / "server")
    config = server.folder / "sshd_config"
    config.write_text(config.read_text(encoding="utf-8").replace("internal-sftp", str(program)), encoding="utf-8")
    with server:
        error = cause(server.settings())
        assert error.code == expected.code, str(error)
        assert not error.retry


CONFIGURATIONS: Dict[str, Any] = {
    "no session": ("MaxSessions 0", StorageSessionRefused, False),
    "no subsystem": ("Match User *\nForceCommand exec true", StorageSftpMissing, False),
    "a directory that others may write to": ("ChrootDirectory %(folder)s/open", StorageSessionFailed, False),
    "a directory that is not there": ("ChrootDirectory /no/such/place", StorageSessionFailed, False),
    "a key after which it wants a password": (
        "PasswordAuthentication yes\nAuthenticationMethods publickey,password",
        StorageLoginNeedsMore,
        False,
    ),
    "no login at all": ("DenyUsers *", StorageLoginFailed, False),
}


@pytest.mark.parametrize("what", sorted(CONFIGURATIONS))
def test_what_a_server_does_after_the_key(tmp_path: Path, what: str) -> None:
    line, expected, retry = CONFIGURATIONS[what]
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    server = SftpServer(tmp_path / "server")
    config = server.folder / "sshd_config"
    text = config.read_text(encoding="utf-8").replace("PasswordAuthentication no\n", "")
    config.write_text(line % {"folder": tmp_path} + "\n" + text if "Match" not in line else text + line + "\n")
    with server:
        error = cause(server.settings())
        assert error.code == expected.code, str(error)
        assert (error.retry, error.is_answer if retry else False) == (retry, retry)


def test_too_many_failures(tmp_path: Path) -> None:
    with SftpServer(tmp_path / "server", more="MaxAuthTries 1\n") as server:
        settings = server.settings(private_key_file=str(make_key(tmp_path / "stranger")), password=PASSWORD)
        error = cause(settings)
        assert error.code == StorageLoginAttemptsUsedUp.code, str(error)
        assert not error.retry
        assert "publickey" in str(error.fields["tried"])


def test_a_root_that_may_not_be_entered(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        site.user("tech")
        site.place.run("mkdir -m 700 -p /srv/closed/images")
        assert cause(site.settings("tech", "/srv/closed/images")).code == StoragePermissionDenied.code


# -- accounts, as PAM has them ----------------------------------------------------------------------------------------


class Site:
    """An OpenSSH with PAM and accounts of its own, in a namespace with an /etc of its own."""

    def __init__(self, folder: Path, more: str = "") -> None:
        self._folder = folder
        self._more = more
        self._opened: List[Any] = []

    def __enter__(self) -> Site:
        self._opened.append(elsewhere(self._folder / "place"))
        self.place = self._opened[0].__enter__()
        self.server = SftpServer(self._folder / "server")
        config = self.server.folder / "sshd_config"
        text = config.read_text(encoding="utf-8").replace("PasswordAuthentication no", "PasswordAuthentication yes")
        text = text.replace("UsePAM no", "UsePAM yes")
        if "Kbd" in self._more:
            text = text.replace("KbdInteractiveAuthentication no\n", "")
            text = text.replace("PasswordAuthentication yes", "PasswordAuthentication no")
        config.write_text(text + self._more + "\n", encoding="utf-8")
        self.server.prefix = self.place.prefix
        self._opened.append(self.server)
        self.server.start()
        return self

    def __exit__(self, *dummy: object) -> None:
        self.server.kill()
        self._opened[0].__exit__(None, None, None)

    def user(self, name: str, *more: str) -> None:
        self.place.run("useradd -m -d /srv/%s -s /bin/sh %s" % (name, name))
        self.place.run("echo '%s:%s' | chpasswd; mkdir -m 777 -p /srv/images" % (name, PASSWORD))
        for command in more:
            self.place.run(command)

    def settings(self, name: str, path: str = "/srv/images", **more: Any) -> Dict[str, Any]:
        url = "sftp://127.0.0.1:%d%s" % (self.server.port, path)
        return dict({"url": url, "username": name, "password": PASSWORD, "host_key": self.server.fingerprint}, **more)


@pytest.fixture(scope="module", params=["password", "keyboard-interactive"])
def site(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    more = "KbdInteractiveAuthentication yes" if request.param == "keyboard-interactive" else ""
    with Site(tmp_path_factory.mktemp("site"), more) as site:
        yield site


class Account(NamedTuple):
    change: str
    expected: Any


ACCOUNTS = {
    "fine": Account("true", None),
    "expired": Account("usermod -e 2020-01-01 expired", StorageAccountExpired),
    "old": Account("chage -d 0 old", StoragePasswordExpired),
    "locked": Account("passwd -q -l locked", StorageLoginFailed),
}


@pytest.mark.parametrize("name", sorted(ACCOUNTS))
def test_accounts_of_pam(site: Site, name: str) -> None:
    account = ACCOUNTS[name]
    site.user(name, account.change)
    settings = site.settings(name)
    if account.expected is None:
        with SftpStorage(settings) as storage:
            storage.put("proof", [b"x"])
        return
    error = cause(settings)
    assert error.code == account.expected.code, str(error)
    assert not error.retry


# -- what is no SFTP server -------------------------------------------------------------------------------------------


@contextlib.contextmanager
def saying(words: bytes) -> Iterator[Dict[str, Any]]:
    """A server that says something to each caller and hangs up: the settings that lead to it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            for client in accepted(listener):
                client.sendall(words)
                client.close()

        threading.Thread(target=answer, daemon=True).start()
        url = "sftp://127.0.0.1:%d/x" % listener.getsockname()[1]
        yield {"url": url, "username": "u", "password": "p", "host_key": "accept-new", "time_limit_seconds": 0.1}


def test_another_service_is_not_asked_again() -> None:
    with saying(b"HTTP/1.1 400 Bad Request\r\n\r\n") as settings:
        error = cause(settings)
        assert error.code == StorageForeignServer.code, str(error)
        assert not error.retry


@pytest.mark.parametrize("words", [b"SSH-2.0-x\r\n", b"SSH-2.0-x\r\n" + b"\xff" * 2000, b"busy\r\n", b""])
def test_a_link_that_breaks_before_the_login_has_a_reason_in_words(words: bytes) -> None:
    with saying(words) as settings:
        error = cause(settings)
        assert error.code == StorageUnreachable.code, str(error)
        assert not re.search("[a-z]Error|packet blocking|Indecipherable", str(error)), str(error)


def test_a_server_that_hangs_up_during_the_login(tmp_path: Path) -> None:
    """It is asked a few times more: a network that cuts connections looks the same."""
    with Site(tmp_path) as site:
        site.user("tech")
        site.place.run("echo 'account required pam_exec.so seteuid /bin/false' > /etc/pam.d/sshd.new")
        site.place.run("cat /etc/pam.d/sshd >> /etc/pam.d/sshd.new; mv /etc/pam.d/sshd.new /etc/pam.d/sshd")
        error = cause(site.settings("tech"))
        assert error.code == StorageLoginCut.code, str(error)
        assert error.retry
        assert error.is_answer


def test_a_name_that_nobody_knows_is_asked_for_a_few_times_only() -> None:
    settings = {"url": "sftp://no-such-host.invalid/x", "username": "u", "password": "p", "host_key": "accept-new"}
    with pytest.raises(StorageServerNotFound), open_storage(settings) as storage:
        storage.list("")
