# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of a Windows device, asked for as the controller does: start, deliver sealed secrets, follow, cancel."""

from __future__ import annotations

import json
import time
from typing import Any, Callable, Dict, List, NamedTuple

from engine.agent import sealing
from engine.agent.protocol import ENDED
from support.imaging import PASSWORD
from support.windows.device import WindowsDevice

BASE = r"C:\Program Files\plantops-imaging"
Call = Callable[..., Dict[str, Any]]


class Runs(NamedTuple):
    """The agent of a device. ``call`` runs one of its verbs and returns the answer."""

    device: WindowsDevice
    call: Call

    def start(self, run: str, **more: Any) -> Dict[str, Any]:
        """Start an image of ``C:\\disk.raw`` and return the answer of ``start``."""
        request: Dict[str, Any] = {"verb": "image", "device": "pc", "drives": [r"C:\disk.raw"], "limit_read_rate": 0}
        request.update(storage={"url": r"C:\storage"}, timestamp="2026-11-29_18-00-00")
        self.device.host_path(r"C:\put").mkdir(exist_ok=True)
        self.device.host_path(r"C:\put\job.json").write_text(json.dumps(dict(request, **more)))
        return self.call("start", run, r"C:\put\job.json")

    def deliver(self, started: Dict[str, Any], secrets: Dict[str, Dict[str, Any]]) -> Dict[str, Any]:
        """Seal the secrets for the run and hand them over."""
        hello = {name: started[name] for name in ("run", "nonce", "public_key")}
        sealed = sealing.seal(hello, secrets)
        self.device.host_path(r"C:\put\sealed.json").write_text(json.dumps(sealed))
        return self.call("deliver", started["run"], r"C:\put\sealed.json")

    def begin(self, run: str, **more: Any) -> None:
        """Start a run and give it the password."""
        self.deliver(self.start(run, **more), {"secrets": {"password": PASSWORD}})

    def status(self, run: str) -> Dict[str, Any]:
        return dict(self.call("status", run)["status"])

    def end(self, run: str, seconds: float = 120.0) -> Dict[str, Any]:
        """Wait for the run's last status."""
        deadline = time.monotonic() + seconds
        while True:
            status = dict(self.call("status", run, "--wait", "20")["status"])
            if status["state"] in ENDED:
                return status
            assert time.monotonic() < deadline, status


def direct(device: WindowsDevice) -> Runs:
    """The agent asked without a service, each time by a process that ends with the answer."""

    def call(*words: str) -> Dict[str, Any]:
        ran = device.python("-m", "engine.agent.main", "--base", BASE, *words)
        lines: List[str] = [line for line in ran.output.splitlines() if line.startswith("{")]
        assert lines, (ran.status, ran.errors)
        return dict(json.loads(lines[-1]))

    return Runs(device, call)
