# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's command line: one request on standard input, one JSON event a line on standard output.

Secrets come with the request, never as an argument or in the environment. Exit status: 0 done, 1 a failure of the
catalogue, 2 wrong use, 130 cancelled.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import traceback
from typing import Any, Dict, List

from ..errors import EngineError, RunCancelled, uncaught
from ..host.memory import share_one_arena
from ..host.priority import lower_priority
from ..tame import several_lines
from ..verbs.dispatch import run_request, to_line
from ..verbs.request import ImageRequest, RestoreRequest, parse
from .redaction import Redactor
from .shortening import shorten_names

# A device controls a plant; the host that works on a storage does not.
_ON_A_DEVICE = (ImageRequest, RestoreRequest)
_MAX_CHARACTERS = 1 << 20
_USAGE = "usage: python -m engine.agent.command < request.json (one request as JSON; see docs/architecture.md)\n"


def main(arguments: List[str]) -> int:
    """Run the request on standard input; return the exit status."""
    if arguments:
        sys.stderr.write(_USAGE)
        return 2
    lock = threading.Lock()
    cancel = threading.Event()
    redact = Redactor()

    def emit(event: Dict[str, Any]) -> None:
        with lock:
            try:
                sys.stdout.write(to_line(redact.event(event)) + "\n")
                sys.stdout.flush()
            except BrokenPipeError:
                cancel.set()  # the caller no longer follows this run, which was to end with it

    try:
        document = json.loads(sys.stdin.read(_MAX_CHARACTERS))
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        sys.stderr.write(_USAGE)
        return 2
    redact.learn_of(document)
    signal.signal(signal.SIGTERM, lambda number, frame: cancel.set())
    signal.signal(signal.SIGINT, lambda number, frame: cancel.set())
    try:
        request = parse(document)
        if isinstance(request, _ON_A_DEVICE):
            lower_priority()
        share_one_arena()
        emit(dict(shorten_names(run_request(request, emit, cancel.is_set)), event="result"))
    except RunCancelled as error:
        emit(dict(error.as_dict(), event="error"))
        return 130
    except EngineError as error:
        emit(dict(error.as_dict(), event="error"))
        return 1
    except Exception as error:  # a defect of the engine: reported under its code, with the place on stderr
        sys.stderr.write(several_lines(redact(traceback.format_exc())))
        emit(dict(uncaught(error).as_dict(), event="error"))
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
