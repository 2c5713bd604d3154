# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of the service: commands that came, that are being carried out, and answers.

A command is taken by a rename and has begun when its mark is there, so that after a crash or a loss of power each command
was carried out once, or its answer says what is known.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any, Dict, Iterator, List, Optional

from ..errors import CommandInterrupted, CommandRefused, EngineError
from ..host.locks import lock_exclusive
from ..host.patience import patiently
from ..install.owned_files import (
    make_directory,
    open_owned,
    read_bytes,
    read_document,
    remove_file,
    telling,
    write_bytes,
    write_document,
)
from .service_client import MAX_FILE_BYTES, is_command_id, plain_answer

_DAY_SECONDS = 86400
_ENDING = ".json"


class ServiceFiles:
    """The directory ``service`` below the base of the agent."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.path = os.path.join(base, "service")
        self.inbox = os.path.join(self.path, "inbox")
        self._taken = os.path.join(self.path, "taken")
        self._answers = os.path.join(self.path, "answers")

    def prepare(self) -> None:
        """:raises AgentPathUnsafe: :raises AgentFileFailed:"""
        for path in (self.path, self.inbox, self._taken, self._answers):
            make_directory(path)

    def write_state(self, state: Dict[str, Any]) -> None:
        write_document(os.path.join(self.path, "state.json"), state, durable=True)

    def read_state(self) -> Dict[str, Any]:
        """The last words of the service that ran last; empty where none ever ran."""
        return read_document(os.path.join(self.path, "state.json")) or {}

    def forget_state(self) -> None:
        remove_file(os.path.join(self.path, "state.json"))

    def came(self) -> List[str]:
        """The ids of the commands that wait, in order of their names."""
        return _ids(self.inbox)

    def taken(self) -> List[str]:
        """The ids of the commands that were taken and have no answer yet."""
        return _ids(self._taken)

    def take(self, command_id: str) -> Optional[bytes]:
        """Take a command and return its bytes; a command that is known already is dropped. :raises AgentFileFailed:"""
        came, taken = os.path.join(self.inbox, command_id + _ENDING), self._taken_file(command_id, _ENDING)
        with telling("Taking", came):
            if os.path.lexists(taken) or self.is_answered(command_id):
                remove_file(came)
                return None
            patiently(lambda: os.rename(came, taken))
        return read_bytes(taken, MAX_FILE_BYTES)

    def drop(self, command_id: str) -> None:
        """Forget a command that came twice."""
        remove_file(os.path.join(self.inbox, command_id + _ENDING))

    @contextlib.contextmanager
    def held(self, command_id: str) -> Iterator[bool]:
        """Hold a taken command for as long as it is carried out; False when another process does, or it is over."""
        path = self._taken_file(command_id, ".lock")
        with telling("Locking", path):
            descriptor = open_owned(path, os.O_RDWR | os.O_CREAT)
        try:
            yield lock_exclusive(descriptor) and os.path.lexists(self._taken_file(command_id, _ENDING))
        finally:
            os.close(descriptor)
            if not os.path.lexists(self._taken_file(command_id, _ENDING)):
                with contextlib.suppress(OSError):  # another process looks at it: that one removes it
                    os.unlink(path)

    def begin(self, command_id: str) -> None:
        """Say that the command is carried out from now on, in a way that survives a loss of power."""
        write_bytes(self._taken_file(command_id, ".begun"), b"", durable=True)

    def answer(self, command_id: str, data: bytes) -> None:
        """Publish the answer, then forget the command. :raises AgentFileFailed:"""
        write_bytes(os.path.join(self._answers, command_id + _ENDING), data, durable=True)
        self._forget(command_id)

    def is_answered(self, command_id: str) -> bool:
        return os.path.lexists(os.path.join(self._answers, command_id + _ENDING))

    def settle(self, command_id: str) -> None:
        """Answer for a command whose process has ended; one that is being carried out is left alone."""
        with self.held(command_id) as is_mine:
            if not is_mine:
                return
            if self.is_answered(command_id):
                self._forget(command_id)
                return
            error: EngineError = CommandRefused(command=command_id, reason="its process ended before it began")
            if os.path.lexists(self._taken_file(command_id, ".begun")):
                error = CommandInterrupted(command=command_id)
            self.answer(command_id, plain_answer(command_id, error))

    def sweep(self) -> None:
        """Delete answers that were not fetched for a day, and what was never wholly put into the inbox."""
        oldest = time.time() - _DAY_SECONDS
        for folder, kept in ((self._answers, ()), (self.inbox, (_ENDING,))):
            with telling("Sweeping", folder):
                for name in os.listdir(folder):
                    path = os.path.join(folder, name)
                    if not name.endswith(kept or ("\0",)) and os.lstat(path).st_mtime < oldest:
                        remove_file(path)

    def _forget(self, command_id: str) -> None:
        for ending in (".begun", _ENDING):
            remove_file(self._taken_file(command_id, ending))

    def _taken_file(self, command_id: str, ending: str) -> str:
        return os.path.join(self._taken, command_id + ending)


def _ids(folder: str) -> List[str]:
    with telling("Listing", folder):
        names = sorted(os.listdir(folder))
    return [name[: -len(_ENDING)] for name in names if name.endswith(_ENDING) and is_command_id(name[: -len(_ENDING)])]
