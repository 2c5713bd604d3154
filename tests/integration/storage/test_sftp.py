# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SFTP where things go wrong: servers and lines that die, full and read-only ones; whole images over all that."""

from __future__ import annotations

import os
import random
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
from engine.errors import (
    StorageFailed,
    StorageFull,
    StoragePermissionDenied,
    StorageUnreachable,
)
from engine.image.format import constants as fmt
from engine.storage.retry import RetryingStorage
from engine.storage.sftp.storage import SftpStorage
from engine.verbs.dispatch import run_job
from support.playbooks import Site
from support.proxy import Proxy
from support.samba_server import disk_with_quota
from support.sftp_server import PASSPHRASE, SftpServer, make_key

IMAGE_PASSWORD = "correct-horse-battery-staple-47"
MIB = 1 << 20


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpServer]:
    with SftpServer(tmp_path / "server") as server:
        yield server


# -- the server and the line -------------------------------------------------------------------------------------------


def again(call: Callable[[], Any]) -> Any:
    """Return what ``call`` does now that the line works: beside other work a new login takes longer than a short time-out."""
    end = time.monotonic() + 60
    while True:
        try:
            return call()
        except StorageUnreachable:
            if time.monotonic() > end:
                raise


def test_a_silent_server_ends_in_an_error_and_a_lost_line_is_made_anew(server: SftpServer) -> None:
    data = os.urandom(4 * MIB)
    with Proxy(server.port) as proxy, SftpStorage(server.settings(proxy.port), timeout_seconds=1.5) as storage:
        again(lambda: storage.put("file", [data], replace=True))
        calls: List[Callable[[], Any]] = [
            lambda: storage.get("file"),
            lambda: storage.list(""),
            lambda: storage.put("other", [data] * 16),
            storage.space,
        ]
        for call in calls:
            again(lambda: storage.list(""))
            proxy.silence()
            with pytest.raises(StorageUnreachable) as raised:
                call()
            assert raised.value.retry
            proxy.speak()
            assert again(lambda: storage.get("file")) == data
            proxy.cut()
            with pytest.raises(StorageUnreachable):
                call()
            proxy.mend()
        # What a lost put left goes away with the next one.
        again(lambda: storage.put("last", [b"x"], replace=True))
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
        assert not again(lambda: storage.exists("file"))


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
    server.root.mkdir(exist_ok=True)
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
def test_a_quota_is_named_as_a_reason(server: SftpServer, tmp_path: Path) -> None:
    """OpenSSH says only that it failed, and its disk has room."""
    with disk_with_quota(tmp_path / "disk", 16 * MIB) as disk:
        server.root = disk
        with SftpStorage(server.settings()) as storage:
            storage.put("first", [os.urandom(8 * MIB)])
            with pytest.raises(StorageFailed, match="quota"):
                storage.put("second", [os.urandom(MIB) for dummy in range(20)])
            assert [entry.name for entry in storage.list("")] == ["first"]


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
        server.root.mkdir(exist_ok=True)
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
