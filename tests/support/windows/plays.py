# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks on one Windows device behind ``admin_share``; what crosses the line and what its processes are told."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import signal
import threading
import zipfile
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

from engine.install.bundle import build_bundle
from engine.install.bundle_document import DOCUMENT
from engine.install.wheel_store import default_cache
from engine.install.windows.document import SUMS, File, make_document, read_document
from support.imaging import PASSWORD
from support.playbooks import Played, Site
from support.whole_disks import WholeDisk
from support.windows.access_lists import CORRECTION
from support.windows.admin_device import AdminShareDevice
from support.windows.kinds import Kind

MAKE = "Make an image"
DISK, STORAGE = r"C:\disk.raw", r"C:\storage"
_CHANGED = "code/engine/host/windows_security.py"
_LOOK_SECONDS = 1.0


def device_with(disk: WholeDisk, folder: Path, kind: Kind) -> Iterator[AdminShareDevice]:
    """For a fixture: a device with the disk and an empty storage, where a site expects them, without a fault at the end."""
    with AdminShareDevice(folder / "prefix", kind) as made:
        made.host_path(DISK).write_bytes(disk.path.read_bytes())
        made.host_path(STORAGE).mkdir()
        yield made
        assert not made.faults


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
        self.settings["imaging_drives"] = [DISK]
        self.use({"url": STORAGE}, device.host_path(STORAGE))
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


def changed_bundle(platform: str, folder: Path) -> Path:
    """Write the bundle that plays have built with another file in its engine, and return the folder with it.

    The file is the one that the double corrects in other installations: this one is tried before a service starts it.
    """
    path = Path(build_bundle(platform, str(default_cache().parent / "bundles"), check=True).path)
    folder.mkdir()
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    document = read_document(entries[DOCUMENT], str(path))
    entries[_CHANGED] += CORRECTION.encode()
    data = entries[_CHANGED]
    changed = File(_CHANGED, hashlib.sha256(data).hexdigest(), len(data), "")
    files: List[File] = [changed if file.name == _CHANGED else file for file in document.files]
    entries[DOCUMENT] = make_document(document.version, document.platform, document.python, files).raw
    before = next(file.sha256 for file in document.files if file.name == _CHANGED)
    entries[SUMS] = entries[SUMS].replace(before.encode(), changed.sha256.encode())
    with zipfile.ZipFile(folder / path.name, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return folder


class Recorder:
    """Keeps what goes through a proxy."""

    def __init__(self) -> None:
        self.data = bytearray()

    def holds(self, secret: str) -> bool:
        return any(form in self.data for form in _forms(secret))


def _forms(secret: str) -> List[bytes]:
    plain = secret.encode("utf-8")
    return [plain, secret.encode("utf-16-le"), base64.b64encode(plain)[:-4]]


class Watch:
    """Looks for secrets, once a second, in the command lines of a device's processes and in the agent's files."""

    def __init__(self, device: AdminShareDevice, secrets: List[str]) -> None:
        self.found: List[str] = []
        self.seen: Dict[str, int] = {"command line": 0, "file": 0}
        self._device = device
        self._secrets = [form for secret in secrets for form in _forms(secret)]
        self._end = threading.Event()
        self._thread: Optional[threading.Thread] = None

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *dummy: object) -> None:
        self._end.set()
        if self._thread is not None:
            self._thread.join()
        self._look()

    def _run(self) -> None:
        while not self._end.wait(_LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        for process in Path("/proc").glob("[0-9]*"):
            self._read("command line", process / "cmdline")
        for name in ("spool", "service"):
            for path in (self._device.base / name).rglob("*"):
                self._read("file", path)

    def _read(self, kind: str, path: Path) -> None:
        try:
            data = path.read_bytes() if not path.is_dir() else b""
        except OSError:
            return  # it went meanwhile
        self.seen[kind] += bool(data)
        if any(form in data for form in self._secrets):
            self.found.append("%s: %s" % (kind, path))


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
        "service/marker-*",
        "removing",
    )
    found = [path for pattern in patterns for path in base.glob(pattern)]
    found += base.parent.glob(base.name + ".removed-*")
    return sorted(str(path.relative_to(base.parent)) for path in found)
