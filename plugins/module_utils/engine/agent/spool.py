# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The spool: one folder for each run, and the lock that lets one run live at a time.

``run.lock`` holds the id of the run that took it last. It is locked for as long as that run's process lives: the system
lets go of it however the process ends, so neither a reused process id nor a restart is taken for a living run.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from typing import Any, Dict, Iterator, List, Optional

from ..errors import AgentFileFailed, AgentPathUnsafe, RunIdInvalid, RunLives, RunNotReady, RunUnknown
from ..host.locks import is_locked, lock_exclusive
from ..host.patience import patiently
from ..host.positional import read_at, write_at
from ..install.owned_files import (
    check_directory,
    make_directory,
    open_owned,
    read_document,
    remove_file,
    telling,
    write_document,
)
from ..install.probe import distrust_above, resolved
from .protocol import RUN_ID

_STEP_SECONDS = 0.05
_START_SECONDS = 120
_LET_GO_SECONDS = 15


class RunFolder:
    """The folder of one run."""

    def __init__(self, run: str, path: str) -> None:
        self.run = run
        self.path = path

    def file(self, name: str) -> str:
        return os.path.join(self.path, name)

    def read(self, name: str) -> Optional[Dict[str, Any]]:
        return read_document(self.file(name))

    def write(self, name: str, document: Dict[str, Any], durable: bool = False) -> None:
        write_document(self.file(name), document, durable=durable)

    def has(self, name: str) -> bool:
        return os.path.lexists(self.file(name))

    def remove(self, name: str) -> None:
        with telling("Removing", self.file(name)):
            remove_file(self.file(name))

    @contextlib.contextmanager
    def unless_forgotten(self) -> Iterator[None]:
        """:raises RunUnknown: when the block fails because the folder is not there (any more)."""
        try:
            yield
        except AgentFileFailed:
            if os.path.lexists(self.path):
                raise
            raise RunUnknown(run=self.run) from None


class Spool:
    """The runs of one agent. :meth:`prepare` creates the first file."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.path = os.path.join(base, "spool")
        self._run_lock = os.path.join(base, "run.lock")

    def prepare(self) -> None:
        """:raises AgentPathUnsafe: when another user could write there. :raises AgentFileFailed:"""
        self._check_above()
        make_directory(self.base)
        make_directory(self.path)

    def _check_above(self) -> None:
        if os.name == "nt":
            return  # mode bits say nothing there: the installer sets an access list
        found = distrust_above(resolved(self.base))
        if found is not None:
            raise AgentPathUnsafe(path=found.path, reason="it " + found.reason)

    # -- runs ---------------------------------------------------------------------------------------------------------

    def folder(self, run: str) -> RunFolder:
        """:raises RunIdInvalid:"""
        if not RUN_ID.fullmatch(run):
            raise RunIdInvalid(run=run[:80])
        return RunFolder(run, os.path.join(self.path, run))

    def existing(self, run: str) -> RunFolder:
        """:raises RunIdInvalid: :raises RunUnknown: :raises AgentPathUnsafe:"""
        folder = self.folder(run)
        if not self._is_there():
            raise RunUnknown(run=run)
        with folder.unless_forgotten():
            check_directory(folder.path)
        return folder

    def runs(self) -> List[RunFolder]:
        """Every run, in order of id."""
        if not self._is_there():
            return []
        with telling("Listing", self.path):
            names = sorted(os.listdir(self.path))
        found = []
        for name in filter(RUN_ID.fullmatch, names):
            with contextlib.suppress(RunUnknown):  # forgotten since it was listed
                found.append(self.existing(name))
        return found

    def _is_there(self) -> bool:
        if not os.path.lexists(self.path):
            return False
        self._check_above()
        check_directory(self.base)
        check_directory(self.path)
        return True

    def create(self, run: str, request: Dict[str, Any], status: Dict[str, Any]) -> RunFolder:
        """Make the folder of a run, with both documents in it from the moment when it can be seen."""
        folder = self.folder(run)
        new = RunFolder(run, os.path.join(self.path, ".new-%s" % secrets.token_hex(8)))
        make_directory(new.path)
        new.write("job.json", request, durable=True)
        new.write("status.json", status, durable=True)
        with telling("Making", folder.path):
            patiently(lambda: os.rename(new.path, folder.path))
        return folder

    def delete(self, folder: RunFolder) -> None:
        """Delete a run's folder; half of it is never seen."""
        aside = os.path.join(self.path, ".old-%s" % secrets.token_hex(8))
        with telling("Deleting", folder.path):
            patiently(lambda: os.rename(folder.path, aside))
            patiently(lambda: shutil.rmtree(aside))

    def sweep(self) -> None:
        """Delete what a killed ``start`` or ``forget`` left half-made. Call with the start lock held."""
        with telling("Sweeping", self.path):
            for name in os.listdir(self.path):
                if name.startswith((".new-", ".old-")):
                    shutil.rmtree(os.path.join(self.path, name))

    # -- locks --------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def start_lock(self, run: str) -> Iterator[None]:
        """One ``start`` or ``forget`` at a time, so that the same id twice is the same run.

        :raises RunNotReady: when another one does not come to its end.
        """
        path = os.path.join(self.path, ".lock")
        with telling("Locking", path):
            descriptor = open_owned(path, os.O_RDWR | os.O_CREAT)
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not lock_exclusive(descriptor):
                if time.monotonic() > deadline:
                    raise RunNotReady(run=run, seconds=_START_SECONDS)
                time.sleep(_STEP_SECONDS)
            yield
        finally:
            os.close(descriptor)

    def take_run_lock(self, run: str) -> int:
        """Take ``run.lock`` for a new run and return its descriptor, to be handed to the runner.

        :raises RunLives: when another run lives, or does not let go though its status says that it has ended.
        """
        with telling("Locking", self._run_lock):
            descriptor = open_owned(self._run_lock, os.O_RDWR | os.O_CREAT)
        try:
            deadline = time.monotonic() + _LET_GO_SECONDS
            while not lock_exclusive(descriptor):
                other = self.living()
                if time.monotonic() > deadline or (other and not self._has_ended(other)):
                    words = {"other": other or "that has no name yet", "verb": (other or run).partition("-")[0]}
                    raise RunLives(run=run, is_named=bool(other), **words)
                time.sleep(_STEP_SECONDS)
            with telling("Writing", self._run_lock):
                write_at(descriptor, [memoryview(run.encode("ascii") + b"\n")], 0)
                os.ftruncate(descriptor, len(run) + 1)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def living(self) -> str:
        """The id of the run whose process lives, "" when there is none."""
        with telling("Looking at", self._run_lock):
            try:
                descriptor = open_owned(self._run_lock, os.O_RDONLY)
            except FileNotFoundError:
                return ""
            try:
                return read_at(descriptor, 65, 0).decode("ascii", "replace").strip() if is_locked(descriptor) else ""
            finally:
                os.close(descriptor)

    def _has_ended(self, run: str) -> bool:
        if not RUN_ID.fullmatch(run):
            return True  # its process is between taking the lock and writing its name
        status = self.folder(run).read("status.json") or {}
        return status.get("state") not in ("waiting", "running")
