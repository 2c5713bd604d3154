# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs playbooks of the collection as a user does: ansible-playbook with an inventory, from the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from support.paths import ROOT


class Played(NamedTuple):
    """How a playbook ended: its exit status, what it showed, and every task's result."""

    status: int
    output: str
    results: List[Dict[str, Any]]

    def result(self, task: str) -> Dict[str, Any]:
        """Return the result of the last task whose name ends in ``task``."""
        for entry in reversed(self.results):
            if entry["task"].endswith(task):
                found: Dict[str, Any] = entry["result"]
                return found
        raise AssertionError("no task %s ran: %s" % (task, self.output[-2000:]))


class Site:
    """An inventory of one local device in a directory of its own."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        # The whole suite of plays can be run with another ansible-core: see tests/support/versions.py.
        self.programs = Path(os.environ.get("PLANTOPS_TEST_PROGRAMS") or Path(sys.executable).parent)
        self.storage = folder / "storage"
        self.storage.mkdir(parents=True, exist_ok=True)
        self.settings: Dict[str, Any] = {"imaging_storage": {"url": str(self.storage)}, "imaging_device_alias": "t"}
        self.settings.update(settings)

    @property
    def device(self) -> Path:
        return self.storage / "t_pc-1"

    def inventory(self) -> Dict[str, Any]:
        return {"all": {"hosts": {"pc-1": {"ansible_connection": "local"}}, "vars": self.settings}}

    def command(self, playbook: str, *arguments: str) -> List[str]:
        """Write the inventory and return the command that runs the playbook by its full name."""
        (self.folder / "hosts.yml").write_text(json.dumps(self.inventory()), encoding="utf-8")
        program = str(self.programs / "ansible-playbook")
        return [program, "-i", str(self.folder / "hosts.yml"), "plantops.imaging.%s" % playbook, *arguments]

    def environment(self, extra: Optional[Dict[str, str]] = None) -> Dict[str, str]:
        environment = dict(os.environ)
        environment.update(
            ANSIBLE_NOCOLOR="1",
            ANSIBLE_HOME=str(self.folder / "ansible-home"),
            ANSIBLE_CALLBACK_PLUGINS=str(Path(__file__).resolve().parent / "callbacks"),
            ANSIBLE_CALLBACKS_ENABLED="record_results",
            RECORD_RESULTS=str(self.folder / "results.jsonl"),
        )
        environment.update(extra or {})
        return environment

    def play(self, playbook: str, *arguments: str, env: Optional[Dict[str, str]] = None) -> Played:
        """Run a playbook of the collection to its end."""
        return self._run(self.command(playbook, *arguments), env)

    def play_file(self, playbook: Path, *arguments: str) -> Played:
        """Run a site's own playbook to its end."""
        return self._run(self._command_of(playbook, *arguments))

    def begin(self, playbook: Optional[Path] = None, stdout: Optional[int] = None) -> subprocess.Popen[bytes]:
        """Start the playbook image, or a site's own, in a session of its own, which a test interrupts or kills."""
        command = self.command("image") if playbook is None else self._command_of(playbook)
        return subprocess.Popen(
            command,
            cwd=str(ROOT),
            env=self.environment(),
            stdout=stdout,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _command_of(self, playbook: Path, *arguments: str) -> List[str]:
        command = self.command("image", *arguments)
        command[command.index("plantops.imaging.image")] = str(playbook)
        return command

    def _run(self, command: List[str], env: Optional[Dict[str, str]] = None) -> Played:
        record = self.folder / "results.jsonl"
        record.write_text("", encoding="utf-8")
        done = subprocess.run(
            command,
            cwd=str(ROOT),
            env=self.environment(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        results = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
        return Played(done.returncode, done.stdout, results)
