# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a run, in a separate process: publish a key, wait for the secrets, work, report the end."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any, Dict, Optional

from ..errors import EngineError, RunCancelled, RunEndedBySystem, SecretsLate, uncaught
from ..host.memory import close_memory, share_one_arena
from ..host.priority import lower_priority
from ..host.process import boot_id, process_start
from ..install.owned_files import open_owned, read_bytes
from .protocol import SHUTDOWN_FILE
from .redaction import RedactedLog, Redactor
from .request_secrets import merge
from .sealing import MAX_SEALED_BYTES, Recipient
from .spool import RunFolder
from .status import StatusFile

if TYPE_CHECKING:
    from .mirror import Mirror

WAIT_FOR_SECRETS_SECONDS = 300
_LOOK_SECONDS = 0.1
_TICK_SECONDS = 0.25


def serve(folder: RunFolder, installation: str, wait_seconds: int) -> None:
    """Live through the run that ``folder`` holds. Every end but a kill is in its status; nothing is raised."""
    redact = Redactor()
    try:
        _open_log(folder, redact)
        runner = _Runner(folder, StatusFile(folder, redact), redact)
        try:
            runner.run(installation, wait_seconds)
        finally:
            runner.close()
    except BaseException:
        traceback.print_exc()  # the spool itself takes nothing any more: the run will count as lost


def _open_log(folder: RunFolder, redact: Redactor) -> None:
    descriptor = open_owned(folder.file("engine.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 2)  # what a crashing library says goes past Python
    sys.stdout = sys.stderr = RedactedLog(descriptor, redact)
    faulthandler.enable(descriptor)


class _Runner:
    def __init__(self, folder: RunFolder, status: StatusFile, redact: Redactor) -> None:
        self._folder = folder
        self._status = status
        self._redact = redact
        self._cancelled = threading.Event()
        self._ended_by = ""
        self._mirror: Optional[Mirror] = None

    def run(self, installation: str, wait_seconds: int) -> None:
        """Live to the end, and say which it was."""
        try:
            result = self._live(installation, wait_seconds)
        except RunCancelled as error:
            if not self._ended_by:
                self._status.end("cancelled", error=error)
            else:
                self._status.end("failed", error=RunEndedBySystem(run=self._folder.run, signal_name=self._ended_by))
        except EngineError as error:
            self._status.end("failed", error=error)
        except BaseException as error:
            traceback.print_exc()
            self._status.end("failed", error=uncaught(error))
        else:
            self._status.end("done", result=result)  # an unwritable status does not fail the work

    def close(self) -> None:
        """Show the last status on the storage, too."""
        if self._mirror is not None:
            self._mirror.stop()
        self._folder.remove("sealed.json")  # came after the end

    def _live(self, installation: str, wait_seconds: int) -> Dict[str, Any]:
        close_memory()
        for name in ("SIGTERM", "SIGHUP"):
            if hasattr(signal, name):  # Windows has no SIGHUP
                signal.signal(
                    getattr(signal, name), lambda received, dummy_frame: self._end_by(signal.Signals(received).name)
                )
        folder = self._folder
        process = {"pid": os.getpid(), "process_start": process_start(os.getpid()), "boot_id": boot_id()}
        folder.write("runner.json", dict(process, installation=installation, started=int(time.time())))
        recipient = Recipient(folder.run)
        folder.write("hello.json", recipient.hello(), durable=True)
        lower_priority()  # before any thread starts: those inherit it
        share_one_arena()
        threading.Thread(target=self._tick, name="status and cancel", daemon=True).start()
        document = self._receive(recipient, wait_seconds)
        self._status.running()
        return self._work(document)

    def _end_by(self, name: str) -> None:
        """A signal is the system's way to end a run, not the play's, which leaves a file. Windows has its service for that."""
        if not self._cancelled.is_set():
            self._ended_by = name
        self._cancelled.set()

    def _tick(self) -> None:
        while True:
            if self._folder.has("cancel"):
                self._cancelled.set()
            if self._folder.has(SHUTDOWN_FILE):
                self._end_by("Windows")
            self._status.flush()
            time.sleep(_TICK_SECONDS)

    def _receive(self, recipient: Recipient, wait_seconds: int) -> Dict[str, Any]:
        """Return the whole request. :raises SecretsLate: :raises SecretsRefused: :raises RunCancelled:"""
        deadline = time.monotonic() + wait_seconds
        message = None
        while message is None:
            if self._cancelled.is_set():
                raise RunCancelled()
            if time.monotonic() > deadline:
                raise SecretsLate(run=self._folder.run, seconds=wait_seconds)
            message = read_bytes(self._folder.file("sealed.json"), MAX_SEALED_BYTES)
            if message is None:
                time.sleep(_LOOK_SECONDS)
        self._folder.remove("sealed.json")
        secrets = recipient.open(message)
        self._redact.learn(secrets)
        return dict(merge(self._folder.read("job.json") or {}, secrets), run=self._folder.run)

    def _work(self, document: Dict[str, Any]) -> Dict[str, Any]:
        # Imported only now: the sender has the key already, and seals while this reads some hundred files.
        from ..verbs.dispatch import run_request
        from ..verbs.request import parse
        from .mirror import Mirror

        request = parse(document)

        def report(event: Dict[str, Any]) -> None:
            if event.get("event") == "status" and self._cancelled.is_set():
                raise RunCancelled()  # ends the verbs that only tell how far they are
            if event.get("event") == "replaceable" and self._mirror is None:
                self._mirror = Mirror(request, self._status.snapshot, str(event.get("host_key") or ""))
                self._mirror.start()
            self._status.report(event)

        return run_request(request, report, self._cancelled.is_set)
