# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes the commands that came for the service, and gives each to a separate process."""

from __future__ import annotations

import base64
import json
import time
from typing import Any, Callable, Dict, Set

from ..errors import AgentFileFailed, AgentPathUnsafe, CommandRefused, EngineError
from .sealing import Recipient
from .service_client import SERVICE_RECIPIENT, open_command, plain_answer
from .service_files import ServiceFiles

_SWEEP_SECONDS = 3600.0
IsOver = Callable[[], bool]


class CommandDesk:
    """One life of the service. ``start`` gets the bytes for the standard input of a carrier, and starts it."""

    def __init__(self, files: ServiceFiles, start: Callable[[bytes], IsOver]) -> None:
        self._files = files
        self._start = start
        self._recipient = Recipient(SERVICE_RECIPIENT)
        self._seen: Set[str] = set()
        self._carriers: Dict[str, IsOver] = {}
        self._swept = time.monotonic()

    def hello(self) -> Dict[str, str]:
        """The public key that commands are sealed for; a new one in each life."""
        return self._recipient.hello()

    def recover(self) -> None:
        """Settle what an earlier life has left: commands whose process still lives are left to it."""
        for command_id in self._files.taken():
            self._files.settle(command_id)
        self._sweep()

    def take(self) -> None:
        """Take every command that waits, and answer for carriers that ended without a word."""
        for command_id in self._files.came():
            self._take(command_id)
        for command_id, is_over in list(self._carriers.items()):
            if is_over():
                self._files.settle(command_id)
                del self._carriers[command_id]
        # Left by an earlier life, and ended since.
        for command_id in self._files.taken():
            if command_id not in self._carriers:
                self._files.settle(command_id)

        if time.monotonic() > self._swept + _SWEEP_SECONDS:  # a service lives for months
            self._sweep()

    def _sweep(self) -> None:
        self._swept = time.monotonic()
        self._files.sweep()

    def _take(self, command_id: str) -> None:
        if command_id in self._seen:
            self._files.drop(command_id)
            return
        try:
            data = self._files.take(command_id)
        except (AgentFileFailed, AgentPathUnsafe) as error:
            self._refuse(command_id, CommandRefused(command=command_id, reason=str(error).rstrip(".")))
            return
        self._seen.add(command_id)
        if data is None:
            return
        try:
            command, reply = open_command(self._recipient, command_id, data)
            document: Dict[str, Any] = dict(command._asdict(), reply=reply)
            document["stdin"] = base64.b64encode(command.stdin).decode("ascii")
            self._carriers[command_id] = self._start(json.dumps(document).encode("ascii"))
        except CommandRefused as error:
            self._refuse(command_id, error)
        except OSError as error:
            self._refuse(
                command_id, CommandRefused(command=command_id, reason="Windows started no process: %s" % error)
            )

    def _refuse(self, command_id: str, error: EngineError) -> None:
        self._seen.add(command_id)
        self._files.drop(command_id)
        self._files.answer(command_id, plain_answer(command_id, error))
