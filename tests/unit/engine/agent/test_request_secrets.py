# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The spool's files, the secrets of a job, and the sealed message as docs/agent.md describes it."""

from __future__ import annotations

import base64
import errno
import hashlib
import hmac
import json
import os
from pathlib import Path
from typing import Any, Dict

import pytest
from ansible_collections.plantops.imaging.plugins.module_utils import _arguments
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from engine.agent import request_secrets
from engine.agent.redaction import Redactor
from engine.agent.sealing import Recipient, seal
from engine.errors import AgentFileFailed, AgentPathUnsafe, SecretsRefused, StorageUrlInvalid
from engine.install import owned_files
from engine.storage.open import open_storage
from engine.verbs.secret_names import STORAGE_SECRETS
from support.refusing import failing


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


def test_a_document_is_replaced_whole_and_for_its_owner_alone(folder: Path) -> None:
    path = folder / "status.json"
    for number in range(3):
        owned_files.write_document(str(path), {"number": number}, durable=number == 2)
        assert owned_files.read_document(str(path)) == {"number": number}
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in folder.iterdir()] == ["status.json"]
    assert owned_files.read_document(str(folder / "none.json")) is None


def test_a_write_that_fails_leaves_the_old_document_and_nothing_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "status.json"
    owned_files.write_document(str(path), {"number": 1})

    def full(dummy_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(owned_files.os, "fsync", full)
    with failing(AgentFileFailed, reason=errno.ENOSPC):
        owned_files.write_document(str(path), {"number": 2}, durable=True)
    assert owned_files.read_document(str(path)) == {"number": 1}
    assert [one.name for one in folder.iterdir()] == ["status.json"]


def make_link(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def make_loose_link(path: Path) -> None:
    path.symlink_to(path.parent / "nothing")


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_directory(path: Path) -> None:
    path.mkdir()


def make_open(path: Path) -> None:
    path.write_text("{}", encoding="ascii")
    path.chmod(0o666)


@pytest.mark.parametrize("make", [make_link, make_loose_link, make_pipe, make_directory, make_open])
def test_what_is_no_file_of_ours_is_not_read(make: Any, folder: Path) -> None:
    path = folder / "sealed.json"
    make(path)
    with pytest.raises((AgentPathUnsafe, AgentFileFailed)) as caught:
        owned_files.read_document(str(path))
    assert str(path) in str(caught.value)


def test_a_file_of_any_size_costs_no_memory(folder: Path) -> None:
    path = folder / "big.json"
    with open(path, "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(AgentFileFailed, match="larger than 1000 bytes"):
        owned_files.read_bytes(str(path), 1000)


def test_every_secret_of_the_argument_spec_is_one_for_the_spool() -> None:
    options: Dict[str, Any] = _arguments.IMAGE["storage"]["options"]
    assert {name for name, option in options.items() if option.get("no_log")} == set(STORAGE_SECRETS)


def test_a_request_is_split_and_merged_again() -> None:
    job = {
        "verb": "image",
        "storage": {"url": "sftp://x/y", "username": "u", "password": "p", "private_key_passphrase": "q"},
        "secrets": {"password": "r"},
    }
    clear, secrets = request_secrets.split(job)
    assert clear == {"verb": "image", "storage": {"url": "sftp://x/y", "username": "u"}}
    assert request_secrets.found_in(clear) == []
    assert request_secrets.found_in(job) == ["secrets", "storage.password", "storage.private_key_passphrase"]
    assert request_secrets.merge(clear, secrets) == job
    moved = {"secrets": {}, "storage": {"url": "sftp://elsewhere/", "password": "p"}}
    assert request_secrets.merge(clear, moved)["storage"]["url"] == "sftp://x/y", "sealed settings are secrets only"


def test_the_secrets_of_a_second_storage_are_secrets_too() -> None:
    document = {"verb": "copy", "storage": {"url": "/x"}, "copy_storage": {"url": "sftp://x/y", "password": "geheim-2"}}
    clear, secrets = request_secrets.split(document)
    assert "geheim-2" not in json.dumps(clear)
    assert request_secrets.found_in(clear) == []
    assert request_secrets.found_in(document) == ["copy_storage.password"]
    assert request_secrets.merge(clear, secrets) == dict(document, secrets={})
    redact = Redactor()
    redact.learn_of(document)
    assert redact("it said geheim-2") == "it said ********"


@pytest.mark.parametrize(
    "url",
    [
        "sftp://user:g%s@host/x",
        "SFTP://user:g/%s@host/x",
        "sftp://user:1?%s@host/x",
        "sftp://%s@host/x",
        "smb://domain;user:%s@host/share",
        "file://user:%s@host/x",
        "user:%s@host:/x",
        "\\\\user:%s@server\\share",
    ],
)
def test_a_url_with_a_password_is_refused_before_anything_is_written(url: str) -> None:
    job = {"verb": "image", "storage": {"url": url % "geheim"}}
    for refuse in (request_secrets.split, request_secrets.found_in, open_of):
        with failing(StorageUrlInvalid, reason="belong in imaging_storage") as caught:
            refuse(job)
        assert "geheim" not in str(caught.value)


def open_of(job: Dict[str, Any]) -> None:
    open_storage(job["storage"])


@pytest.mark.parametrize(
    "url",
    [
        "sftp://host/x@y",
        "sftp://host:2222/a:b@c",
        "sftp://[::1]/x@y",
        "sftp://[::1]:22/x@y",
        "/mnt/a:b@c",
        "file:///mnt/a:b@c",
        "\\\\server\\share\\a@b",
        "",
    ],
)
def test_an_at_sign_in_a_path_is_no_password(url: str) -> None:
    clear, dummy_secrets = request_secrets.split({"storage": {"url": url}})
    assert clear == {"storage": {"url": url}}
    assert request_secrets.found_in(clear) == []


def test_the_message_is_the_one_of_the_contract() -> None:
    """Made here from the document alone, with other code than the engine's."""
    recipient = Recipient("run-1")
    hello = recipient.hello()
    nonce = base64.b64decode(hello["nonce"])
    sender = X25519PrivateKey.generate()
    shared = sender.exchange(X25519PublicKey.from_public_bytes(base64.b64decode(hello["public_key"])))
    extracted = hmac.new(nonce, shared, hashlib.sha256).digest()
    key = hmac.new(extracted, b"plantops-imaging sealed secrets 1run-1\x01", hashlib.sha256).digest()
    secrets = {"secrets": {"password": "p"}, "storage": {"password": "s"}}
    sealed = AESGCM(key).encrypt(bytes(12), json.dumps(secrets).encode(), b"run-1")
    message = {
        "run": "run-1",
        "nonce": hello["nonce"],
        "public_key": base64.b64encode(sender.public_key().public_bytes_raw()).decode(),
        "sealed": base64.b64encode(sealed).decode(),
    }
    assert recipient.open(json.dumps(message).encode()) == secrets


def test_a_message_opens_for_its_run_alone() -> None:
    secrets = {"secrets": {"password": "p"}, "storage": {}}
    one, other = Recipient("run-1"), Recipient("run-1")
    message = seal(one.hello(), secrets)
    assert one.open(json.dumps(message).encode()) == secrets
    assert seal(one.hello(), secrets)["sealed"] != message["sealed"], "a key pair for each message"
    with pytest.raises(SecretsRefused):
        other.open(json.dumps(message).encode())
    with pytest.raises(SecretsRefused):
        other.open(json.dumps(dict(message, nonce=other.hello()["nonce"])).encode())


@pytest.mark.parametrize("public_key", ["", "AAAA", base64.b64encode(bytes(32)).decode(), "\u00e4" * 44, None])
def test_a_public_key_that_would_give_the_secrets_away_is_refused(public_key: Any) -> None:
    hello: Dict[str, Any] = dict(Recipient("run-1").hello(), public_key=public_key)
    with pytest.raises(SecretsRefused):
        seal(hello, {"secrets": {}, "storage": {}})
