# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent of a Windows device that is reached over its administrative share alone.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import ntpath
from contextlib import suppress
from typing import Any, Callable, Dict, List, Optional

from ansible_collections.plantops.imaging.plugins.module_utils.engine.agent.protocol import ALIVE, PROTOCOL
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    AgentAnswerInvalid,
    AgentDirectoryInvalid,
    DeviceSmbError,
    InstallationRunLives,
)
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.windows.bundle import WindowsBundle
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.windows_layout import module, python_of

from .._admin_share.installing import ShareInstaller
from .agent import Agent, AgentRefused, Installation
from .windows_link import WindowsLink, seconds_for


class WindowsAgent(Agent):
    """The agent at the other end of ``link``: its folder is written through the share, its service runs its verbs."""

    _link: WindowsLink

    def __init__(
        self,
        link: WindowsLink,
        device: str,
        find_bundle: Callable[[str], Optional[WindowsBundle]],
        directory: str = "",
    ) -> None:
        """:raises AgentDirectoryInvalid: for any directory: the share decides where the agent lives."""
        if directory:
            raise AgentDirectoryInvalid(directory=directory, reason="a device behind admin_share has no choice of it")
        super().__init__(link, device, None, lambda dummy_platform: None)
        self._find_windows_bundle = find_bundle
        self._windows_bundle: Optional[WindowsBundle] = None

    def of_others(self) -> List[Dict[str, str]]:
        """Return none: behind a share there is one agent, that of the service."""
        return []

    def look(self) -> Dict[str, Any]:
        """Look at what is installed; changes nothing there."""
        self.found = self._link.on_share(lambda share: ShareInstaller(share).look())
        self._id = str(self.found["current"])
        self.python = python_of(self.found["base"], self._id, ntpath.join) if self._id else ""
        return self.found

    def is_installed(self) -> bool:
        return bool(self.found.get("exists") or self.found.get("service") or self.was_removing)

    @property
    def was_removing(self) -> bool:
        return bool(self.found.get("is_removing") or self.found.get("has_removed"))

    def is_useful(self) -> bool:
        if not self._id or not self.found["service"] or self.found["is_removing"]:
            return False
        try:
            return self.call("version").get("protocol") == PROTOCOL
        except (AgentRefused, AgentAnswerInvalid, DeviceSmbError):
            return False

    def _is_useful_again(self) -> bool:
        """Whether the installation that is to be replaced works, once an interrupted update of it is undone."""
        return self._link.on_share(lambda share: ShareInstaller(share).go_back()) and self.is_useful()

    def plan(self, anew: bool = False) -> Installation:
        bundle = self._wanted_bundle()
        if bundle is None:
            return Installation(None, self.found["platform"], True, self._id or None, None)
        if self._id == bundle.identity and self.found["service"] and not anew and not self.found["is_removing"]:
            return Installation(bundle.identity, self.found["platform"], False, None, 0)
        size_bytes = sum(file.size_bytes for file in bundle.files.values())
        return Installation(bundle.identity, self.found["platform"], True, self._id or None, size_bytes)

    def install(self, anew: bool = False) -> Installation:
        """Copy the bundle and have the service start it; a working agent of another version makes the switch itself."""
        planned, bundle = self.plan(anew), self._wanted_bundle()
        if bundle is None or not planned.changed:
            if self.was_removing:  # a program held what an earlier removal put aside
                self._link.on_share(lambda share: ShareInstaller(share).sweep_removed())
            return planned
        is_update = bool(self._id) and self._id != bundle.identity and (self.is_useful() or self._is_useful_again())
        if is_update:
            sent_bytes = self._link.on_share(lambda share: ShareInstaller(share).copy(bundle), _seconds_for(bundle))
            self._switch(bundle.identity)
        else:
            sent_bytes = self._link.on_share(lambda share: ShareInstaller(share).install(bundle), _seconds_for(bundle))
        self.look()
        self.expect(self._id == bundle.identity, "install", "it installed %s" % self._id)
        if not is_update:
            self._settle()
        return planned._replace(sent_bytes=sent_bytes)

    def would_remove(self) -> bool:
        return self.is_installed()

    def remove(self) -> bool:
        """Remove the service and everything that installations left; return whether there was anything.

        :raises InstallationRunLives: while a run is in progress.
        """
        if self.is_useful() and any(one["state"] in ALIVE for one in self.call("runs")["runs"]):
            raise InstallationRunLives(base=self.found["base"])
        self._link.drop_folder()
        removed = self._link.on_share(lambda share: ShareInstaller(share).remove())
        self._id = ""
        return removed

    def call(self, verb: str, *arguments: str) -> Dict[str, Any]:
        return self._asked(verb, "main", "--base", str(self.found["base"]), verb, *arguments)

    def _switch(self, identity: str) -> None:
        """Let the present installation put the service onto another one; it falls back where that does not work."""
        self._asked("install", "windows_install", "switch", "--base", str(self.found["base"]), "--to", identity)

    def _settle(self) -> None:
        """Let the new agent look at what the share does not show, such as a write filter; remove one that can't stay.

        :raises AgentRefused:
        """
        try:
            self._asked("install", "windows_install", "settle", "--base", str(self.found["base"]))
        except AgentRefused:
            with suppress(DeviceSmbError, InstallationRunLives):  # the refusal counts
                self._link.on_share(lambda share: ShareInstaller(share).remove())
            raise

    def _asked(self, command: str, part: str, *arguments: str) -> Dict[str, Any]:
        """Have the present installation run a part of the agent, and return the answer to ``command``."""
        return self._understood(command, self._link.run([self.python, *module(part, *arguments)]))

    def _wanted_bundle(self) -> Optional[WindowsBundle]:
        if self._windows_bundle is None:
            self._windows_bundle = self._find_windows_bundle(self.found["platform"])
        return self._windows_bundle


def _seconds_for(bundle: WindowsBundle) -> float:
    return seconds_for(sum(file.size_bytes for file in bundle.files.values()), len(bundle.files))
