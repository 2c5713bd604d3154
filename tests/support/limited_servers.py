# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers whose accounts are limited as docs/security.md says: two devices that may create and read, and an operator."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Dict, Iterator, NamedTuple

from engine.storage.sftp.storage import SftpStorage
from engine.storage.smb.storage import SmbStorage
from engine.verbs.dispatch import run_job

from . import imaging
from .recipes import Elsewhere, elsewhere, recipe
from .samba_server import PASSWORD, SambaServer
from .sftp_server import SftpServer, make_key

GRACE_SECONDS = 3  # instead of the minute
IMAGES = "/srv/imaging/images"


class Site(NamedTuple):
    """A server that was set up as the document says."""

    column: int  # of the table of attacks
    place: Elsewhere
    device: Dict[str, Any]
    operator: Dict[str, Any]

    def job(self, storage: Dict[str, Any], verb: str, **settings: Any) -> Dict[str, Any]:
        document = dict(imaging.job(Path("/"), verb, device="press-07", **settings), storage=storage)
        return run_job(document, lambda event: None, lambda: False)

    def tree(self) -> Dict[str, str]:
        """What is stored: the SHA-256 of every file, and the directories."""
        files = self.place.run(
            "cd %s; find . -type f -exec sha256sum {} +; find . -type d -printf 'directory  %%p\\n'" % IMAGES
        )
        return {line[line.index("  ") + 2 :]: line[: line.index("  ")] for line in files.splitlines()}


def _set_up(place: Elsewhere, kind: str) -> None:
    place.run(recipe(kind + ".server"))
    for name in ("press-07", "press-08"):
        place.run(recipe(kind + ".device").replace("press-07", name))


@contextlib.contextmanager
def openssh(folder: Path) -> Iterator[Site]:
    with elsewhere(folder / "place") as place:
        _set_up(place, "openssh")
        server = SftpServer(folder / "server")
        server.prefix = place.prefix
        keys = {}
        for name in ("press-07", "press-08", "imaging-operator"):
            keys[name] = str(make_key(folder / name))
            place.run("cp %s.pub /etc/ssh/imaging-keys/%s" % (keys[name], name))
        with open(server.folder / "sshd_config", "a", encoding="utf-8") as config:
            config.write("StrictModes yes\n" + recipe("openssh.config"))
        with server:
            settings = {"url": "sftp://127.0.0.1:%d/images" % server.port, "host_key": server.fingerprint}

            def account(name: str) -> Dict[str, Any]:
                return dict(settings, username=name, private_key_file=keys[name])

            other = SftpStorage(account("press-08"))
            with other:
                other.put("press-08/theirs", [b"theirs"])
            yield Site(0, place, account("press-07"), account("imaging-operator"))


@contextlib.contextmanager
def samba(folder: Path) -> Iterator[Site]:
    with elsewhere(folder / "place") as place:
        _set_up(place, "samba")
        server = SambaServer(folder / "server")
        server.prefix = place.prefix
        text = recipe("samba.config")
        assert "worm:grace_period = 60" in text
        server.more_shares = text.replace("grace_period = 60", "grace_period = %d" % GRACE_SECONDS)
        server.share = "unused"
        server.write_config()
        for name in ("press-07", "press-08", "imaging-operator"):
            server.set_password(name, PASSWORD)
        server.start()
        try:

            def account(name: str, share: str) -> Dict[str, Any]:
                return dict(server.settings, url="\\\\127.0.0.1\\" + share, username=name)

            with SmbStorage(account("press-08", "images")) as other:
                other.put("press-08/theirs", [b"theirs"])
            yield Site(1, place, account("press-07", "images"), account("imaging-operator", "images-operator"))
        finally:
            server.stop()
