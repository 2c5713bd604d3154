# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What who sets up a storage gets wrong, and what he is told: one plain sentence with its code, before the first image."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest
from engine.errors import EngineError, StorageUrlInvalid
from engine.verbs.dispatch import run_job
from support.refusing import check_sentence, failing
from support.samba_server import PASSWORD, SambaServer, full_disk, samba
from support.sftp_server import SftpServer


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    with SftpServer(tmp_path_factory.mktemp("ssh")) as server:
        yield server


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SambaServer]:
    with samba(tmp_path_factory.mktemp("smb")) as server:
        yield server


def told(settings: Dict[str, Any], **more: Any) -> str:
    job = {"verb": "check", "device": "pc", "storage": dict({"time_limit_seconds": 2}, **settings), **more}
    with pytest.raises(EngineError) as caught:
        run_job(job, lambda event: None, lambda: False)
    check_sentence(caught.value, [PASSWORD])
    return "%s %s" % (caught.value.code, caught.value)


SFTP: Dict[str, Any] = {
    "port": ({"url": "sftp://127.0.0.1:1/x"}, "S101 ", "Connection refused"),
    "server": ({"url": "sftp://no-such-host.invalid/x"}, "S122 ", "no-such-host.invalid"),
    "user": ({"username": "nobody9"}, "S111 ", "nobody9: the key was not accepted"),
    "key file": ({"private_key_file": "/nonexistent"}, "S112 ", "private_key_file"),
    "no key": ({"private_key_file": None}, "S112 ", "neither password nor private_key"),
    "another host key": ({"host_key": "SHA256:" + "A" * 43}, "S110 ", "SHA256:" + "A" * 43),
    "no host key": ({"host_key": None}, "S109 ", "SHA256:"),
    "a file": ({"url": "sftp://127.0.0.1:%d/etc/hostname"}, "S100 ", "it is not a directory"),
    "nothing": ({"url": "sftp://127.0.0.1:%d/nonexistent/x"}, "S113 ", "/nonexistent/x"),
    "the home directory": ({"url": "sftp://127.0.0.1:%d/~/nonexistent"}, "S113 ", "/~/nonexistent"),
    "an empty query": ({"url": "sftp://127.0.0.1:%d/x?"}, "S100 ", "%3F"),
    "an empty fragment": ({"url": "sftp://127.0.0.1:%d/x#"}, "S100 ", "%23"),
}


@pytest.mark.parametrize("wrong", sorted(SFTP))
def test_sftp(ssh: SftpServer, wrong: str) -> None:
    change, code, words = SFTP[wrong]
    if "%d" in change.get("url", ""):
        change = dict(change, url=change["url"] % ssh.port)
    said = told(ssh.settings(**change))
    assert said.startswith(code)
    assert words in said


SMB: Dict[str, Any] = {
    "port": ({"port": 1}, "S101 ", "Connection refused"),
    "server": ({"url": "\\\\no-such-host.invalid\\images"}, "S122 ", "no-such-host.invalid"),
    "share": ({"url": "\\\\127.0.0.1\\nothing\\x"}, "S123 ", "share nothing"),
    "password": ({"password": "x"}, "S111 ", "user name or password is wrong"),
    "user": ({"username": "PLANT\\who"}, "S111 ", "user name or password is wrong"),
    "no user": ({"username": ""}, "S112 ", "guest"),
    "no password": ({"password": ""}, "S111 ", "Kerberos"),
    "only a server": ({"url": "\\\\127.0.0.1"}, "S100 ", "it is not of the form \\\\server\\share\\path"),
    "a name": ({"url": "\\\\127.0.0.1\\images\\a:b"}, "S100 ", "a:b in it: it holds a character"),
    "nothing": ({"url": "\\\\127.0.0.1\\images\\nothing"}, "S113 ", "\\images\\nothing"),
    "a port": ({"url": "\\\\127.0.0.1:445\\images"}, "S100 ", "imaging_storage.port"),
    "IPv6": ({"url": "\\\\::1\\images"}, "S100 ", "in brackets: [::1]"),
    "slashes": ({"url": "//127.0.0.1/images"}, "S100 ", "with backslashes: \\\\127.0.0.1\\images"),
    "a URL": ({"url": "smb://127.0.0.1/images"}, "S100 ", "with backslashes: \\\\127.0.0.1\\images"),
    "one backslash": ({"url": "\\127.0.0.1\\images"}, "S100 ", "two backslashes: \\\\127.0.0.1\\images"),
}


@pytest.mark.parametrize("wrong", sorted(SMB))
def test_smb(share: SambaServer, wrong: str) -> None:
    change, code, words = SMB[wrong]
    said = told(dict(share.settings, **change))
    assert said.startswith(code)
    assert words in said


def test_another_server_answers(ssh: SftpServer, share: SambaServer) -> None:
    assert told(dict(share.settings, port=ssh.port)).startswith("S170 ")


def test_a_share_that_may_only_be_read(tmp_path: Path) -> None:
    with samba(tmp_path, share_options={"read only": "yes"}) as server:
        said = told(server.settings)
        assert said.startswith("S104 ")
        assert "\\\\127.0.0.1\\images\\plant" in said


def test_file_systems_that_are_full_or_read_only(ssh: SftpServer, tmp_path: Path) -> None:
    with full_disk(tmp_path / "disk", 1 << 20) as disk:
        url = "sftp://127.0.0.1:%d%s/images" % (ssh.port, disk)
        (disk / "images").mkdir()
        (disk / "filler").write_bytes(bytes((1 << 20) - 8192))
        assert told(ssh.settings(url=url)).startswith("S103 ")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert told(ssh.settings(url=url)).startswith("S104 ")


@pytest.mark.parametrize(
    ("url", "code", "words"),
    [
        ("images", "S100 ", "not an absolute path"),
        ("/etc/hostname", "S100 ", "it is not a directory"),
        ("/nonexistent/x", "S113 ", "/nonexistent/x"),
        ("ftp://server/x", "S100 ", "no storage of the kind ftp"),
    ],
)
def test_directories(url: str, code: str, words: str) -> None:
    said = told({"url": url})
    assert said.startswith(code)
    assert words in said


def test_a_password_in_the_url() -> None:
    with failing(StorageUrlInvalid, reason="belong in imaging_storage") as caught:
        run_job(
            {"verb": "check", "device": "pc", "storage": {"url": "sftp://u:secret@127.0.0.1/x"}},
            lambda event: None,
            lambda: False,
        )
    assert "secret" not in str(caught.value)
