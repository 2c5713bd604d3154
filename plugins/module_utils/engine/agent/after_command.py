# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that a device runs after a run, however the run ends: registered before anything is stopped for the run.

The controller may be gone by then, and so may the runner. A watcher, which is a separate process, waits for the end of the
run and runs the command; a watcher that was killed is replaced by the next verb that a controller asks for.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from typing import Any, Dict, Iterator, List, Optional

from ..errors import (
    AfterCommandInvalid,
    AfterCommandOver,
    AfterCommandUnknown,
    AgentFileFailed,
    EngineError,
    RunIdInvalid,
    RunUnknown,
)
from ..host.detached import Work, spawn_detached
from ..host.locks import is_locked, lock_exclusive
from ..host.process import boot_id
from ..install.owned_files import check_directory, make_directory, open_owned, telling, write_bytes
from .after_process import run_command
from .protocol import ENDED, RUN_ID
from .spool import RunFolder, Spool
from .status import current_status

TIME_LIMIT_SECONDS = 60
START_WITHIN_SECONDS = 900
_LONGEST_SECONDS = 86400
_MOST_WORDS = 64
_MOST_CHARACTERS = 4096
_KEPT = 20
_LOOK_SECONDS = 0.5
_STEP_SECONDS = 0.05
LONGEST_WAIT_SECONDS = 300.0
_LAST_WORD_SECONDS = 60.0
_MORE_SECONDS = 30.0 + _LAST_WORD_SECONDS  # what a watcher needs beside its command


def register(spool: Spool, name: str, order: Dict[str, Any]) -> Dict[str, Any]:
    """Store the command and start its watcher; the same name again is the same command.

    :raises AfterCommandInvalid: :raises RunIdInvalid:
    """
    if not RUN_ID.fullmatch(name):
        raise RunIdInvalid(run=name[:80])
    checked = dict(checked_order(order), registered=time.monotonic(), boot_id=boot_id())
    spool.prepare()
    make_directory(_folder_of(spool))
    path = os.path.join(_folder_of(spool), name)
    if not os.path.lexists(path):
        _prune(spool)
        new = RunFolder(name, os.path.join(_folder_of(spool), ".new-%s" % secrets.token_hex(8)))
        make_directory(new.path)
        new.write("order.json", checked, durable=True)
        with telling("Making", path):
            os.rename(new.path, path)
    _watch(spool, RunFolder(name, path))
    return {"id": name}


def bind(spool: Spool, name: str, run: str) -> None:
    """Tie the command to a run, at whose end it is due.

    :raises AfterCommandUnknown: :raises AfterCommandOver: when the device did not wait for the run any longer.
    """
    command = registered(spool, name)
    with _gate(command):
        if command.has("now") or command.has("outcome.json"):
            raise AfterCommandOver(run=run)
        command.write("run.json", {"run": run}, durable=True)


def carry_out(spool: Spool, name: str, wait_seconds: float) -> Dict[str, Any]:
    """Have the command run now and return its outcome, null while there is none.

    ``due`` is false while its run is in progress: the command is due at its end. A command that is due has
    ``most_seconds`` for its outcome; who asks does so again until then, since no link holds for the hours that a command
    may take.

    :raises AfterCommandUnknown:
    """
    command = registered(spool, name)
    limit = float((command.read("order.json") or {}).get("time_limit_seconds", TIME_LIMIT_SECONDS))
    found = {"outcome": None, "due": True, "most_seconds": int(limit + _MORE_SECONDS)}
    if not _run_lives(spool, command):
        write_bytes(command.file("now"), b"")
    elif not command.has("now"):
        return dict(found, due=False)
    deadline = time.monotonic() + min(wait_seconds, LONGEST_WAIT_SECONDS)
    while True:
        outcome = command.read("outcome.json")
        if outcome is not None or time.monotonic() >= deadline:
            return dict(found, outcome=outcome)
        _watch(spool, command)
        time.sleep(_STEP_SECONDS)


def recover(spool: Spool) -> None:
    """Start a watcher for every command whose watcher was killed, or that waits since before a restart of the device."""
    with contextlib.suppress(EngineError):
        for command in _all(spool):
            # A spool that takes nothing, of a disk that fails, must not keep the verb from telling how a run ended.
            with contextlib.suppress(EngineError):
                if not command.has("outcome.json"):
                    _watch(spool, command)


def _watch(spool: Spool, command: RunFolder) -> None:
    """Start a watcher unless there is one: it holds the lock for as long as it lives."""
    with telling("Locking", command.file("lock")):
        descriptor = open_owned(command.file("lock"), os.O_RDWR | os.O_CREAT)
    try:
        if lock_exclusive(descriptor) and not command.has("outcome.json"):
            with telling("Starting a process for", command.path):
                words = [spool.base, command.run]
                work = Work(lambda: watch(spool, command, descriptor), "%s.windows_process" % __package__, words)
                spawn_detached(work, descriptor)
    finally:
        os.close(descriptor)


def watch(spool: Spool, command: RunFolder, lock: int) -> None:
    """The life of a watcher. Its output goes nowhere, and every failure is an outcome."""
    os.umask(0o022)  # of the application, which starts from here
    order = command.read("order.json") or {}
    while True:
        reason = _why_now(spool, command, order)
        if reason:
            break
        time.sleep(_LOOK_SECONDS)

    def told(outcome: Dict[str, Any]) -> None:
        _write_outcome(command, dict(outcome, reason=reason))
        os.close(lock)

    run_command(list(order.get("after") or []), float(order.get("time_limit_seconds", TIME_LIMIT_SECONDS)), told)


def _write_outcome(command: RunFolder, outcome: Dict[str, Any]) -> None:
    """Write the outcome, with patience: without it the next verb runs the command again, which does no harm but once."""
    deadline = time.monotonic() + _LAST_WORD_SECONDS
    while True:
        try:
            command.write("outcome.json", outcome, durable=True)
            return
        except (EngineError, OSError):
            if time.monotonic() > deadline or not os.path.lexists(command.path):
                return
        time.sleep(_LOOK_SECONDS)


def _why_now(spool: Spool, command: RunFolder, order: Dict[str, Any]) -> str:
    """Return the reason why the command is due, "" while it is not."""
    if command.has("now"):
        return "the controller asked for it"
    try:
        bound = (command.read("run.json") or {}).get("run")
        if bound:
            state = current_status(spool, spool.existing(str(bound)))["state"]
            return "the run ended: %s" % state if state in ENDED else ""
    except (RunUnknown, RunIdInvalid):
        return "the run is not known any more"
    except EngineError:
        return ""  # a file system that fails for a moment
    if order.get("boot_id") != boot_id():
        return "the device restarted"
    waited = time.monotonic() - float(order.get("registered", 0.0))
    if waited < float(order.get("start_within_seconds", START_WITHIN_SECONDS)):
        return ""
    with contextlib.suppress(AgentFileFailed), _gate(command):
        if command.has("run.json"):
            return ""  # a run was tied to it in this moment
        write_bytes(command.file("now"), b"")  # from here on none can be
    return "no run began within %d seconds" % waited


@contextlib.contextmanager
def _gate(command: RunFolder) -> Iterator[None]:
    """Either a run is tied to the command or its time is over, never both."""
    with telling("Locking", command.file("gate")):
        descriptor = open_owned(command.file("gate"), os.O_RDWR | os.O_CREAT)
    try:
        while not lock_exclusive(descriptor):
            time.sleep(_STEP_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _run_lives(spool: Spool, command: RunFolder) -> bool:
    bound = (command.read("run.json") or {}).get("run")
    try:
        return bool(bound) and current_status(spool, spool.existing(str(bound)))["state"] not in ENDED
    except (RunUnknown, RunIdInvalid):
        return False


def checked_order(order: Dict[str, Any]) -> Dict[str, Any]:
    words = order.get("after")
    if not isinstance(words, list) or not words or len(words) > _MOST_WORDS:
        raise AfterCommandInvalid(reason="it is not a list of a program and its arguments")
    if not all(isinstance(one, str) and len(one) <= _MOST_CHARACTERS and "\0" not in one for one in words):
        raise AfterCommandInvalid(reason="a word of it is not a text of at most %d characters" % _MOST_CHARACTERS)
    if not words[0].strip():
        raise AfterCommandInvalid(reason="it names no program")
    found: Dict[str, Any] = {"after": words}
    for name, default in (("time_limit_seconds", TIME_LIMIT_SECONDS), ("start_within_seconds", START_WITHIN_SECONDS)):
        value = order.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _LONGEST_SECONDS:
            raise AfterCommandInvalid(reason="%s is not a number from 1 to %d" % (name, _LONGEST_SECONDS))
        found[name] = value
    return found


def _folder_of(spool: Spool) -> str:
    return os.path.join(spool.path, ".after")


def registered(spool: Spool, name: str) -> RunFolder:
    if not RUN_ID.fullmatch(name):
        raise RunIdInvalid(run=name[:80])
    found = RunFolder(name, os.path.join(_folder_of(spool), name))
    if not os.path.lexists(found.path):
        raise AfterCommandUnknown(command=name)
    check_directory(_folder_of(spool))
    check_directory(found.path)
    return found


def _all(spool: Spool) -> Iterator[RunFolder]:
    folder = _folder_of(spool)
    if not os.path.lexists(folder):
        return
    check_directory(folder)
    with telling("Listing", folder):
        names: List[str] = sorted(filter(RUN_ID.fullmatch, os.listdir(folder)))
    for name in names:
        with contextlib.suppress(AfterCommandUnknown):
            yield registered(spool, name)


def _prune(spool: Spool) -> None:
    """Delete all but the newest commands that were carried out."""
    done = [command for command in _all(spool) if command.has("outcome.json") and not _is_watched(command)]
    for command in sorted(done, key=lambda one: os.lstat(one.file("outcome.json")).st_mtime)[: -_KEPT or None]:
        with telling("Deleting", command.path):
            shutil.rmtree(command.path)


def _is_watched(command: RunFolder) -> bool:
    descriptor: Optional[int] = None
    try:
        descriptor = open_owned(command.file("lock"), os.O_RDONLY)
        return is_locked(descriptor)
    except OSError:
        return False
    finally:
        if descriptor is not None:
            os.close(descriptor)
