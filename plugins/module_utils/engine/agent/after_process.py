# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one command of a site on a device: without a shell, with a time limit, its output bounded."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from typing import IO, Any, Callable, Dict, List

from ..host.commands import ProcessTree, start_command
from ..tame import several_lines

MAX_OUTPUT_BYTES = 16 << 10
_LAST_WORDS_SECONDS = 1.0


class _Tail(threading.Thread):
    """Reads to the end, and keeps the last bytes. It never stops reading: a full pipe would stop the command."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(name="output", daemon=True)
        self._stream = stream
        self._kept = b""

    def run(self) -> None:
        while True:
            data = os.read(self._stream.fileno(), MAX_OUTPUT_BYTES)
            if not data:
                return
            self._kept = (self._kept + data)[-MAX_OUTPUT_BYTES:]

    def text(self) -> str:
        return several_lines(self._kept.decode("utf-8", "replace").strip())


def run_command(words: List[str], limit_seconds: float, told: Callable[[Dict[str, Any]], None]) -> None:
    """Run the command and call ``told`` with its outcome: exit status, whether it was stopped, seconds, output.

    A program that the command leaves running may still hold its output; this reads on until it ends, since a program whose
    output is not read would be killed by its next line.
    """
    began = time.monotonic()
    try:
        started = start_command(words)
    except (OSError, ValueError) as error:
        told(_outcome(None, False, began, str(error)))
        return
    with started as tree:
        _follow(tree, limit_seconds, began, told)


def _follow(tree: ProcessTree, limit_seconds: float, began: float, told: Callable[[Dict[str, Any]], None]) -> None:
    process = tree.process
    if process.stdout is None:
        raise AssertionError("the process has no output")
    tail = _Tail(process.stdout)
    tail.start()
    is_late = False
    try:
        status = process.wait(limit_seconds)
    except subprocess.TimeoutExpired:
        is_late = True
        tree.end()
        status = process.wait()
    tail.join(_LAST_WORDS_SECONDS)
    told(_outcome(None if is_late else status, is_late, began, tail.text()))
    tail.join()


def _outcome(status: Any, is_late: bool, began: float, output: str) -> Dict[str, Any]:
    seconds = round(time.monotonic() - began, 1)
    return {"exit_status": status, "timed_out": is_late, "seconds": seconds, "output": output}
