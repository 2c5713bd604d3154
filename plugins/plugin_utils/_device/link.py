# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations on a connection: put a file, run a command. No other file of the room uses connections.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import os
import tempfile
import time
from typing import Any, Callable, List, NamedTuple, Optional, TypeVar

from ansible.errors import AnsibleAuthenticationFailure, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    ConnectionUnfit,
    DeviceAnswerEndless,
    DeviceLinkLost,
)

from .._units import size
from . import stale_task_folders
from .time_limit import MOST_MEBIBYTES, DeviceFloods, at_most

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 20.0
# sshd drops logins at random while many are in progress [sshd_config(5), MaxStartups]: the device is on, the greeting
# fails.
_GREETINGS = 3
_GREETING_FAILED = ("kex_exchange_identification", "ssh_exchange_identification")
# A link that is dead without a word (a cable, a firewall) would let a command hang for hours; ssh then asks the server.
_SSH_KEEP_ALIVE = "-o ServerAliveInterval=10 -o ServerAliveCountMax=3"
# An installation on a slow device compiles for minutes; nothing else takes long. A file may come over a very thin line.
_ANSWER_SECONDS = 900.0
SLOWEST_BYTES_PER_SECOND = 2000
_Result = TypeVar("_Result")


class Answer(NamedTuple):
    """How a command on the device ended. Over a terminal both outputs come as one, in ``stdout``."""

    status: int
    stdout: str
    stderr: str


def transport_of(connection: Any) -> str:
    """Return the kind of a connection, without its collection."""
    return str(getattr(connection, "transport", "")).rsplit(".", 1)[-1]


class Link:
    """The connection of one task. Each command must be safe to repeat: after a lost connection it is tried again.

    The first thing asked is not repeated, unless a server hung up before it had greeted: a device that is off is
    Ansible's own *unreachable*.
    """

    def __init__(
        self,
        action: ActionBase,
        device: str,
        say: Callable[[str], None],
        time_limit_seconds: float,
        connection_lost: Callable[[bool], None] = lambda dummy_is_lost: None,
    ) -> None:
        self._action = action
        self._connection = action._connection
        self._shell = action._connection._shell
        self._device = device
        self._say = say
        self._connection_lost = connection_lost
        self._time_limit_seconds = time_limit_seconds
        self._has_answered = False
        self._folder: Optional[str] = None
        self._prepare()

    def _prepare(self) -> None:
        """Check that the connection has what is needed. :raises ConnectionUnfit:"""
        if getattr(self._shell, "SHELL_FAMILY", "sh") != "sh":
            raise ConnectionUnfit(
                device=self._device, transport=self.transport, reason="its shell is %s" % self._shell.SHELL_FAMILY
            )
        if self.transport == "ssh":
            self._keep_alive()

    @property
    def transport(self) -> str:
        return transport_of(self._connection)

    def run(self, words: List[str], data: Optional[bytes] = None, more_seconds: float = 0) -> Answer:
        """Run a command as the user that the task becomes, with ``data`` on its standard input.

        :raises DeviceLinkLost: when the connection was lost and stayed away for the time limit.
        """
        command = " ".join(self._shell.quote(word) for word in words)
        if data is None:
            return self._persist(lambda: self._run(command))
        self._take_input()
        command = " ".join(part for part in (self._action._compute_environment_string().strip(), command) if part)
        return self._persist(lambda: self._run(command, more_seconds, in_data=data))

    def put(self, local_path: str, name: str) -> str:
        """Put a file into this task's folder on the device, readable there for the user that the task becomes.

        Return its path there. The folder goes with the task.
        """
        return self._persist(lambda: self._put(local_path, name))

    def put_data(self, data: bytes, name: str) -> str:
        """Put ``data`` as a file; it passes through a file of the controller and must hold nothing secret."""
        with tempfile.NamedTemporaryFile(prefix="plantops-imaging-") as file:
            file.write(data)
            file.flush()
            return self.put(file.name, name)

    def folder(self) -> str:
        """Return this task's folder on the device."""
        if self._folder is None:
            folder = self._persist(lambda: self._bounded(lambda: self._action._make_tmp_path().rstrip("/")))
            self._sweep(folder)
            if self._becomes_another_user():
                self._bounded(lambda: self._action._fixup_perms2([folder], execute=True))
            self._folder = folder
        return self._folder

    def drop_folder(self) -> None:
        """Delete this task's folder, before hours in which a play may be killed; the next file makes another one."""
        if self._folder is not None:
            folder, self._folder = self._folder, None
            self._persist(lambda: self._bounded(lambda: self._action._remove_tmp_path(folder)))

    def _sweep(self, folder: str) -> None:
        """Delete what tasks of killed plays left beside the folder, as the user whom the connection logs in."""
        listed = self._as_login(
            ["/bin/sh", "-c", stale_task_folders.MARK_AND_LIST, "sh", folder, stale_task_folders.mark()]
        )
        unused = stale_task_folders.left(listed.stdout, folder)
        if unused:
            self._as_login(["rm", "-rf", *unused])

    def _as_login(self, words: List[str]) -> Answer:
        command = " ".join(self._shell.quote(word) for word in words)
        return self._persist(lambda: self._run(command, sudoable=False))

    def _take_input(self) -> None:
        """See that standard input is a pipe: a terminal would show what is written to it, and cut its lines.

        :raises ConnectionUnfit: where neither is to be had.
        """
        become = self._connection.become
        reason = ""
        if not getattr(self._connection, "has_pipelining", False):
            reason = "it can't pass input to a command"
        elif become is not None and (not getattr(become, "pipelining", True) or become.name.rsplit(".", 1)[-1] == "su"):
            reason = "%s needs a terminal, so a command can't receive other input" % become.name
        if reason:
            raise ConnectionUnfit(device=self._device, transport=self.transport, reason=reason)
        if self.transport == "local":
            self._connection.set_option("pipelining", True)

    def _run(self, command: str, more_seconds: float = 0, **more: Any) -> Answer:
        execute = self._action._low_level_execute_command
        answer = self._bounded(lambda: execute(command, **more), more_seconds)
        return Answer(int(answer["rc"]), answer["stdout"], answer["stderr"])

    def _put(self, local_path: str, name: str) -> str:
        path: str = self._shell.join_path(self.folder(), name)
        more_seconds = os.path.getsize(local_path) / SLOWEST_BYTES_PER_SECOND
        self._bounded(lambda: self._action._transfer_file(local_path, path), more_seconds)
        if self._becomes_another_user():
            self._bounded(lambda: self._action._fixup_perms2([path], execute=False))
        return path

    def _bounded(self, ask: Callable[[], _Result], more_seconds: float = 0) -> _Result:
        """Run a command that must end in time, even on a hostile device.

        :raises DeviceSilent: which is a lost connection. :raises DeviceAnswerEndless:
        """
        try:
            with at_most(_ANSWER_SECONDS + more_seconds):
                return ask()
        except DeviceFloods:
            raise DeviceAnswerEndless(device=self._device, most=size(MOST_MEBIBYTES << 20)) from None

    def _becomes_another_user(self) -> bool:
        """Whether files need rights for a user who is neither the connection's own nor root."""
        return bool(self._action._is_become_unprivileged())

    def _persist(self, ask: Callable[[], _Result]) -> _Result:
        """Ask, and ask again when the connection is lost, until it stays away for the time limit."""
        lost_at: Optional[float] = None
        pause_seconds = _FIRST_PAUSE_SECONDS
        greetings = 1
        while True:
            try:
                result = ask()
            except AnsibleAuthenticationFailure:
                raise
            except AnsibleConnectionFailure as error:
                if not self._has_answered:
                    if greetings == _GREETINGS or not any(sign in str(error) for sign in _GREETING_FAILED):
                        raise
                    self._say("the device closed the connection before its greeting; retrying")
                    time.sleep(greetings * _FIRST_PAUSE_SECONDS)
                    greetings += 1
                    continue
                now = time.monotonic()
                if lost_at is None:
                    lost_at = now
                    self._connection_lost(True)
                    self._say("the connection was lost; retrying while the run on the device continues")
                if now - lost_at >= self._time_limit_seconds:
                    raise DeviceLinkLost(
                        device=self._device, seconds=int(self._time_limit_seconds), reason=_last_words(error)
                    ) from error
                time.sleep(min(pause_seconds, max(0.0, lost_at + self._time_limit_seconds - now)))
                pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)
                self._reset()
                continue
            if lost_at is not None:
                self._connection_lost(False)
                self._say("the connection is restored")
            self._has_answered = True
            return result

    def _reset(self) -> None:
        """Reset the connection; a plugin without a reset raises, and reconnects on its own."""
        try:
            self._connection.reset()
        except (AnsibleError, OSError) as error:
            self._say("the connection could not be reset: %s" % _last_words(error))

    def _keep_alive(self) -> None:
        given = self._connection.get_option("ssh_extra_args") or ""
        everything = " ".join(
            str(self._connection.get_option(name) or "") for name in ("ssh_args", "ssh_common_args", "ssh_extra_args")
        )
        if "ServerAliveInterval" not in everything:
            self._connection.set_option("ssh_extra_args", ("%s %s" % (given, _SSH_KEEP_ALIVE)).strip())


def _last_words(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # With -vvvv everything that ssh says of itself is part of the message.
    return (lines[-1] if lines else type(error).__name__).rstrip(".")[:300]
