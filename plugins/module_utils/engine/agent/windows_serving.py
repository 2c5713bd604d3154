# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The work of the service of a Windows device between its start and its end: take commands, and report how runs ended."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
import traceback
from typing import Any, Callable, Dict

from .._libraries import load_all
from ..errors import EngineError
from ..host import windows_services
from ..host.memory import close_memory
from ..host.process import boot_id, process_start
from ..host.windows_detached import new_process
from ..host.windows_dispatcher import Session
from ..host.windows_watch import DirectoryWatch
from ..install.owned_files import open_owned, write_bytes
from ..install.windows_base import check_above
from ..install.windows_layout import DESCRIPTION, SERVICE, installation_here, read_name
from ..moments import moment
from . import after_command
from .protocol import SHUTDOWN_FILE
from .sealing import Recipient, seal
from .service_desk import CommandDesk, IsOver
from .service_files import ServiceFiles
from .spool import Spool
from .status import current_status

_LOOK_SECONDS = 1.0
_MAX_LOG_BYTES = 1 << 20
_LET_GO_SECONDS = 20.0


def serve(session: Session, base: str, loaded: Callable[[], None]) -> bool:
    """Serve until ``session`` is to stop; return whether it ends as ordered."""
    files, spool = ServiceFiles(base), Spool(base)
    spool.prepare()
    files.prepare()
    _open_log(files)
    close_memory()
    try:
        check_above(base)
        desk = CommandDesk(files, lambda data: _start_carrier(base, data))
        state = _first_state(base, desk.hello())
        desk.recover()
        _recover_runs(spool)
        describe_itself()
        files.write_state(dict(state, state="running"))
        _say("started, installation %s" % (state["installation"] or "without a bundle"))
        loaded()
        session.running()
        _take_until_stopped(session, files, desk)
        if session.is_shutdown:
            _end_run(session, spool)
        files.write_state(dict(state, state="stopped"))
        _say("stopped")
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        return False
    return True


def self_test(base: str) -> int:
    """Prove that the libraries load, that this installation can seal and open, and that it is safe; it writes no file."""
    try:
        check_above(base)
    except EngineError as error:
        sys.stdout.write(str(error) + "\n")
        return 1
    load_all()
    recipient = Recipient("self-test")
    sealed = seal(recipient.hello(), {"command": {"id": "self-test"}})
    is_good = recipient.open(json.dumps(sealed).encode("ascii")) == {"command": {"id": "self-test"}}
    sys.stdout.write(json.dumps({"ok": is_good, "installation": installation_here()}) + "\n")
    return 0 if is_good else 1


def describe_itself() -> None:
    """Let Windows start this service again after a crash: who makes it over the network can't say so."""
    try:
        windows_services.describe(SERVICE, DESCRIPTION)
    except OSError as error:
        _say("Windows does not let the service describe itself: %s" % error)


def _take_until_stopped(session: Session, files: ServiceFiles, desk: CommandDesk) -> None:
    watch = DirectoryWatch(files.inbox)
    try:
        while not session.stop.is_set():
            try:
                desk.take()
            except EngineError as error:
                _say(str(error))  # a disk that fails for a moment: the commands are still there
            watch.wait(_LOOK_SECONDS)
    finally:
        watch.close()


def _start_carrier(base: str, data: bytes) -> IsOver:
    words = [sys.executable, "-I", "-m", "%s.windows_carrier" % __package__, base]
    process = new_process(words, stdin=subprocess.PIPE)
    if process.stdin is None:
        raise OSError("the process has no standard input")
    with contextlib.suppress(BrokenPipeError), process.stdin:
        process.stdin.write(data)
    return lambda: process.poll() is not None


def _first_state(base: str, hello: Dict[str, str]) -> Dict[str, Any]:
    installation = installation_here()
    if installation and read_name(base, "current") is None:
        write_bytes(os.path.join(base, "current"), installation.encode("ascii"), durable=True)
    process = {"pid": os.getpid(), "process_start": process_start(os.getpid()), "boot_id": boot_id()}
    return dict(process, installation=installation, hello=hello, started=int(time.time()))


def _recover_runs(spool: Spool) -> None:
    """Say of each run whose process has ended that it is lost, and run the commands that are due after runs."""
    for folder in spool.runs():
        with contextlib.suppress(EngineError):
            current_status(spool, folder)
    after_command.recover(spool)


def _end_run(session: Session, spool: Spool) -> None:
    """Windows goes down: ask the run to end, and wait a moment until it has said so."""
    run = spool.living()
    if not run:
        return
    with contextlib.suppress(EngineError):
        write_bytes(spool.folder(run).file(SHUTDOWN_FILE), b"")
    deadline = time.monotonic() + _LET_GO_SECONDS
    while spool.living() and time.monotonic() < deadline:
        session.still_busy()
        time.sleep(_LOOK_SECONDS)


def _open_log(files: ServiceFiles) -> None:
    """Standard output and errors of this process go to service.log; the one before is kept once."""
    path = os.path.join(files.path, "service.log")
    with contextlib.suppress(OSError):  # another program reads it: it grows until the next start
        if os.path.getsize(path) > _MAX_LOG_BYTES:
            os.replace(path, path + ".1")
    descriptor = open_owned(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    sys.stdout = sys.stderr = io.TextIOWrapper(
        io.FileIO(descriptor, "w"), encoding="utf-8", errors="replace", write_through=True
    )


def _say(text: str) -> None:
    sys.stderr.write("%s %s\n" % (moment(), text))
