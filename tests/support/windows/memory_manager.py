# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service manager in memory, in the place of that of Windows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import List, Optional

import pytest
from engine.host import windows_services
from engine.host.windows_services import RUNNING, STOPPED, Service
from engine.install import windows_switch
from engine.install.windows_layout import image_of

CALLS = ("query", "create", "change", "start", "stop", "delete", "end_process", "set_automatic")


class MemoryManager:
    """Stands in for the service manager. An installation in ``broken`` ends at its start."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.image: Optional[str] = None
        self.state = STOPPED
        self.broken: List[str] = []
        self.refused = ""
        self.hangs = 0  # so many orders are not taken
        self.ended: List[int] = []
        self.is_automatic = True

    def query(self, dummy_name: str) -> Optional[Service]:
        return None if self.image is None else Service(self.state, int(self.state == RUNNING), self.image)

    def create(self, dummy_name: str, dummy_display: str, dummy_description: str, image: str) -> None:
        self.image, self.state, self.is_automatic = image, STOPPED, True

    def change(self, dummy_name: str, image: str) -> None:
        if self.refused == "change":
            self.refused = ""
            raise PermissionError(5, "Access is denied.")
        assert self.state == STOPPED
        self.image, self.is_automatic = image, True

    def start(self, dummy_name: str) -> None:
        if self.refused == "start":
            raise PermissionError(5, "Access is denied.")
        if not self.is_automatic:
            raise OSError(1058, "The service cannot be started.")
        identity = next(one.name for one in self.base.iterdir() if self.image == image_of(str(self.base), one.name))
        self.state = STOPPED if identity in self.broken else RUNNING
        if self.state == RUNNING:
            state = {"state": "running", "installation": identity, "pid": 1, "process_start": "7"}
            (self.base / "service" / "state.json").write_text(json.dumps(state))

    def stop(self, dummy_name: str) -> bool:
        if self.hangs:
            self.hangs -= 1
            return False
        self.state = STOPPED
        return True

    def end_process(self, pid: int) -> None:
        assert pid == 1
        self.ended.append(pid)
        self.state = STOPPED

    def set_automatic(self, dummy_name: str, is_automatic: bool) -> None:
        self.is_automatic = is_automatic

    def delete(self, dummy_name: str) -> None:
        self.image = None


def stand_in(base: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryManager:
    """Let a manager of this base answer the installer, whose trials succeed."""
    made = MemoryManager(base)
    for name in CALLS:
        monkeypatch.setattr(windows_services, name, getattr(made, name))
    monkeypatch.setattr(windows_switch, "try_out", lambda base, identity: None)
    monkeypatch.setattr(windows_switch, "store_files", lambda base, identity: None)
    monkeypatch.setattr(windows_switch, "process_start", lambda pid: "7" if made.state == RUNNING else "")
    return made
