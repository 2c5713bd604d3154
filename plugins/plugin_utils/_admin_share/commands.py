# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that the agent's service carries out: sealed requests and answers as files of its folder (docs/agent.md).

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import json
import secrets
import time
from typing import Any, Callable, Dict, NamedTuple, Optional

from ansible_collections.plantops.imaging.plugins.module_utils.engine.agent.sealing import Recipient
from ansible_collections.plantops.imaging.plugins.module_utils.engine.agent.service_client import (
    LIMIT_SECONDS,
    MAX_STREAM_BYTES,
    Command,
    open_answer,
    seal_command,
)
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    CommandInterrupted,
    CommandRefused,
    DeviceSmbInvalid,
    SecretsRefused,
    ServiceAnswerInvalid,
)
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb.service_control import State
from ansible_collections.plantops.imaging.plugins.module_utils.engine.tame import one_line

from .service import AgentService
from .share import DeviceShare

_MAX_WORDS = 200
_MAX_STATE_BYTES = 1 << 16
_MAX_ANSWER_BYTES = 64 << 20
_TIMES = 4  # an attempt is refused when the service restarted in between
_REFUSED_PAUSE_SECONDS = 1.0
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0
_GRACE_SECONDS = 60.0  # from the end of a command to its answer, also of a service that is being replaced
_LOOK_SECONDS = 5.0
_START_SECONDS = 60.0


class CommandAnswer(NamedTuple):
    """How a command ended."""

    status: int
    stdout: bytes
    stderr: bytes


class Commands:
    """Hands commands to the service of one device."""

    def __init__(self, share: DeviceShare) -> None:
        self._share = share
        self._service = AgentService(share)
        self._folder = share.place.base_in_share + "\\service"
        self._refusal = ""

    def state(self) -> Optional[Dict[str, Any]]:
        """Return what the service wrote of itself at its start, ``None`` where it never ran. :raises DeviceSmbInvalid:"""
        content = self._share.read(self._folder + "\\state.json", _MAX_STATE_BYTES)
        if content is None:
            return None
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise self._invalid("state.json of its service is not a document")
        return document

    def wait_for_state(self, fits: Callable[[Dict[str, Any]], bool], seconds: float) -> Optional[Dict[str, Any]]:
        """Return what the service says of itself as soon as it takes commands and that ``fits``, ``None`` if it does not.

        :raises DeviceSmbInvalid:
        """
        end = time.monotonic() + seconds
        while True:
            state = self.state() or {}
            if state.get("state") == "running" and fits(state):
                return state
            if time.monotonic() > end:
                return None
            time.sleep(_FIRST_PAUSE_SECONDS)

    def run(self, line: str, data: bytes = b"", seconds: int = LIMIT_SECONDS) -> CommandAnswer:
        """Have a command line of Windows carried out as SYSTEM, ``data`` on its standard input.

        :raises DeviceSmbError:
        """
        for times in range(_TIMES):
            answer = self._once(self._hello(), line, data, seconds)
            if answer is not None:
                return answer
            time.sleep(times * _REFUSED_PAUSE_SECONDS)  # the key may be that of a service that is starting
        raise self._service.failed("it refuses commands: %s" % self._refusal)

    def _once(self, hello: Dict[str, str], line: str, data: bytes, seconds: int) -> Optional[CommandAnswer]:
        """Return the answer, ``None`` when the service has begun nothing of it."""
        one = "c-" + secrets.token_hex(12)
        try:
            request, recipient = seal_command(hello, Command(one, line, data, limit_seconds=seconds))
        except (SecretsRefused, KeyError) as error:
            raise self._invalid("state.json holds no usable key: %s" % error) from None
        path = "%s\\inbox\\%s.json" % (self._folder, one)
        self._share.write_new(path, request)
        try:
            answer = self._wait(one, seconds)
        except BaseException:
            self._share.delete(path)  # one that was not taken yet must not be carried out later
            raise
        self._share.delete("%s\\answers\\%s.json" % (self._folder, one))
        return self._opened(recipient, one, answer)

    def _wait(self, one: str, seconds: int) -> bytes:
        path = "%s\\answers\\%s.json" % (self._folder, one)
        began = looked = time.monotonic()
        pause_seconds = _FIRST_PAUSE_SECONDS
        stopped_at: Optional[float] = None
        while True:
            content = self._share.read(path, _MAX_ANSWER_BYTES)
            if content is not None:
                return content
            now = time.monotonic()
            if now - began > seconds + _GRACE_SECONDS:
                raise self._service.failed("it has not answered a command within %d seconds" % (now - began))
            if now - looked > _LOOK_SECONDS:
                looked = now
                status = self._service.status()
                runs = status is not None and status.state in (State.RUNNING, State.START_PENDING)
                stopped_at = None if runs else stopped_at or now
                if stopped_at is not None and now - stopped_at > _GRACE_SECONDS / 2:
                    raise self._service.failed("it stopped while it carried out a command")
            time.sleep(pause_seconds)
            pause_seconds = min(1.3 * pause_seconds, _LONGEST_PAUSE_SECONDS)

    def _hello(self) -> Dict[str, str]:
        """Return the key of the service that runs; start it where it was stopped."""
        status = self._service.status()
        if status is None:
            raise self._service.failed("it is not installed; install the agent with the playbook agent or image")
        if status.state is State.STOPPED:
            self._service.start()
        state = self.wait_for_state(lambda state: isinstance(state.get("hello"), dict), _START_SECONDS)
        if state is None:
            raise self._service.failed("it does not report that it takes commands")
        return {str(name): str(value) for name, value in state["hello"].items()}

    def _opened(self, recipient: Recipient, one: str, content: bytes) -> Optional[CommandAnswer]:
        try:
            answer = open_answer(recipient, one, content)
        except CommandRefused as refusal:
            self._refusal = one_line(str(refusal.fields["reason"]))[:_MAX_WORDS].rstrip(". ")
            return None
        except CommandInterrupted as error:
            raise self._service.failed("a command was interrupted: %s" % str(error).rstrip(". ")) from None
        except ServiceAnswerInvalid as error:
            raise self._invalid("an answer of its service can't be opened: %s" % error.fields["reason"]) from None
        if answer.timed_out:
            raise self._service.failed("it ended a command that took too long")
        if answer.cut:
            raise self._service.failed("a command wrote more than the %d bytes that it keeps" % MAX_STREAM_BYTES)
        return CommandAnswer(answer.exit_status, answer.stdout, answer.stderr)

    def _invalid(self, reason: str) -> DeviceSmbInvalid:
        return DeviceSmbInvalid(device=self._share.peer.device, reason=reason)
