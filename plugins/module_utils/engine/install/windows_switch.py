# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes another installation the one that the service runs, and goes back to the one before when it does not work.

On an update the code of the installation in use does this, so that going back needs nothing of the new one.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from typing import Any, Dict, NamedTuple, Optional

from ..errors import (
    BundleInvalid,
    EngineError,
    InstallationBroken,
    ServiceCallFailed,
    ServiceNotStarted,
    WindowsFileChanged,
)
from ..host import windows_services
from ..host.process import process_start
from .owned_files import read_document, remove_file, telling, write_bytes
from .windows.check import check_files
from .windows_layout import DESCRIPTION, DISPLAY, SERVICE, image_of, module, python_of, read_name

_TRIAL_SECONDS = 120
_WAIT_SECONDS = 90.0
_END_SECONDS = 15.0
_STEP_SECONDS = 0.2
_MOST_CHARACTERS = 400


class _Before(NamedTuple):
    """The service's command line and the two names before a change. They are restored after a failure."""

    image: Optional[str]
    current: Optional[str]
    previous: Optional[str]


def switch(base: str, identity: str) -> Dict[str, Any]:
    """Try the installation as a second process, then let the service run it.

    :raises InstallationBroken: nothing was changed then. :raises ServiceNotStarted: the one before runs again then.
    :raises ServiceCallFailed:
    """
    store_files(base, identity)
    try_out(base, identity)
    found, before = query(), _before(base, identity)
    try:
        if found is None:
            with _told("create"):
                windows_services.create(SERVICE, DISPLAY, DESCRIPTION, image_of(base, identity))
        else:
            stop()
            _set_image(image_of(base, identity))
        _start(base, identity)
        if before.current is not None and before.current != identity:
            _write_name(base, "previous", before.current)
        _write_name(base, "current", identity)
    except BaseException:  # an order to end as well: the service must not be left stopped, or half changed
        _go_back(base, before)
        raise
    return {"ok": True, "changed": True, "installed": identity, "replaced": before.current}


def _before(base: str, identity: str) -> _Before:
    """Return what a failure restores.

    An update that was killed may have left the service with an installation that does not start: then the one that is
    named ``current`` is the one to go back to, and ``previous`` where that is the one to be tried.
    """
    found, current, previous = query(), read_name(base, "current"), read_name(base, "previous")
    if found is None:
        return _Before(None, current, previous)
    if not _lives(base, str(_state(base).get("installation"))):
        for name in (current, previous):
            if name and name != identity and os.path.exists(python_of(base, name)):
                return _Before(image_of(base, name), name, previous)
    return _Before(found.image, current, previous)


def is_in_use(base: str, identity: str) -> bool:
    """Whether the service runs this installation already."""
    found = query()
    is_running = (
        found is not None and found.state == windows_services.RUNNING and found.image == image_of(base, identity)
    )
    return is_running and read_name(base, "current") == identity and _lives(base, identity)


def query() -> Optional[windows_services.Service]:
    """:raises ServiceCallFailed:"""
    with _told("query"):
        return windows_services.query(SERVICE)


def stop() -> None:
    """Stop the service and wait until its process has ended; runs continue. One that does not stop in time is ended.

    :raises ServiceCallFailed: :raises ServiceNotStarted: when it lives on.
    """
    found = query()
    pid = found.pid if found else 0
    with _told("stop"):
        has_taken = windows_services.stop(SERVICE)
    end = _Patience()
    while True:
        found = query()
        if found is None or found.state == windows_services.STOPPED:
            _await_end(pid)
            return
        pid = found.pid or pid
        if end.is_reached(found.pid):
            reason = "it did not stop within %d seconds" % _WAIT_SECONDS
            raise ServiceNotStarted(service=SERVICE, reason=reason)
        time.sleep(_STEP_SECONDS)
        if not has_taken:
            with _told("stop"):
                has_taken = windows_services.stop(SERVICE)


def start() -> None:
    """Start the service; one that runs is left alone. :raises ServiceCallFailed:"""
    with _told("start"):
        windows_services.start(SERVICE)


class _Patience:
    """Waits for a service that stops; then its process is ended, and waited for a little longer."""

    def __init__(self) -> None:
        self._deadline = time.monotonic() + _WAIT_SECONDS
        self._has_ended = False

    def is_reached(self, pid: int) -> bool:
        """Whether there is nothing left to wait for. ``pid`` is what Windows says now that the service's process is."""
        if time.monotonic() <= self._deadline:
            return False
        if self._has_ended or not pid:
            return True
        with _told("end the process of"):
            windows_services.end_process(pid)
        self._has_ended = True
        self._deadline = time.monotonic() + _END_SECONDS
        return False


def delete() -> None:
    """Stop and delete the service, if there is one.

    A Windows that starts itself starts its services for minutes: from here on it does not start this one any more.

    :raises ServiceCallFailed: :raises ServiceNotStarted: when it lives on; it is as it was then.
    """
    if query() is None:
        return
    _set_automatic(False)
    try:
        stop()
        with _told("delete"):
            windows_services.delete(SERVICE)
    except BaseException:
        with contextlib.suppress(EngineError):
            _set_automatic(True)
        raise


def end_orphan(base: str) -> None:
    """End the process of a service that was started in the moment of its deletion: no order reaches it any more."""
    state = _state(base)
    pid, started = int(state.get("pid") or 0), state.get("process_start")
    if state.get("state") == "running" and started and process_start(pid) == started:
        with _told("end the process of"):
            windows_services.end_process(pid)


def _set_automatic(is_automatic: bool) -> None:
    with _told("change"):
        windows_services.set_automatic(SERVICE, is_automatic)


def store_files(base: str, identity: str) -> None:
    """Compare every file of the installation, and have it on the disk before anything relies on it.

    Windows writes files some seconds after their directory: a loss of power in between leaves names with zeros.

    :raises InstallationBroken: :raises AgentFileFailed: when the disk refuses it.
    """
    folder = os.path.join(base, identity)
    try:
        document = check_files(folder)
    except (BundleInvalid, WindowsFileChanged) as error:
        raise InstallationBroken(installation=identity, reason=str(error).rstrip(".")) from None
    for file in document.files:
        path = os.path.join(folder, *file.name.split("/"))
        # Windows refuses to open a program that runs: that one was read from the disk.
        with telling("Flushing", path), contextlib.suppress(PermissionError), open(path, "rb+") as opened:
            os.fsync(opened.fileno())


def try_out(base: str, identity: str) -> None:
    """Let the installation prove that it could serve. :raises InstallationBroken:"""
    words = [python_of(base, identity), *module("windows_service", base, "--self-test")]
    try:
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TRIAL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InstallationBroken(installation=identity, reason="it took longer than %d s" % _TRIAL_SECONDS) from None
    except OSError as error:
        raise InstallationBroken(installation=identity, reason=error.strerror or str(error)) from error
    output = done.stdout.decode("utf-8", "replace")
    if done.returncode or '"ok": true' not in output:
        said = " ".join(output.split())[-_MOST_CHARACTERS:] or "nothing"
        raise InstallationBroken(
            installation=identity, reason="it ended with %d and said: %s" % (done.returncode, said)
        )


def _start(base: str, identity: str) -> None:
    remove_file(os.path.join(base, "service", "state.json"))
    start()
    _await_ready(base, identity)


def _await_ready(base: str, identity: str) -> None:
    """:raises ServiceNotStarted: :raises ServiceCallFailed:"""
    deadline, pid = time.monotonic() + _WAIT_SECONDS, 0
    while not _lives(base, identity):
        found = query()
        pid = (found.pid if found else 0) or pid
        if found is None or found.state == windows_services.STOPPED:
            _await_end(pid)
            raise ServiceNotStarted(service=SERVICE, reason="the installation %s ended at its start" % identity)
        if time.monotonic() > deadline:
            reason = "the installation %s was not ready within %d seconds" % (identity, _WAIT_SECONDS)
            raise ServiceNotStarted(service=SERVICE, reason=reason)
        time.sleep(_STEP_SECONDS)


def _await_end(pid: int) -> None:
    """Wait a moment for the process of a stopped service: it holds files and the service's name until its end."""
    deadline = time.monotonic() + _END_SECONDS
    while pid and process_start(pid) and time.monotonic() < deadline:
        time.sleep(_STEP_SECONDS)


def _lives(base: str, identity: str) -> bool:
    """Whether the service says that this installation runs, in a process that does."""
    state = _state(base)
    if (state.get("state"), state.get("installation")) != ("running", identity):
        return False
    return process_start(int(state.get("pid") or 0)) == state.get("process_start")


def _state(base: str) -> Dict[str, Any]:
    return read_document(os.path.join(base, "service", "state.json")) or {}


def _go_back(base: str, before: _Before) -> None:
    """Restore the earlier installation, also when Windows refuses a step of it."""
    with contextlib.suppress(EngineError):
        stop()
    for name, identity in (("previous", before.previous), ("current", before.current)):
        with contextlib.suppress(EngineError):
            if identity is None:
                remove_file(os.path.join(base, name))
            elif read_name(base, name) != identity:
                _write_name(base, name, identity)
    with contextlib.suppress(EngineError):
        if before.image is None:
            with _told("delete"):
                windows_services.delete(SERVICE)
            return
        _set_image(before.image)
    with contextlib.suppress(EngineError):
        start()
        if before.current is not None:
            _await_ready(base, before.current)


def _set_image(image: str) -> None:
    with _told("change"):
        windows_services.change(SERVICE, image)


def _write_name(base: str, name: str, identity: str) -> None:
    write_bytes(os.path.join(base, name), identity.encode("ascii"), durable=True)


@contextlib.contextmanager
def _told(operation: str) -> Any:
    """:raises ServiceCallFailed: for every refusal of Windows."""
    try:
        yield
    except OSError as error:
        number = getattr(error, "winerror", None) or error.errno
        reason = "%s (%s)" % ((error.strerror or str(error)).rstrip("."), number)
        raise ServiceCallFailed(operation=operation, service=SERVICE, reason=reason) from error
