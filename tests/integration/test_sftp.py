# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SFTP where things go wrong: host keys, logins, servers and lines that die, full and read-only ones."""

from __future__ import annotations

import os
import random
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
from engine.agent.jobs import run_job
from engine.errors import (
    EngineError,
    StorageCredentialInvalid,
    StorageFull,
    StorageHostKeyChanged,
    StorageHostKeyUnknown,
    StorageLoginFailed,
    StoragePermissionDenied,
    StorageUnreachable,
    StorageUrlInvalid,
)
from engine.image import format as fmt
from engine.storage.open import open_storage
from engine.storage.retry import RetryingStorage
from engine.storage.sftp import SftpStorage
from support.playbooks import Site
from support.proxy import Proxy
from support.sftp_server import PASSPHRASE, SftpServer, make_key
from support.sftp_stub import PASSWORD, StubServer, plain_files

IMAGE_PASSWORD = "correct-horse-battery-staple-47"
MIB = 1 << 20


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpServer]:
    with SftpServer(tmp_path / "server") as server:
        yield server


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
    assert "Accepted" not in (server.folder / "sshd.log").read_text(encoding="utf-8")
    assert not server.root.exists()


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
        server.kill()
        for name in ("host_key", "host_key.pub"):
            (server.folder / name).unlink()
        make_key(server.folder / "host_key")
        server.start()
        with pytest.raises(StorageUnreachable):
            storage.list("")
        with pytest.raises(StorageHostKeyChanged):
            storage.list("")


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
    with pytest.raises(StorageLoginFailed, match="key was not accepted") as raised:
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


# -- the server and the line -------------------------------------------------------------------------------------------


def test_a_silent_server_ends_in_an_error_and_a_lost_line_is_made_anew(server: SftpServer) -> None:
    data = os.urandom(4 * MIB)
    with Proxy(server.port) as proxy, SftpStorage(server.settings(proxy.port), timeout_seconds=1.5) as storage:
        storage.put("file", [data])
        calls: List[Callable[[], Any]] = [
            lambda: storage.get("file"),
            lambda: storage.list(""),
            lambda: storage.put("other", [data] * 16),
            storage.space,
        ]
        for call in calls:
            storage.list("")
            proxy.silence()
            with pytest.raises(StorageUnreachable) as raised:
                call()
            assert raised.value.retry
            proxy.speak()
            assert storage.get("file") == data
            proxy.cut()
            with pytest.raises(StorageUnreachable):
                call()
            proxy.mend()
        # What a lost put left goes away with the next one.
        storage.put("last", [b"x"])
        assert sorted(entry.name for entry in storage.list("")) == ["file", "last"]


def test_a_line_that_falls_silent_in_the_middle(server: SftpServer) -> None:
    def pieces() -> Iterator[bytes]:
        for number in range(64):
            if number == 3:
                proxy.silence()
            yield b"x" * MIB

    with Proxy(server.port) as proxy, SftpStorage(server.settings(proxy.port), timeout_seconds=1.5) as storage:
        with pytest.raises(StorageUnreachable):
            storage.put("file", pieces())
        proxy.speak()
        assert not storage.exists("file")


def test_retries_carry_calls_over_cuts(server: SftpServer) -> None:
    data = [os.urandom(MIB) for dummy in range(8)]
    with Proxy(server.port) as proxy:
        inner = SftpStorage(server.settings(proxy.port), timeout_seconds=5.0)
        with RetryingStorage(inner, 60.0) as storage:
            for number in range(4):
                proxy.cut_after((3 + number) * MIB)
                assert storage.put("file-%d" % number, data) == 8 * MIB
                proxy.cut_after((2 + number) * MIB)
                assert storage.get("file-%d" % number) == b"".join(data)
            assert proxy.connections == 9
            assert [entry.size_bytes for entry in storage.list("")] == [8 * MIB] * 4


def test_keys_are_renewed_while_bytes_flow(tmp_path: Path) -> None:
    server = SftpServer(tmp_path)
    config = tmp_path / "sshd_config"
    config.write_text("RekeyLimit 2M\n" + config.read_text(encoding="utf-8"), encoding="utf-8")
    data = [os.urandom(MIB) for dummy in range(12)]
    wrong: List[int] = []

    def work(number: int) -> None:
        storage.put("file-%d" % number, data)
        if storage.get("file-%d" % number) != b"".join(data):
            wrong.append(number)

    with server, SftpStorage(server.settings(), timeout_seconds=30.0) as storage:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [entry.size_bytes for entry in storage.list("")] == [12 * MIB] * 2
    assert wrong == []


def test_retries_end_with_the_time_limit(server: SftpServer) -> None:
    waited: List[float] = []
    with Proxy(server.port) as proxy:
        inner = SftpStorage(server.settings(proxy.port))
        storage = RetryingStorage(inner, 0.0, sleep=waited.append)
        proxy.cut()
        with pytest.raises(StorageUnreachable):
            storage.list("")
        now = [0.0]

        def sleep(seconds: float) -> None:
            now[0] += seconds
            waited.append(seconds)

        patient = RetryingStorage(inner, 100.0, sleep=sleep, clock=lambda: now[0])
        with pytest.raises(StorageUnreachable):
            patient.list("")
        assert 50 < sum(waited) < 101


# -- whole images ------------------------------------------------------------------------------------------------------


def job(verb: str, settings: Dict[str, Any], **more: Any) -> Dict[str, Any]:
    document = {
        "verb": verb,
        "device": "pc",
        "storage": settings,
        "secrets": {"password": IMAGE_PASSWORD},
        "limit_read_rate": 0,
        "lease_ttl_seconds": 30,
    }
    document.update(more)
    return document


def run(verb: str, settings: Dict[str, Any], **more: Any) -> Dict[str, Any]:
    return run_job(job(verb, settings, **more), lambda event: None, lambda: False)


def make_disk(path: Path, seed: int, size_mib: int = 24) -> Path:
    path.write_bytes(random.Random(seed).randbytes(size_mib * MIB))
    return path


def test_image_verify_and_restore(server: SftpServer, tmp_path: Path) -> None:
    disk = make_disk(tmp_path / "disk", 1)
    made = run("image", server.settings(), drives=[str(disk)])
    folder = server.root / "pc" / made["image"]
    assert subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=str(folder), check=False).returncode == 0
    assert run("verify", server.settings(), level="full")["ok"] is True
    run("restore", server.settings(), map={"disk0": str(tmp_path / "restored")})
    assert (tmp_path / "restored").read_bytes() == disk.read_bytes()
    assert not list(server.root.rglob("*.partial"))


@pytest.mark.parametrize("what", ["server killed", "line cut"])
def test_a_failure_in_the_middle_of_an_image(
    server: SftpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(fmt, "PACK_TARGETS", ((1 << 62, 4 * MIB),))
    disk = make_disk(tmp_path / "disk", 1)
    first = run("image", server.settings(), drives=[str(disk)])
    make_disk(disk, 2)
    stopped = threading.Event()
    with Proxy(server.port) as proxy:

        def disturb() -> None:
            while proxy.forwarded_bytes < 10 * MIB and not stopped.is_set():
                time.sleep(0.01)
            if what == "server killed":
                server.kill()
                time.sleep(1.0)
                server.start()
            else:
                proxy.cut()
                time.sleep(1.0)
                proxy.mend()

        thread = threading.Thread(target=disturb)
        thread.start()
        try:
            second = run("image", server.settings(proxy.port), drives=[str(disk)])
        finally:
            stopped.set()
            thread.join()
        assert proxy.connections > 1
    for image in (first["image"], second["image"]):
        assert run("verify", server.settings(), level="full", image=image)["ok"] is True
    run("restore", server.settings(), map={"disk0": str(tmp_path / "restored")})
    assert (tmp_path / "restored").read_bytes() == disk.read_bytes()


def test_a_device_images_over_sftp_by_playbook(server: SftpServer, tmp_path: Path) -> None:
    disk = make_disk(tmp_path / "disk", 1, 8)
    key = make_key(tmp_path / "locked", "ed25519", PASSPHRASE)
    with open(server.folder / "authorized_keys", "a", encoding="utf-8") as file:
        file.write(key.with_suffix(".pub").read_text(encoding="utf-8"))
    text = key.read_text(encoding="utf-8")
    settings = server.settings(
        private_key_file=None, private_key=text, private_key_passphrase=PASSPHRASE, host_key="accept-new"
    )
    site = Site(
        tmp_path / "site",
        imaging_drives=[str(disk)],
        imaging_password=IMAGE_PASSWORD,
        imaging_restore_map={"disk0": str(tmp_path / "restored")},
        imaging_storage=settings,
    )
    played = site.play("image", "-vvv")
    assert played.status == 0, played.output
    assert server.fingerprint in "".join(played.output.split())  # Ansible folds its warnings
    shown = played.output + str(played.results)
    assert PASSPHRASE not in shown
    assert text.split("\n")[1] not in shown
    site.settings["imaging_storage"] = dict(settings, host_key=server.fingerprint)
    assert site.play("verify").status == 0
    assert site.play("restore").status == 0
    assert (tmp_path / "restored").read_bytes() == disk.read_bytes()
    site.settings["imaging_storage"] = dict(settings, host_key="SHA256:" + "A" * 43)
    assert site.play("image").result("Make an image")["error_code"] == "S110"


# -- full and read-only ------------------------------------------------------------------------------------------------


@pytest.fixture
def small(server: SftpServer) -> Iterator[Path]:
    """The server's root as a file system of 12 MiB."""
    server.root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", str(server.root)], check=True)
    try:
        yield server.root
    finally:
        subprocess.run(["umount", "-l", str(server.root)], check=True)


@pytest.mark.root
def test_a_full_server(server: SftpServer, small: Path, tmp_path: Path) -> None:
    disk = make_disk(tmp_path / "disk", 1, 4)
    first = run("image", server.settings(), drives=[str(disk)])
    with SftpStorage(server.settings()) as storage:
        with pytest.raises(StorageFull) as raised:
            storage.put("file", [b"x" * MIB] * 20)
        assert not raised.value.retry
        space = storage.space()
        assert space is not None
        assert space.total_bytes == 12 * MIB
    make_disk(disk, 2, 16)
    with pytest.raises(StorageFull):
        run("image", server.settings(), drives=[str(disk)])
    assert run("verify", server.settings(), level="full", image=first["image"])["ok"] is True
    assert not list(small.rglob("*.partial"))


@pytest.mark.root
def test_a_read_only_server(server: SftpServer, small: Path) -> None:
    (small / "file").write_bytes(b"x")
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    with SftpStorage(server.settings()) as storage:
        assert storage.get("file") == b"x"
        for call in (
            lambda: storage.put("new", [b"x"]),
            lambda: storage.make_directory("new"),
            lambda: storage.delete("file"),
            lambda: storage.rename("file", "other"),
        ):
            with pytest.raises(StoragePermissionDenied):
                call()


def test_a_server_that_permits_reading_only(tmp_path: Path) -> None:
    with SftpServer(tmp_path, "-R") as server:
        server.root.mkdir()
        (server.root / "file").write_bytes(b"x")
        with SftpStorage(server.settings()) as storage:
            assert storage.get("file") == b"x"
            for call in (
                lambda: storage.put("new", [b"x"]),
                lambda: storage.make_directory("new"),
                lambda: storage.delete("file"),
            ):
                with pytest.raises(StoragePermissionDenied):
                    call()
