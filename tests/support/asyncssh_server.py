# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An SFTP server of asyncssh, which takes one service request only, as servers written in Go do."""

# ruff: noqa: ARG002  # the interface is asyncssh's
from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import asyncssh

PASSWORD = "a password, never to be shown: 4711"
USER = "line3"


class AsyncsshServer:
    """``methods`` is what it takes, ``password`` or ``interactive``; ``question`` is asked in the latter; with
    ``wants_change`` the password has to be changed."""

    def __init__(
        self,
        folder: Path,
        methods: str = "password",
        question: str = "Password: ",
        key: Optional[Path] = None,
        wants_change: bool = False,
    ) -> None:
        (folder / "images").mkdir(parents=True)
        self._folder = folder
        self._methods = methods
        self._question = question
        self._key = None if key is None else asyncssh.read_public_key(str(key) + ".pub")
        self._wants_change = wants_change
        self._loop = asyncio.new_event_loop()
        self.tried: List[str] = []
        self.port = 0
        self._host_key = asyncssh.generate_private_key("ssh-ed25519")
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._ready.set()
        self._loop.run_forever()

    async def _serve(self) -> None:
        server = self

        class Server(asyncssh.SSHServer):
            def begin_auth(self, username: str) -> bool:
                return True

            def password_auth_supported(self) -> bool:
                return server._methods == "password"

            def validate_password(self, username: str, password: str) -> bool:
                server.tried.append("password")
                if server._wants_change:
                    raise asyncssh.PasswordChangeRequired("Your password has to be changed")
                return bool(password == PASSWORD)

            def public_key_auth_supported(self) -> bool:
                return True

            def validate_public_key(self, username: str, key: Any) -> bool:
                server.tried.append("key")
                return bool(key == server._key)

            def kbdint_auth_supported(self) -> bool:
                return server._methods == "interactive"

            def get_kbdint_challenge(self, *dummy: Any) -> Tuple[str, str, str, List[Tuple[str, bool]]]:
                return "", "", "", [(server._question, False)]

            def validate_kbdint_response(self, username: str, responses: Any) -> bool:
                server.tried.append("answer")
                return list(responses) == [PASSWORD]

        listening = await asyncssh.create_server(
            Server,
            "127.0.0.1",
            0,
            server_host_keys=[self._host_key],
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=os.fsencode(self._folder)),
        )
        self.port = listening.get_port()

    def settings(self, **more: Any) -> Dict[str, Any]:
        url = "sftp://127.0.0.1:%d/images" % self.port
        host_key = self._host_key.export_public_key().decode("ascii")
        return dict({"url": url, "username": USER, "password": PASSWORD, "host_key": host_key}, **more)

    def __enter__(self) -> AsyncsshServer:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *dummy: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
