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
from typing import Any, Dict, Optional

from ..errors import (
    EngineError,
    InstallationBroken,
    ServiceCallFailed,
    ServiceNotStarted,
)
from ..host import windows_services
from ..host.process import process_start
from .owned_files import read_document, remove_file, write_bytes
from .windows_layout import DESCRIPTION, DISPLAY, SERVICE, image_of, module, python_of, read_name

_TRIAL_SECONDS = 120
_WAIT_SECONDS = 90.0
_END_SECONDS = 15.0
_STEP_SECONDS = 0.2
_MOST_CHARACTERS = 400


def switch(base: str, identity: str) -> Dict[str, Any]:
    """Try the installation as a second process, then let the service run it.

    :raises InstallationBroken: nothing was changed then. :raises ServiceNotStarted: the one before runs again then.
    :raises ServiceCallFailed:
    """
    try_out(base, identity)
    before, replaced, earlier = query(), read_name(base, "current"), read_name(base, "previous")
    try:
        if before is None:
            with _told("create"):
                windows_services.create(SERVICE, DISPLAY, DESCRIPTION, image_of(base, identity))
        else:
            stop()
            _set_image(image_of(base, identity))
        _start(base, identity)
        if replaced is not None and replaced != identity:
            _write_name(base, "previous", replaced)
        _write_name(base, "current", identity)
    except BaseException:  # an order to end as well: the service must not be left stopped, or half changed
        _go_back(base, before, replaced, earlier)
        raise
    return {"ok": True, "changed": True, "installed": identity, "replaced": replaced}


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
    """Stop and delete the service, if there is one. :raises ServiceCallFailed:"""
    if query() is None:
        return
    stop()
    with _told("delete"):
        windows_services.delete(SERVICE)


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
    with _told("start"):
        windows_services.start(SERVICE)
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
    state = read_document(os.path.join(base, "service", "state.json")) or {}
    if (state.get("state"), state.get("installation")) != ("running", identity):
        return False
    return process_start(int(state.get("pid") or 0)) == state.get("process_start")


def _go_back(
    base: str, before: Optional[windows_services.Service], replaced: Optional[str], earlier: Optional[str]
) -> None:
    """Restore the earlier installation, also when Windows refuses a step of it."""
    with contextlib.suppress(EngineError):
        stop()
    for name, identity in (("previous", earlier), ("current", replaced)):
        with contextlib.suppress(EngineError):
            if identity is None:
                remove_file(os.path.join(base, name))
            elif read_name(base, name) != identity:
                _write_name(base, name, identity)
    with contextlib.suppress(EngineError):
        if before is None:
            with _told("delete"):
                windows_services.delete(SERVICE)
            return
        _set_image(before.image)
    with contextlib.suppress(EngineError):
        with _told("start"):
            windows_services.start(SERVICE)
        if replaced is not None:
            _await_ready(base, replaced)


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
