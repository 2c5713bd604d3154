# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recovery program over a line: paramiko and smbprotocol out of the archive, a storage's password through a descriptor."""

from __future__ import annotations

import getpass
import os
import subprocess
from functools import partial
from pathlib import Path
from typing import Any, Sequence

import pytest
from engine.verbs.dispatch import run_job
from support.imaging import PASSWORD, image, job
from support.plain_disks import make_disk
from support.recovery import checksums, program, python, run_program
from support.samba_server import PASSWORD as SHARE_PASSWORD
from support.samba_server import SambaServer
from support.sftp_server import SftpServer


def run_with(access: Sequence[Any], interpreter: Any, *words: Any) -> Any:
    return run_program(program(), *words, *access, interpreter=interpreter)


@pytest.mark.parametrize("version", ["3.8", pytest.param("3.13", marks=pytest.mark.long)])
def test_restore_and_copy_from_an_sftp_server(version: str, tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    make_disk(disk, 16, 4, 1)
    with SftpServer(tmp_path / "sftp") as server:
        image(server.root, disk)
        url = "sftp://127.0.0.1:%d%s" % (server.port, server.root)
        access = ("--user", getpass.getuser(), "--private-key-file", server.key, "--host-key", server.fingerprint)
        to = "disk0=%s" % (tmp_path / "restored.raw")
        run = partial(run_with, access, python(version))
        done = run("restore", url, "pc", "--to", to, "--yes")
        assert done.status == 0, done.errors
        done = run("copy", url, "pc", "--to", tmp_path / "stick", "--json")
        assert done.status == 0, done.errors
        assert done.document["authenticated"] is True
        unknown = run_program(
            program(), "images", url, "--user", getpass.getuser(), "--private-key-file", server.key, "--json"
        )
        assert (unknown.status, unknown.document["error"]["code"]) == (1, "S109")
        nobody = run_program(program(), "images", url, "--json")
        assert (nobody.status, nobody.document["error"]["code"]) == (1, "R136")
        assert "--host-key" in unknown.document["error"]["hint"]
    assert (tmp_path / "restored.raw").read_bytes() == disk.read_bytes()
    assert checksums(tmp_path / "stick") == []
    assert (tmp_path / "stick" / "plantops-recovery.pyz").read_bytes() == program().read_bytes()


def test_images_on_a_share_with_both_passwords_in_one_descriptor(tmp_path: Path, open_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    make_disk(disk, 16, 2, 1)
    server = SambaServer(open_path / "samba")
    server.start()
    try:
        settings = server.settings
        wanted = dict(job(tmp_path, "image", drives=[str(disk)], limit_read_rate=0), storage=settings)
        run_job(wanted, lambda event: None, lambda: False)
        read, write = os.pipe()
        os.write(write, ("%s\n%s\n" % (PASSWORD, SHARE_PASSWORD)).encode("utf-8"))
        os.close(write)
        command = [
            python("3.8"),
            "-I",
            "-S",
            str(program()),
            "verify",
            settings["url"],
            "pc",
            "--user",
            settings["username"],
            "--json",
        ]
        command += [
            "--storage-port",
            str(settings["port"]),
            "--password-fd",
            str(read),
            "--storage-password-fd",
            str(read),
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, pass_fds=[read], stdin=subprocess.DEVNULL
        )
        os.close(read)
    finally:
        server.stop()
    assert done.returncode == 0, done.stderr + done.stdout
    assert SHARE_PASSWORD not in done.stdout + done.stderr
