# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts an agent onto a Windows device through its share alone: nothing runs there before its service does.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import hashlib
import ntpath
import secrets
import struct
from contextlib import suppress
from typing import Any, Dict, List, Set

from ansible_collections.plantops.imaging.plugins.module_utils.engine.entries import EntryKind
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    DeviceFileChanged,
    DeviceFileFailed,
    DevicePathUnproved,
    DeviceSmbError,
    InstallationRunLives,
)
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.windows.bundle import WindowsBundle
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.windows.lock import MACHINES
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.windows_layout import (
    IDENTITY,
    REMOVING,
    image_of,
    python_of,
)

from .at_once import each
from .commands import Commands
from .preflight import check_device
from .service import AgentService
from .share import DeviceShare

UNFINISHED = ".new-"
_REPLACED = ".new-old-"  # swept like one that is unfinished
_REMOVED = ".removed-"
_OWN_FOLDERS = ("spool", "service")
_SERVICE_FOLDERS = ("service", "service\\inbox", "service\\taken", "service\\answers", "spool")
_READY_SECONDS = 60.0
# The machine in the head of a program [PE format, "COFF File Header"].
_NAMES = {number: name for name, number in MACHINES.items()}
_HEAD_BYTES = 4096


class ShareInstaller:
    """The agent's folder and service on one device."""

    def __init__(self, share: DeviceShare) -> None:
        self._share = share
        self._base = share.place.base_in_share
        self.service = AgentService(share)

    def look(self) -> Dict[str, Any]:
        """Return what is installed. Changes nothing. :raises DeviceFolderUnsafe:"""
        exists = self._share.check_base()
        entries = self._share.entries(self._base) or []
        versions = [
            entry.name
            for entry in entries
            if entry.kind is EntryKind.DIRECTORY
            and entry.name not in _OWN_FOLDERS
            and not entry.name.startswith(UNFINISHED)
        ]
        current = self._current()
        return {
            "base": self._share.place.base,
            "platform": self._platform(),
            "current": current if current in versions else "",
            "versions": versions,
            "exists": exists,
            "service": self.service.image_path(),
            "is_removing": self._is_marked(),
            "has_removed": bool(self._removed()),
        }

    def install(self, bundle: WindowsBundle) -> int:
        """Make this bundle the device's agent, where there is none that works; return the bytes sent.

        :raises InstallationError: when the device can't have it.
        """
        self.sweep_removed()
        self._share.make_base()
        sent_bytes = self.copy(bundle)
        for name in _SERVICE_FOLDERS:
            self._share.make_folder("%s\\%s" % (self._base, name))
        earlier = self.service.image_path()
        try:
            self._serve(bundle.identity)
            self._prove_path()
        except BaseException:
            if earlier:
                self._serve_again(earlier)
            raise
        # Only now: the name stands for an installation that has served.
        self._share.write_new(self._base + "\\current", (bundle.identity + "\n").encode("ascii"))
        self._share.delete(self._mark)
        return sent_bytes

    def go_back(self) -> bool:
        """Let the service run the current installation again, where an update that was interrupted left it with another.

        Return whether that was so and it serves now. The code of the other installation takes no part.
        """
        current = self._current()
        if not IDENTITY.fullmatch(current) or self.service.image_path() in ("", self._image_of(current)):
            return False
        if not self._is_there(self._program(current)):
            return False
        try:
            self._serve(current)
        except DeviceSmbError:
            return False
        return True

    def _image_of(self, identity: str) -> str:
        return image_of(self._share.place.base, identity, ntpath.join)

    def _serve(self, identity: str) -> None:
        """Let the service run an installation, and wait until it takes commands. :raises DeviceSmbError:"""
        self.service.stop()
        self._share.delete(self._base + "\\service\\state.json")
        self.service.ensure(self._image_of(identity))
        self.service.start()
        self._wait_until_ready(identity)

    def _serve_again(self, image_path: str) -> None:
        """Give the service its earlier program after a failure, which counts more than a second one here."""
        with suppress(DeviceSmbError):
            self.service.stop()
            self.service.ensure(image_path)
            self.service.start()

    def _is_there(self, path: str) -> bool:
        folder, dummy_separator, name = path.rpartition("\\")
        return any(entry.name.lower() == name for entry in self._share.entries(folder) or [])

    def copy(self, bundle: WindowsBundle) -> int:
        """Copy a bundle beside other installations, under its id; each file is read back. Return the bytes sent.

        One that is there and whole is kept. One that is not is replaced while the service is stopped.

        :raises DeviceFileFailed: when a process still runs from it; it stays as it was.
        """
        self._sweep()
        target = "%s\\%s" % (self._base, bundle.identity)
        is_there = self._share.entries(target) is not None
        if is_there and self._is_whole(target, bundle):
            return 0
        check_device(self._share, self._platform(), sum(file.size_bytes for file in bundle.files.values()))
        unfinished = "%s\\%s%s" % (self._base, UNFINISHED, secrets.token_hex(8))
        sent_bytes = self._send(bundle, unfinished)
        if is_there:
            self._replace(unfinished, bundle.identity)
        else:
            self._share.rename(unfinished, target)
        return sent_bytes

    def remove(self) -> bool:
        """Stop and delete the service, then delete the folder; return whether there was anything.

        A removal that is interrupted at any step is found by :meth:`look`, and the next installation or removal completes it.

        :raises InstallationRunLives: when Windows does not let go of the folder; the service runs again then.
        """
        had_removed = bool(self._removed())
        exists, was_removing = self._share.check_base(), self._is_marked()
        if exists:
            self._share.write(self._mark, [b""])
        self.service.stop()
        aside = "%s%s%s" % (self._base, _REMOVED, secrets.token_hex(8))
        if exists and (self._is_any_running() or not self._share.move_aside(self._base, aside)):
            self._start_again()
            if not was_removing:  # of a removal by hand: the service may be disabled
                self._share.delete(self._mark)
            raise InstallationRunLives(base=self._share.place.base)
        had_service = self.service.delete()
        for path in self._removed():
            self._share.delete_tree(path)
        return exists or had_service or had_removed

    def _current(self) -> str:
        content = self._share.read(self._base + "\\current", 256)
        return (content or b"").decode("ascii", "replace").strip()

    def _send(self, bundle: WindowsBundle, folder: str) -> int:
        """Send every file of a bundle and read it back. :raises DeviceFileChanged:"""
        made: Set[str] = set()
        lists = dict(bundle.lists())
        names = [*bundle.files, *lists]
        for name in names:
            self._make_folders(_path_in(folder, name), made)

        def send(name: str) -> None:
            self._share.write(_path_in(folder, name), [lists[name] if name in lists else bundle.read(name)])

        each(send, names)
        self._check(bundle, folder)
        return sum(file.size_bytes for file in bundle.files.values()) + sum(len(data) for data in lists.values())

    def _check(self, bundle: WindowsBundle, folder: str) -> None:
        """Read an installation back. :raises DeviceFileChanged: :raises DeviceFileFailed:"""
        sums = [(name, file.sha256) for name, file in bundle.files.items()]
        sums += [(name, hashlib.sha256(content).hexdigest()) for name, content in bundle.lists()]
        each(lambda one: self._share.check(_path_in(folder, one[0]), one[1]), sums)

    def _is_whole(self, folder: str, bundle: WindowsBundle) -> bool:
        """Whether an installation that is there holds what the bundle does."""
        try:
            self._check(bundle, folder)
        except (DeviceFileChanged, DeviceFileFailed):
            return False
        return True

    def _replace(self, unfinished: str, identity: str) -> None:
        """Put an installation in the place of one of the same id; nothing of that one is lost while it is in use."""
        target = "%s\\%s" % (self._base, identity)
        aside = "%s\\%s%s" % (self._base, _REPLACED, secrets.token_hex(8))
        self.service.stop()
        if self._share.is_running(self._program(identity)) or not self._share.move_aside(target, aside):
            self._start_again()
            raise DeviceFileFailed(
                device=self._share.peer.device,
                operation="Replacing the installation",
                path=self._share.place.on_device(target),
                reason="a program still runs from it, such as that of a run in progress",
            )
        try:
            self._share.rename(unfinished, target)
        except DeviceSmbError:
            self._share.move_aside(aside, target)
            self._start_again()
            raise
        with suppress(DeviceFileFailed):  # the next installation sweeps what a program holds
            self._share.delete_tree(aside)

    def _program(self, identity: str) -> str:
        """Return the path in the share of an installation's program."""
        return python_of(self._base, identity, ntpath.join)

    def _is_any_running(self) -> bool:
        """Whether a process, such as that of a run, runs from an installation."""
        found = self._share.entries(self._base) or []
        names = [entry.name for entry in found if entry.kind is EntryKind.DIRECTORY]
        return any(self._share.is_running(self._program(name)) for name in names)

    def _start_again(self) -> None:
        """Start the service, where there is one, after a failure, which counts more than a second one here."""
        with suppress(DeviceSmbError):
            self.service.start()

    def _sweep(self) -> None:
        """Delete what installations that were interrupted left."""
        for entry in self._share.entries(self._base) or []:
            if entry.name.startswith(UNFINISHED):
                with suppress(DeviceFileFailed):  # a program holds it: a later installation deletes it
                    self._share.delete_tree("%s\\%s" % (self._base, entry.name))

    def sweep_removed(self) -> None:
        """Delete what removals that were interrupted left beside the folder."""
        for path in self._removed():
            with suppress(DeviceFileFailed):  # a program holds it
                self._share.delete_tree(path)

    def _removed(self) -> List[str]:
        """Return the folders that removals put aside and did not delete."""
        above, dummy_separator, name = self._base.rpartition("\\")
        names = [entry.name for entry in self._share.entries(above) or [] if entry.name.startswith(name + _REMOVED)]
        return ["%s\\%s" % (above, found) if above else found for found in names]

    @property
    def _mark(self) -> str:
        return "%s\\%s" % (self._base, REMOVING)

    def _is_marked(self) -> bool:
        """Whether a removal, over the share or by hand, was interrupted while the folder had its name."""
        return any(entry.name == REMOVING for entry in self._share.entries(self._base) or [])

    def _make_folders(self, path: str, made: Set[str]) -> None:
        missing: List[str] = []
        folder = path.rpartition("\\")[0]
        while folder != self._base and folder not in made:
            missing.append(folder)
            folder = folder.rpartition("\\")[0]
        for folder in reversed(missing):
            self._share.make_folder(folder)
            made.add(folder)

    def _wait_until_ready(self, identity: str) -> None:
        """Wait until the service says in its folder that it takes commands: it is the folder of this share, then."""
        if Commands(self._share).wait_for_state(lambda state: state.get("installation") == identity, _READY_SECONDS):
            return
        status = self.service.status()
        if status is not None and status.process_id:
            raise self._unproved("the service runs, but writes nothing there")
        raise self.service.failed("it ended without a word after its start")

    def _prove_path(self) -> None:
        """Have the device read a file by the name that it gives the share's folder."""
        name = "%s\\service\\marker-%s" % (self._base, secrets.token_hex(8))
        marker = secrets.token_hex(16)
        self._share.write(name, [marker.encode("ascii")])
        try:
            line = 'cmd.exe /d /c type "%s"' % self._share.place.on_device(name)
            answer = Commands(self._share).run(line)
        finally:
            self._share.delete(name)
        if answer.stdout.decode("ascii", "replace").strip() != marker:
            raise self._unproved("a file that was put there has other content on the device")

    def _unproved(self, reason: str) -> DevicePathUnproved:
        place = self._share.place
        return DevicePathUnproved(device=self._share.peer.device, share=place.share, path=place.folder, reason=reason)

    # -- the platform -------------------------------------------------------------------------------------------------

    def _platform(self) -> str:
        """Return the platform of the bundle that the device needs, from its version and the head of a system file."""
        machine = self._machine()
        if machine == "arm64":
            return "windows-arm64"
        return "windows-%s" % machine if self._share.windows.major >= 10 else "windows-7-%s" % machine

    def _machine(self) -> str:
        head = self._share.system_file("System32\\ntdll.dll", _HEAD_BYTES)
        if head is None:
            return "amd64"
        try:
            at = struct.unpack_from("<I", head, 60)[0]
            return _NAMES.get(struct.unpack_from("<4xH", head, at)[0], "amd64")
        except struct.error:
            return "amd64"


def _path_in(folder: str, name: str) -> str:
    """Return the path in the share of a bundle's file."""
    return "%s\\%s" % (folder, name.replace("/", "\\"))
