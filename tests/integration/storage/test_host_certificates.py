# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of OpenSSH: of a host, as ssh would judge them, and of a user, as ssh would show them."""

from __future__ import annotations

import base64
import getpass
import subprocess
from pathlib import Path
from typing import Any, Dict, List

import pytest
from engine.errors import (
    EngineError,
    StorageCredentialInvalid,
    StorageHostCertificateRefused,
    StorageHostKeyChanged,
    StorageLoginFailed,
)
from engine.storage.sftp import certificate as sftp_certificate
from engine.storage.sftp.storage import SftpStorage
from support.sftp_server import SftpServer, make_key


def sign(ca: Path, public: Path, *arguments: str) -> Path:
    """Sign ``public`` and return the certificate's path."""
    command = ["ssh-keygen", "-q", "-s", str(ca), "-I", "it", *arguments, str(public)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return public.with_name(public.name[: -len(".pub")] + "-cert.pub")


def line(marker: str, key: Path) -> str:
    return "%s * %s\n" % (marker, " ".join(key.with_suffix(".pub").read_text(encoding="utf-8").split()[:2]))


def as_ssh(server: SftpServer, path: Path) -> bool:
    command = ["ssh", "-F", "none", "-o", "UserKnownHostsFile=%s" % path, "-o", "GlobalKnownHostsFile=/dev/null"]
    command += ["-o", "StrictHostKeyChecking=yes", "-o", "PreferredAuthentications=none", "-o", "BatchMode=yes"]
    command += ["-p", str(server.port), "nobody@127.0.0.1", "true"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=30, check=False)
    return b"Permission denied" in done.stderr


# How the host's key is signed, with what lines, and whether that is right; "" for right.
HOSTS: Dict[str, Any] = {
    "right": (["-h", "-n", "127.0.0.1,store.example"], "", ""),
    "for every name": (["-h"], "", ""),
    "of RSA": (["-h", "-n", "127.0.0.1"], "", "rsa"),
    "of ECDSA": (["-h", "-n", "127.0.0.1"], "", "ecdsa"),
    "for another host": (["-h", "-n", "other.example"], StorageHostCertificateRefused.code, ""),
    "for a pattern": (["-h", "-n", "127.0.0.*"], StorageHostCertificateRefused.code, ""),
    "expired": (["-h", "-n", "127.0.0.1", "-V", "20200101:20210101"], StorageHostCertificateRefused.code, ""),
    "not yet": (["-h", "-n", "127.0.0.1", "-V", "20990101:21000101"], StorageHostCertificateRefused.code, ""),
    "critical": (["-h", "-n", "127.0.0.1", "-O", "critical:x=y"], StorageHostCertificateRefused.code, ""),
}


@pytest.mark.parametrize("how", sorted(HOSTS))
def test_a_host_is_who_its_authority_says(tmp_path: Path, how: str) -> None:
    arguments, code, kind = HOSTS[how]
    server = SftpServer(tmp_path / "server")
    ca = make_key(tmp_path / "ca", kind or "ed25519")
    certificate = sign(ca, server.folder / "host_key.pub", *arguments)
    with open(server.folder / "sshd_config", "a", encoding="utf-8") as config:
        config.write("HostCertificate %s\n" % certificate)
    known = tmp_path / "known_hosts"
    known.write_text(line("@cert-authority", ca), encoding="utf-8")
    with server:
        got = outcome(server, known)
        assert got == code
        assert as_ssh(server, known) == (got == "")
        if how != "right":
            return
        with open(known, "a", encoding="utf-8") as file:
            file.write(line("@revoked", ca))
        assert outcome(server, known) == StorageHostKeyChanged.code
        assert not as_ssh(server, known)
        known.write_text(line("@cert-authority", make_key(tmp_path / "stranger")), encoding="utf-8")
        assert outcome(server, known) == "S109"
        assert not as_ssh(server, known)


def outcome(server: SftpServer, known: Path) -> str:
    try:
        with SftpStorage(server.settings(host_key=None, known_hosts_file=str(known))) as storage:
            storage.list("")
    except EngineError as error:
        return error.code if not error.retry else "repeated"
    return ""


def test_a_certificate_whose_signature_is_another_one(tmp_path: Path) -> None:
    key, ca = make_key(tmp_path / "key"), make_key(tmp_path / "ca")
    path = sign(ca, key.with_suffix(".pub"), "-h")
    blob = bytearray(base64.b64decode(path.read_text(encoding="utf-8").split()[1]))
    whole = sftp_certificate.parse(bytes(blob))
    assert whole is not None
    assert sftp_certificate.why_not_for_host(whole, "any") == ""
    for place in (-1, -40, 60):
        spoilt = bytearray(blob)
        spoilt[place] ^= 1
        parsed = sftp_certificate.parse(bytes(spoilt))
        assert parsed is None or sftp_certificate.why_not_for_host(parsed, "any") != ""
    for length in range(0, len(blob), 7):
        assert sftp_certificate.parse(bytes(blob[:length])) is None


# -- users -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def trusting(tmp_path: Path) -> SftpServer:
    """A server that knows no key of a user, only who signs them."""
    ca = make_key(tmp_path / "ca")
    server = SftpServer(tmp_path / "server", more="TrustedUserCAKeys %s.pub\n" % ca)
    (server.folder / "authorized_keys").write_text("", encoding="utf-8")
    return server


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_a_users_certificate_beside_the_key_or_in_its_text(trusting: SftpServer, tmp_path: Path, kind: str) -> None:
    key = make_key(tmp_path / "mine", kind)
    text = key.read_text(encoding="utf-8")
    with trusting as server:
        refused: List[Dict[str, Any]] = [{"private_key_file": str(key)}]
        path = sign(tmp_path / "ca", key.with_suffix(".pub"), "-n", getpass.getuser())
        both = text + path.read_text(encoding="utf-8")
        (tmp_path / "both").write_text(both, encoding="utf-8")
        for given in (
            {"private_key_file": str(key)},
            {"private_key": both, "private_key_file": None},
            {"private_key_file": str(tmp_path / "both")},
        ):
            with SftpStorage(server.settings(**given)) as storage:
                storage.put("proof", [b"x"], replace=True)
        path.unlink()
        for given in refused:
            with pytest.raises(StorageLoginFailed), SftpStorage(server.settings(**given)) as storage:
                storage.list("")


def test_a_certificate_that_expired_gives_way_to_the_key_and_is_told(tmp_path: Path) -> None:
    ca = make_key(tmp_path / "ca")
    with SftpServer(tmp_path / "server", more="TrustedUserCAKeys %s.pub\n" % ca) as server:
        sign(ca, server.folder / "user_key.pub", "-n", getpass.getuser(), "-V", "20200101:20210101")
        with SftpStorage(server.settings()) as storage:
            storage.put("proof", [b"x"])
        (server.folder / "authorized_keys").write_text("", encoding="utf-8")
        with pytest.raises(StorageLoginFailed) as caught, SftpStorage(server.settings()) as storage:
            storage.list("")
        assert "2021" in str(caught.value.fields["reason"])


def test_a_certificate_of_another_key(tmp_path: Path) -> None:
    ca, other = make_key(tmp_path / "ca"), make_key(tmp_path / "other")
    with SftpServer(tmp_path / "server") as server:
        certificate = sign(ca, other.with_suffix(".pub"), "-n", "root").read_text(encoding="utf-8")
        Path(str(server.key) + "-cert.pub").write_text(certificate, encoding="utf-8")
        with SftpStorage(server.settings()) as storage:
            storage.list("")  # what lies beside the key is no one's word
        with pytest.raises(StorageCredentialInvalid):
            SftpStorage(server.settings(private_key=server.key.read_text(encoding="utf-8") + certificate))
