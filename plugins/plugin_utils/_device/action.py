# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of the action plugins of all device verbs: arguments, the link, the agent, failures as results.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import functools
import os
import pwd
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Callable, ClassVar, Dict, List, Optional, Sequence, Tuple, Type, TypeVar, cast

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible_collections.plantops.imaging.plugins.module_utils._arguments import failure
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    AgentAnswerInvalid,
    DeviceSmbError,
    EngineError,
    RemovalInterrupted,
)
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install import probe
from ansible_collections.plantops.imaging.plugins.module_utils.engine.tame import several_lines

from .._diffs import of_agent
from .._progress.endings import ending
from .._progress.plans import plan
from .._sentences import show_sentence
from .._units import size
from .._warnings import named
from .agent import Agent, AgentRefused, Installation, checked_directory
from .bundles import find_bundle, find_windows_bundle
from .link import Link, transport_of
from .time_limit import DeviceFloods, at_most

if TYPE_CHECKING:
    from .windows_link import WindowsLink

_ADMIN_SHARE = "admin_share"
_CLEANUP_SECONDS = 120
_THIS_DEVICE = "--limit DEVICE"  # in hints of a device, which does not know its name in the inventory
_Answer = TypeVar("_Answer")


class DeviceAction(ActionBase):  # type: ignore[misc]
    """Base of the action plugins that work on a device."""

    spec: ClassVar[Dict[str, Any]]
    required_if: ClassVar[Sequence[Tuple[str, Any, List[str]]]] = ()

    _supports_check_mode = True
    _supports_diff = True
    _supports_async = False
    _requires_connection = True
    _link: Optional[Link] = None
    _reinstalled: Optional[Installation] = None  # in the place of one that did not respond correctly

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        """Do the work; never raises for a failure of the catalogue but returns it as a failed result."""
        result: Dict[str, Any] = super().run(tmp, task_vars)
        self._vars: Dict[str, Any] = task_vars or {}
        self._host = str(self._vars.get("inventory_hostname", "device"))
        self._task.args = _opened(self._task.args)
        try:
            dummy_result, arguments = self.validate_argument_spec(argument_spec=self.spec, required_if=self.required_if)
        except AnsibleActionFail as error:  # as an exception it would be shown with all arguments, secrets too
            return dict(result, failed=True, changed=False, msg=several_lines(str(error.message)))
        arguments = {name: value for name, value in arguments.items() if name in self.spec}
        self.done: Dict[str, Any] = {"changed": False}
        self._early_warnings: List[str] = []  # of what was found before the work, however that ends
        try:
            result.update(self.work(arguments))
        except EngineError as error:
            result.update(self.done, **failure(error.as_dict()), failed=True)
        except AgentRefused as refusal:
            refusal.error["hint"] = refusal.error["hint"].replace(_THIS_DEVICE, "--limit %s" % self._host)
            result.update(self.done, **failure(refusal.error), failed=True, warnings=refusal.warnings)
        except AnsibleConnectionFailure as error:
            # It quotes what ssh printed, the other end's banner included.
            told = several_lines(str(error))
            if told == str(error):
                raise
            raise type(error)(told) from None
        if self._early_warnings:
            result["warnings"] = [*self._early_warnings, *result.get("warnings", [])]
        return named(self._host, result)

    def cleanup(self, force: bool = False) -> None:
        """Remove the task's folder on the device; a connection that is away keeps its task's own result."""
        try:
            with at_most(_CLEANUP_SECONDS):
                if self._link is not None and self._is_behind_share():
                    self._link.drop_folder()
                    return
                super().cleanup(force)
        except (AnsibleConnectionFailure, DeviceFloods, EngineError):
            self.say("the folder of this task in the device's temporary directory could not be removed")

    @abstractmethod
    def work(self, arguments: Dict[str, Any]) -> Dict[str, Any]:
        """Do what the task asks for and return its result.

        :raises EngineError: what went wrong, from the catalogue. :raises AgentRefused: the same, from the device.
        """

    def say(self, sentence: str) -> None:
        """Show a sentence about this device during the play."""
        show_sentence("%s: %s" % (self._host, sentence))

    def tell(self, verb: str, result: Dict[str, Any]) -> None:
        """Say in a line what was done, or in check mode what would be, with a line for each disk and volume."""
        for line in plan(verb, result) if self._task.check_mode else ending(verb, result):
            self.say(line)

    def open_link(self, arguments: Dict[str, Any]) -> Link:
        kind: Type[Link] = Link
        if self._is_behind_share():
            # Loaded for such a device alone: a task runs in a separate process, and this takes the SMB client along.
            from .windows_link import WindowsLink

            kind = WindowsLink
        self._link = kind(self, self._host, self.say, float(arguments["reconnect_seconds"]), self.connection_lost)
        return self._link

    def connection_lost(self, is_lost: bool) -> None:
        """Take notice that the connection is away, or back."""

    def look_at_agent(self, link: Link, arguments: Dict[str, Any]) -> Agent:
        """Return the device's agent after a look at what is installed."""
        directory = arguments.get("agent_directory") or ""
        chosen: Dict[str, Any] = {"directory": arguments.get("bundle_directory"), "check": bool(self._task.check_mode)}
        if self._is_behind_share():
            from .windows_agent import WindowsAgent

            find_for_windows = functools.partial(find_windows_bundle, **chosen)
            agent: Agent = WindowsAgent(cast("WindowsLink", link), self._host, find_for_windows, directory)
        else:
            agent = Agent(link, self._host, self._interpreter(), functools.partial(find_bundle, **chosen), directory)
        agent.look()
        if agent.was_removing:
            work = "removal" if arguments.get("state") == "absent" else "installation"
            told = RemovalInterrupted(device=self._host, work=work)
            self._early_warnings.append("%s (%s)" % (told, told.code))
        return agent

    def install(self, agent: Agent) -> Installation:
        """Install or update the agent where it is not the one of this collection."""
        planned = agent.plan()
        if planned.changed:
            self.say("installing the agent %s, sending %s" % (planned.id, size(planned.sent_bytes or 0)))
        installed = agent.install()
        if installed.changed:
            self.done.update(changed=True, agent=installed.as_dict())
        return installed

    def mended(self, agent: Agent, ask: Callable[[], _Answer]) -> _Answer:
        """Return the result of ``ask``; reinstall an agent that no longer works, and ask again."""
        try:
            return ask()
        except (AgentAnswerInvalid, DeviceSmbError):  # on Windows the service may be what is broken
            if agent.is_useful():
                raise
        self.say("the agent is not responding correctly; reinstalling it")
        self._reinstalled = agent.install(anew=True)
        self.done.update(changed=True, agent=self._reinstalled.as_dict())
        return ask()

    def would_install(self, planned: Installation, rest: str) -> str:
        """Say in check mode what keeps the answer away."""
        if planned.sent_bytes is None:
            return "The agent would first be installed on %s, which requires a download of its packages; %s." % (
                self._host,
                rest,
            )
        return "On %s the agent %s would first be installed (%s); %s." % (
            self._host,
            planned.id,
            size(planned.sent_bytes),
            rest,
        )

    def with_agent(self, result: Dict[str, Any], installed: Installation) -> Dict[str, Any]:
        """Return the result with what it says of the agent, also as the first of its diffs where the agent changes."""
        if self._reinstalled is not None:
            installed, result = self._reinstalled, dict(result, changed=True)
        result = dict(result, agent=installed.as_dict())
        if self._task.diff and installed.changed:
            agent = of_agent(installed.replaced, installed.id or "not built yet")
            result["diff"] = [agent, *result.get("diff", [])]
        return result

    def is_local(self) -> bool:
        return transport_of(self._connection) == "local"

    def _is_behind_share(self) -> bool:
        """Whether the device is one of Windows, reached over its administrative share."""
        return transport_of(self._connection) == _ADMIN_SHARE

    def has_local_agent(self, directory: str = "") -> bool:
        """Whether this machine has an agent for the user that the task becomes; asked without starting anything."""
        if directory:
            return os.path.isdir(checked_directory(directory))
        user = self.local_user()
        if user is None:
            return os.path.isdir(probe.default_base())
        try:
            account = pwd.getpwnam(user)
        except KeyError:  # sudo says so
            return False
        if account.pw_uid == 0:
            return os.path.isdir(probe.ROOT_BASE)
        # XDG_DATA_HOME of another user is known only in that user's session.
        return os.path.isdir(probe.base_in_home(account.pw_dir))

    def local_prefix(self) -> List[str]:
        """Return what stands in front of the engine's command when it runs on this machine."""
        user = self.local_user()
        if user is None:
            return []
        if self._connection.become.name not in ("sudo", "ansible.builtin.sudo"):
            raise AnsibleActionFail(
                "Become method %s can't be used for a local device: use sudo without a password, or run "
                "ansible-playbook as root." % self._connection.become.name
            )
        return ["sudo", "-n", "-H", "-u", user, "--preserve-env=PYTHONPATH,PYTHONDONTWRITEBYTECODE", "--"]

    def local_user(self) -> Optional[str]:
        """The user that the task becomes on this machine, or ``None`` when it becomes no other."""
        if self._connection.become is None:
            return None
        user = str(self.get_become_option("become_user") or "root")
        try:
            return None if pwd.getpwnam(user).pw_uid == os.geteuid() else user
        except KeyError:
            return user

    def _interpreter(self) -> Optional[str]:
        """The interpreter that the inventory names for the device, or ``None`` to search for one."""
        variables = self._vars
        if self._task.delegate_to:
            variables = self._vars.get("ansible_delegated_vars", {}).get(self._task.delegate_to, {})
        given = self._templar.template(variables.get("ansible_python_interpreter"))
        return None if not given or str(given).startswith("auto") else str(given)


def _opened(value: Any) -> Any:
    """Return the arguments with values of a vault as plain text: before ansible-core 2.19 no validation takes them."""
    if isinstance(value, dict):
        return {name: _opened(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_opened(child) for child in value]
    return str(value) if type(value).__name__ == "AnsibleVaultEncryptedUnicode" else value
