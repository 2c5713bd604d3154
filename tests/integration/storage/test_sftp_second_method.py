# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logins in more than one step, over servers that take one service request, and kinds of keys that ssh-keygen makes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Dict, List

import pytest
from cryptography.hazmat.primitives import serialization
from engine.errors import (
    StorageCredentialInvalid,
    StorageLoginFailed,
    StorageLoginNeedsMore,
    StoragePasswordExpired,
)
from engine.storage.sftp.storage import SftpStorage
from support.asyncssh_server import AsyncsshServer
from support.refusing import check_sentence
from support.sftp_server import PASSPHRASE, SftpServer, make_key

SECRET = "a password, never to be shown: 4711"


def works(settings: Dict[str, Any]) -> None:
    with SftpStorage(settings) as storage:
        storage.put("proof", [b"x"], replace=True)
        assert storage.get("proof") == b"x"


def test_a_key_that_is_not_known_then_the_password(tmp_path: Path) -> None:
    with AsyncsshServer(tmp_path / "server") as server:
        works(server.settings(private_key_file=str(make_key(tmp_path / "stranger"))))
        assert server.tried == ["key", "password"]


def test_the_key_alone(tmp_path: Path) -> None:
    key = make_key(tmp_path / "known")
    with AsyncsshServer(tmp_path / "server", key=key) as server:
        works(server.settings(private_key_file=str(key), password=None))
        assert "password" not in server.tried


def test_one_hidden_question_is_answered_with_the_password(tmp_path: Path) -> None:
    with AsyncsshServer(tmp_path / "server", "interactive") as server:
        works(server.settings())
        works(server.settings(private_key_file=str(make_key(tmp_path / "stranger"))))
        with pytest.raises(StorageLoginFailed) as caught:
            works(server.settings(password="Wr0ng-s3cret"))
        assert server.tried.count("answer") == 3, "a wrong password is sent once"
        check_sentence(caught.value, [SECRET, "Wr0ng-s3cret"])


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Verification code: ", StorageLoginNeedsMore),
        ("One-time password: ", StorageLoginNeedsMore),
        ("Enter PASSCODE: ", StorageLoginNeedsMore),
    ],
)
def test_a_question_for_something_else_gets_no_password(tmp_path: Path, question: str, expected: Any) -> None:
    with AsyncsshServer(tmp_path / "server", "interactive", question) as server:
        with pytest.raises(expected) as caught:
            works(server.settings())
        assert not caught.value.retry
        assert "answer" not in server.tried
        check_sentence(caught.value, [SECRET])


def test_a_wrong_password_is_tried_once(tmp_path: Path) -> None:
    with AsyncsshServer(tmp_path / "server") as server:
        with pytest.raises(StorageLoginFailed):
            works(server.settings(password="Wr0ng-s3cret"))
        assert server.tried == ["password"]


def test_a_password_that_has_to_be_changed(tmp_path: Path) -> None:
    """SSH_MSG_USERAUTH_PASSWD_CHANGEREQ [RFC 4252, 8], as servers on Windows send it."""
    with AsyncsshServer(tmp_path / "server", wants_change=True) as server:
        with pytest.raises(StoragePasswordExpired) as caught:
            works(server.settings())
        assert not caught.value.retry
        check_sentence(caught.value, [SECRET])


# -- keys -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with SftpServer(tmp_path_factory.mktemp("keys") / "server") as server:
        yield server


def admit(server: SftpServer, key: Path) -> None:
    with open(server.folder / "authorized_keys", "a", encoding="utf-8") as file:
        file.write(key.with_suffix(".pub").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "cipher", ["aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com"]
)
@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_keys_that_are_locked_with_an_authenticated_cipher(
    server: SftpServer, tmp_path: Path, kind: str, cipher: str
) -> None:
    key = tmp_path / "key"
    command = ["ssh-keygen", "-q", "-t", kind, "-Z", cipher, "-a", "4", "-N", PASSPHRASE, "-f", str(key)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    admit(server, key)
    works(server.settings(private_key_file=str(key), private_key_passphrase=PASSPHRASE))
    refused(server, key)


def refused(server: SftpServer, key: Path) -> None:
    for passphrase in (None, "not this one"):
        with pytest.raises(StorageCredentialInvalid) as caught:
            SftpStorage(server.settings(private_key_file=str(key), private_key_passphrase=passphrase))
        assert "passphrase" in str(caught.value.fields["reason"])
        check_sentence(caught.value, ["not this one", PASSPHRASE])


def test_a_key_that_is_locked_with_an_old_cipher_is_told_which(server: SftpServer, tmp_path: Path) -> None:
    key = tmp_path / "key"
    command = ["ssh-keygen", "-q", "-t", "ecdsa", "-Z", "3des-cbc", "-a", "4", "-N", PASSPHRASE, "-f", str(key)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    with pytest.raises(StorageCredentialInvalid) as caught:
        SftpStorage(server.settings(private_key_file=str(key), private_key_passphrase=PASSPHRASE))
    assert "3des-cbc" in str(caught.value.fields["reason"])
    check_sentence(caught.value, [PASSPHRASE])


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_keys_in_pkcs_8(server: SftpServer, tmp_path: Path, kind: str) -> None:
    arguments: Dict[str, List[str]] = {
        "rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        "ecdsa": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "ed25519": ["-algorithm", "ED25519"],
    }
    plain, locked = tmp_path / "plain", tmp_path / "locked"
    subprocess.run(["openssl", "genpkey", *arguments[kind], "-out", str(plain)], check=True, stderr=subprocess.DEVNULL)
    command = ["openssl", "pkcs8", "-topk8", "-in", str(plain), "-passout", "pass:" + PASSPHRASE, "-out", str(locked)]
    subprocess.run(command, check=True)
    public = serialization.load_pem_private_key(plain.read_bytes(), None).public_key()
    with open(server.folder / "authorized_keys", "ab") as file:
        file.write(public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH) + b"\n")
    works(server.settings(private_key_file=str(plain)))
    works(server.settings(private_key_file=None, private_key=plain.read_text(encoding="utf-8")))
    works(server.settings(private_key_file=str(locked), private_key_passphrase=PASSPHRASE))
    refused(server, locked)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n", "puttygen"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDrl root@server\n", "public key"),
        ("-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n", "public key"),
        ("-----BEGIN CERTIFICATE-----\nMCow\n-----END CERTIFICATE-----\n", "X.509"),
        ("-----BEGIN PRIVATE KEY-----\nMCow\n-----END PRIVATE KEY-----\n", "PKCS#8"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nMCow\n-----END OPENSSH PRIVATE KEY-----\n", "OpenSSH"),
        ("nonsense", "PKCS#8"),
    ],
)
def test_what_is_no_private_key_is_told_as_what_it_is(server: SftpServer, text: str, word: str) -> None:
    with pytest.raises(StorageCredentialInvalid) as caught:
        SftpStorage(server.settings(private_key_file=None, private_key=text))
    assert caught.value.fields["setting"] == "private_key"
    assert word in str(caught.value.fields["reason"])
