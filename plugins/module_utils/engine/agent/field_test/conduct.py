# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conducts the field test: each check in a separate process, with its time limit, and the report written after each.

A check that hangs, crashes or takes Windows down with it costs its own answer alone: the report names the check that was in progress.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from typing import Any, Callable, Dict, List, Optional, Sequence

from ...errors import FieldTestImpossible
from ...host import windows_calls
from ...moments import moment
from .check import Check
from .guard import forbid_writes
from .leftovers import remove_folder

FORMAT = 1
KIND = "plantops-imaging field test"
MOST_TEXT = 400
_MOST_ANSWER_BYTES = 64 << 10
_AFTER_KILL_SECONDS = 10.0
_NAMES = ("TEMP", "TMP", "USERPROFILE", "USERNAME", "COMPUTERNAME", "USERDOMAIN")  # the longest first
_LEAST_NAME = 4  # a shorter one is also a part of other words
Document = Dict[str, Any]
Start = Callable[[str, str], List[str]]


def machine() -> Document:
    """The facts that the answers depend on. They identify neither the machine nor a user."""
    return {
        "windows": list(windows_calls.version()),
        "processor": os.environ.get("PROCESSOR_ARCHITEW6432", "") or os.environ.get("PROCESSOR_ARCHITECTURE", ""),
        "python": platform.python_version(),
        "python_bits": 8 * ctypes.sizeof(ctypes.c_void_p),
        "administrator": windows_calls.is_administrator(),
        "wine": windows_calls.is_wine(),
    }


def start_check(name: str, answer_path: str) -> List[str]:
    """The command of the process that asks one question."""
    package = __name__.rpartition(".")[0]
    return [sys.executable, "-I", "-B", "-m", package, "--ask", name, answer_path]


def ask(check: Check, answer_path: str) -> None:
    """Ask one question and write the answer: the work of the process of a check."""
    forbid_writes()
    try:
        found: Document = {"state": "answered", "answer": check.ask()}
    except Exception as error:  # each kind of failure is an answer
        found = {"state": "failed", "error": _described(error)}
    with open(answer_path, "w", encoding="ascii") as file:
        json.dump(without_names(found), file)


def without_names(value: Any) -> Any:
    """The value with the names of this machine, of its user and of their folders masked."""
    if isinstance(value, dict):
        return {key: without_names(child) for key, child in value.items()}
    if isinstance(value, list):
        return [without_names(child) for child in value]
    if not isinstance(value, str):
        return value
    for variable in _NAMES:
        name = os.environ.get(variable, "")
        if len(name) >= _LEAST_NAME:
            value = re.sub(re.escape(name), "%%%s%%" % variable, value, flags=re.IGNORECASE)
    return value


def _described(error: BaseException) -> Document:
    number = getattr(error, "winerror", None) or getattr(error, "code", None) or getattr(error, "errno", None)
    return {
        "kind": type(error).__name__,
        "number": number if isinstance(number, int) else None,
        "text": str(error)[:MOST_TEXT],
    }


def conduct(
    checks: Sequence[Check],
    report_path: str,
    *,
    about: Document,
    makes_shadow_copies: bool = True,
    only: Optional[Sequence[str]] = None,
    start: Start = start_check,
    say: Callable[[str], None] = lambda dummy: None,
) -> Document:
    """Ask all questions, write the report, and return it.

    :raises FieldTestImpossible: when the report can't be written.
    """
    report: Document = {"format": FORMAT, "kind": KIND, "started": moment(), "machine": about, "checks": {}}
    folder = tempfile.mkdtemp(prefix="plantops-field-test-")
    try:
        for number, check in enumerate(checks, 1):
            say("%2d of %d  %s" % (number, len(checks), check.name))
            report["checks"][check.name] = {"state": "in_progress"}
            write(report, report_path)
            reason = _why_not(check, bool(about.get("administrator")), makes_shadow_copies)
            if only and check.name not in only:
                reason = "not_selected"
            if reason:
                report["checks"][check.name] = {"state": "not_asked", "reason": reason}
            else:
                report["checks"][check.name] = _in_a_process(check, os.path.join(folder, check.name), start)
            say("          %s" % _outcome(report["checks"][check.name]))
        report["ended"] = moment()
        write(report, report_path)
    finally:
        remove_folder(folder)
    return report


def _why_not(check: Check, is_administrator: bool, makes_shadow_copies: bool) -> str:
    if check.needs_administrator and not is_administrator:
        return "administrator"
    return "shadow_copies" if check.makes_shadow_copy and not makes_shadow_copies else ""


def _in_a_process(check: Check, answer_path: str, start: Start) -> Document:
    began = time.monotonic()
    process = subprocess.Popen(  # pylint: disable=ansible-bad-function
        start(check.name, answer_path), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        status = process.wait(check.seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        _wait_for_kill(process)
        return {"state": "too_late", "seconds": round(time.monotonic() - began, 1)}
    return dict(_answer(answer_path, status), seconds=round(time.monotonic() - began, 1))


def _wait_for_kill(process: subprocess.Popen[bytes]) -> None:
    """A process that hangs in a driver can't be ended: the test continues without it."""
    try:
        process.wait(_AFTER_KILL_SECONDS)
    except subprocess.TimeoutExpired:
        return


def _answer(path: str, status: int) -> Document:
    """The answer that the process wrote. One that crashed wrote nothing: then its status says how it ended."""
    try:
        with open(path, encoding="ascii") as file:
            found = json.loads(file.read(_MOST_ANSWER_BYTES))
    except (OSError, ValueError):
        return {"state": "ended", "status": status}
    return dict(found) if isinstance(found, dict) else {"state": "ended", "status": status}


def _outcome(found: Document) -> str:
    if found["state"] == "not_asked":
        return {"administrator": "needs an administrator"}.get(found["reason"], "not wanted")
    return str(found["state"]).replace("_", " ")


def write(report: Document, path: str) -> None:
    """Replace the report by a rename, so that an older state of it stays readable. :raises FieldTestImpossible:"""
    try:
        with open(path + ".new", "w", encoding="ascii", newline="\n") as file:
            json.dump(report, file, indent=1, sort_keys=True)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + ".new", path)
    except OSError as error:
        raise FieldTestImpossible(reason="writing %s failed: %s" % (path, error.strerror or error)) from error
