# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks on one Windows device behind ``admin_share``: its inventory, how they ended, the run on the device."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path
from typing import Any, Dict, List, Optional

from support.imaging import PASSWORD
from support.playbooks import Played, Site
from support.windows.admin_device import AdminShareDevice

MAKE = "Make an image"


class SmbSite(Site):
    """An inventory of one device. ``variables`` are those of its connection, ``storage`` that of the device."""

    def __init__(self, folder: Path, device: AdminShareDevice, **variables: Any) -> None:
        self.variables: Dict[str, Any] = {
            "ansible_connection": "plantops.imaging.admin_share",
            "ansible_host": "127.0.0.1",
            "ansible_port": device.port,
            "ansible_user": device.username,
            "ansible_password": device.password,
            **variables,
        }
        super().__init__(folder, imaging_device_alias="", imaging_password=PASSWORD)
        self.settings["imaging_drives"] = [r"C:\disk.raw"]
        self.use({"url": r"C:\storage"}, device.host_path(r"C:\storage"))
        self.settings["imaging_limit_read_rate"] = "0"

    def use(self, storage: Dict[str, Any], here: Path) -> None:
        """Let images go to a storage, which lies in a folder of this machine."""
        self.settings["imaging_storage"] = storage
        self.settings["imaging_storage_operator"] = {"url": str(here)}

    def inventory(self) -> Dict[str, Any]:
        return {"all": {"hosts": {"pc": self.variables}, "vars": self.settings}}


def ok(played: Played) -> Played:
    assert played.status == 0, played.output[-4000:]
    return played


def error_of(played: Played) -> str:
    """The code of the error that ended a play; every message that names one ends with it."""
    assert played.status != 0, played.output[-4000:]
    failed = [entry["result"] for entry in played.results if entry["status"] in ("failed", "unreachable")]
    assert failed, played.output[-4000:]
    return str(failed[0].get("error_code") or str(failed[0]["msg"]).rstrip(".").rpartition("(")[2].rstrip(")"))


def statuses(device: AdminShareDevice) -> Dict[str, Dict[str, Any]]:
    """The newest status of each run, as the device keeps it."""
    found: Dict[str, Dict[str, Any]] = {}
    for path in device.base.glob("spool/*/status.json"):
        try:
            found[path.parent.name] = dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            continue  # it is being replaced
    return found


def run_at_work(device: AdminShareDevice) -> Optional[str]:
    """The run that has its secrets and sends data."""
    return next((run for run, status in statuses(device).items() if status["state"] == "running"), None)


def hold(run: str) -> List[int]:
    """Stop the processes of a run, so that it ends when a test lets it, however slow the machine is; return them."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
        except OSError:
            continue  # it has ended
        if run.encode() in words and b"windows_process" in words:
            found.append(int(process.name))
    assert found, "no process of the run"
    for pid in found:
        os.kill(pid, signal.SIGSTOP)
    return found


def release(pids: List[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def left_behind(device: AdminShareDevice) -> List[str]:
    """What an installation, a task or a command that ended leaves nothing of."""
    base = device.base
    patterns = (
        ".new-*",
        "service/put/*",
        "service/inbox/*",
        "service/taken/*",
        "service/answers/*",
        "service/marker-*",
    )
    found = [path for pattern in patterns for path in base.glob(pattern)]
    found += base.parent.glob(base.name + ".removed-*")
    return sorted(str(path.relative_to(base.parent)) for path in found)
