# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``start`` and ``deliver``: a run begins once, independent of the number of calls, and gets its secrets."""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import Any, Dict, Tuple

from ..errors import (
    AfterCommandInvalid,
    AfterCommandOver,
    AfterCommandUnknown,
    JobHoldsSecrets,
    RequestInvalid,
    RunNotReady,
    RunUnknown,
    SecretsRefused,
    StorageUrlInvalid,
)
from ..host.detached import Work, spawn_detached
from ..install.owned_files import open_regular, remove_file, telling, write_bytes
from .after_command import bind
from .protocol import ENDED
from .request_secrets import found_in
from .sealing import MAX_SEALED_BYTES, NOT_SEALED_FOR_IT
from .spool import RunFolder, Spool
from .status import current_status, first_status

_MAX_REQUEST_BYTES = 1 << 20
_READY_SECONDS = 60
_STEP_SECONDS = 0.02
_KEPT_RUNS = 20


def start(
    spool: Spool, run: str, request_path: str, installation: str, wait_seconds: int, after: str = ""
) -> Dict[str, Any]:
    """Start the run, or find it; return when its runner has published a key, or it has ended.

    ``after`` is the name of a registered command that is due at the end of this run.

    :raises RunLives: when another run lives. :raises JobHoldsSecrets: :raises RequestInvalid: :raises StorageUrlInvalid:
    :raises AgentPathUnsafe: :raises AfterCommandOver: :raises AfterCommandUnknown: the run is cancelled then.
    """
    spool.folder(run)
    spool.prepare()
    with spool.start_lock(run):
        spool.sweep()
        folder, created = _find_or_make(spool, run, request_path, installation, wait_seconds)
        if after:
            _bind(spool, after, folder)
        status = _wait(spool, folder, until="hello.json")
    hello = folder.read("hello.json") or {}
    _discard(request_path)  # a start that is repeated may have removed it before
    answer = {"run": run, "created": created, "status": status}
    return dict(answer, public_key=hello.get("public_key"), nonce=hello.get("nonce"))


def _bind(spool: Spool, after: str, folder: RunFolder) -> None:
    """The run waits for its secrets, so that nothing has begun when it is cancelled."""
    try:
        bind(spool, after, folder.run)
    except (AfterCommandOver, AfterCommandUnknown):
        write_bytes(folder.file("cancel"), b"")
        raise


def _find_or_make(
    spool: Spool, run: str, request_path: str, installation: str, wait_seconds: int
) -> Tuple[RunFolder, bool]:
    try:
        folder = spool.existing(run)
        if folder.has("runner.json") or spool.living() == run or _has_last_word(folder):
            return folder, False
    except RunUnknown:
        folder = spool.folder(run)
    request = _read_request(run, request_path)
    lock = spool.take_run_lock(run)
    try:
        if os.path.lexists(folder.path):
            spool.delete(folder)  # a start that was killed before its runner began
        _prune(spool)
        folder = spool.create(run, request, first_status(run))
        from .runner import serve

        with telling("Starting a process for", folder.path):
            words = [spool.base, run, installation, str(wait_seconds)]
            work = Work(lambda: serve(folder, installation, wait_seconds), "%s.windows_process" % __package__, words)
            spawn_detached(work, lock)
    finally:
        os.close(lock)
    return folder, True


def _has_last_word(folder: RunFolder) -> bool:
    """Whether a runner said how the run ended; a run that is lost may be one whose runner never began."""
    return (folder.read("status.json") or {}).get("state") in set(ENDED) - {"lost"}


def _read_request(run: str, path: str) -> Dict[str, Any]:
    try:
        return _checked_request(run, path)
    except (JobHoldsSecrets, RequestInvalid, StorageUrlInvalid):
        _discard(path)
        raise


def _checked_request(run: str, path: str) -> Dict[str, Any]:
    data = _read_given(path, _MAX_REQUEST_BYTES)
    try:
        request = json.loads(data.decode("utf-8")) if len(data) <= _MAX_REQUEST_BYTES else None
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict):
        raise RequestInvalid(reason="it is not a JSON object of at most %d bytes" % _MAX_REQUEST_BYTES)
    names = found_in(request)
    if names:
        raise JobHoldsSecrets(run=run, names=" and ".join(names))
    return dict(request, secrets={})


def read_given_document(path: str) -> Dict[str, Any]:
    """Return the object in a file that the connected user has put somewhere, and remove the file.

    :raises AfterCommandInvalid:
    """
    data = _read_given(path, _MAX_REQUEST_BYTES)
    _discard(path)
    try:
        document = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise AfterCommandInvalid(reason="it is not a JSON object")
    return document


def _read_given(path: str, limit_bytes: int) -> bytes:
    """Read a file that the connected user has put somewhere, one byte more than the limit at most."""
    with telling("Reading", path):
        with open(open_regular(path, os.O_RDONLY), "rb") as file:
            return file.read(limit_bytes + 1)


def _wait(spool: Spool, folder: RunFolder, until: str = "") -> Dict[str, Any]:
    """Wait until the run waits for its secrets no more, or a file of the name ``until`` is there; return its status.

    :raises RunNotReady: when nothing of it comes.
    """
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        is_there = bool(until) and folder.has(until)
        status = current_status(spool, folder)
        if is_there or status["state"] != "waiting":
            return status
        if time.monotonic() > deadline:
            raise RunNotReady(run=folder.run, seconds=_READY_SECONDS)
        time.sleep(_STEP_SECONDS)


def _prune(spool: Spool) -> None:
    """Keep the newest runs that have ended. Clocks of devices go wrong: the order is only as good as they are."""
    ended = []
    for folder in spool.runs():
        status = current_status(spool, folder)
        if status["state"] in ENDED:
            ended.append((str(status.get("updated")), folder))
    for dummy_time, folder in sorted(ended, key=lambda item: item[0])[: -_KEPT_RUNS or None]:
        spool.delete(folder)


def _discard(path: str) -> None:
    """Remove what was handed over, where this user may: one who became another user can't, and its owner will."""
    with telling("Removing", path):
        with contextlib.suppress(PermissionError):
            remove_file(path)


def deliver(spool: Spool, run: str, sealed_path: str) -> Dict[str, Any]:
    """Hand the sealed secrets to the run and return its status when it has taken them, or needs none any more.

    :raises SecretsRefused: when the runner could not open them: the run has failed then.
    """
    folder = spool.existing(run)
    status = current_status(spool, folder)
    if status["state"] == "waiting":
        message = _read_given(sealed_path, MAX_SEALED_BYTES)
        if len(message) > MAX_SEALED_BYTES:
            _discard(sealed_path)
            raise SecretsRefused(run=run, reason="they are larger than %d bytes" % MAX_SEALED_BYTES)
        write_bytes(folder.file("sealed.json"), message)
        status = _wait(spool, folder)
        folder.remove("sealed.json")  # it ended while they were on their way
    _discard(sealed_path)
    error = status.get("error") or {}
    if error.get("code") == SecretsRefused.code:
        raise SecretsRefused(run=run, reason=NOT_SEALED_FOR_IT)
    return {"run": run, "status": status}
