# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the engine's command line as a process of this machine and follows its events.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from typing import Any, Callable, Dict, List, Optional

from ansible.module_utils.common.text.converters import to_bytes, to_text
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import AgentAnswerInvalid, EngineDied

from .answers import answer_of, error_of, parse, said

_STOP_SECONDS = 60.0
_MAX_LINE_BYTES = 8 << 20
_KEPT_ENVIRONMENT = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH"),
    *("KRB5CCNAME", "KRB5_CONFIG", "KRB5_CLIENT_KTNAME", "KRB5_KTNAME", "SSL_CERT_FILE"),
)


class EngineProcess:
    """One run of the engine. Secrets reach it on standard input; neither arguments nor environment hold any."""

    def __init__(
        self,
        request: Dict[str, Any],
        secrets: List[str],
        prefix: Optional[List[str]] = None,
        python: Optional[str] = None,
        environment: Optional[Dict[str, str]] = None,
    ) -> None:
        self._request = request
        self._secrets = secrets
        self._prefix = prefix or []
        self._python = python or sys.executable
        self._environment = environment or {}

    def run(self, on_event: Callable[[Dict[str, Any]], None]) -> Dict[str, Any]:
        """Run to the end and return the closing event (``result`` or ``error``).

        An exception of ``on_event`` and an interrupt of the play stop the process: the engine then cancels the work.

        :raises ValueError: for a line that is not an event.
        """
        with tempfile.TemporaryFile() as complaints:
            process = subprocess.Popen(
                [*self._prefix, self._python, "-m", "engine.agent.command"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                env=dict(self._environment, **_environment()),
                start_new_session=True,  # an interrupt at the terminal reaches the play, which then stops the run
            )
            try:
                last = self._follow(process, on_event)
                process.wait()
            finally:
                _stop(process)
            if last is not None:
                return last
            complaints.seek(0)
            text = to_text(complaints.read(64 << 10), errors="replace")
            return died(process.returncode, text, self._secrets)

    def _follow(
        self, process: subprocess.Popen[bytes], on_event: Callable[[Dict[str, Any]], None]
    ) -> Optional[Dict[str, Any]]:
        if process.stdin is None or process.stdout is None:
            raise AssertionError("the process has no pipes")
        try:
            process.stdin.write(to_bytes(json.dumps(self._request)))
            process.stdin.close()
        except BrokenPipeError:
            return None
        last = None
        while True:
            line = process.stdout.readline(_MAX_LINE_BYTES)
            if not line:
                return last
            event = parse(to_text(line, errors="replace"))
            if event.get("event") in ("result", "error"):
                last = event
            else:
                on_event(event)


def died(status: int, complaints: str, secrets: List[str]) -> Dict[str, Any]:
    """Return the closing event of an engine that ended without one."""
    for secret in secrets:
        complaints = complaints.replace(secret, "********")
    tail = said(complaints)
    how = "signal %d" % -status if status < 0 else "exit status %d" % status
    return dict(EngineDied(how=how + (": " + tail if tail else "")).as_dict(), event="error")


def ask_engine(prefix: List[str], verb: str) -> Dict[str, Any]:
    """Ask what an agent would be asked by a verb that needs no request, and return its answer."""
    command = [*prefix, sys.executable, "-m", "engine.agent.main", "--base", os.devnull, verb]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, env=_environment(), check=False)
    output, complaints = to_text(done.stdout, errors="replace"), to_text(done.stderr, errors="replace")
    try:
        answer = parse((output.splitlines() or [""])[-1])
        return dict(error_of(answer), ok=False) if answer.get("ok") is False else dict(answer_of(verb, answer), ok=True)
    except ValueError:
        words = said(output, complaints) or "nothing"
    raise AgentAnswerInvalid(device="this machine", command=verb, status=done.returncode, words=words)


def _environment() -> Dict[str, str]:
    from ansible_collections.plantops.imaging.plugins import module_utils

    environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(module_utils.__path__)
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    return environment


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the process. A process of sudo accepts no signal from an ordinary user, but cancels when its output is
    closed."""
    if process.poll() is not None:
        return
    if process.stdout is not None:
        process.stdout.close()
    for signal_it in (process.terminate, process.kill):
        with contextlib.suppress(PermissionError):
            signal_it()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
            return
