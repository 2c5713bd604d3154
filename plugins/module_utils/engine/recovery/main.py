# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recovery program: from the command line to an exit status.

Exit status: 0 all was done, 1 refused or failed, 2 wrong use, 130 and 143 interrupted (SIGINT, SIGTERM).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from types import FrameType
from typing import Any, Dict, List, Optional

from ..agent.redaction import Redactor
from ..errors import EngineError, RecoveryCommandLater, RecoveryInterrupted, uncaught
from ..host.memory import share_one_arena
from ..tame import several_lines
from .arguments import LATER, parser
from .commands import Command
from .progress import Shown
from .words import told

_STATES = {
    "restore": "a target that was written to is incomplete and does not boot",
    "copy": "the target contains a part of the copy, which the next copy reuses",
}
_NOTHING = "the program made no changes"


class _Stopped(KeyboardInterrupt):
    """A signal came."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def _stop(number: int, dummy_frame: Optional[FrameType]) -> None:
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, _leave)  # a second one does not wait for what is being ended
    raise _Stopped(number)


def _leave(number: int, dummy_frame: Optional[FrameType]) -> None:
    os._exit(128 + number)


def main(arguments: List[str], program: Optional[str] = None) -> int:
    """Run one command; return the exit status.

    :param program: the file that this runs from, where it is the program in one file: a copy takes it along.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal in the C locale
    if arguments and arguments[0] in LATER:
        _refuse("--json" in arguments, RecoveryCommandLater(command=arguments[0]), Redactor())
        return 1
    options = parser().parse_args(arguments)
    shown = Shown(options.json)
    redact = Redactor()

    def report(event: Dict[str, Any]) -> None:
        redact.learn(command.secrets)
        shown(redact.event(event))

    command = Command(options, program, report)
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, _stop)
    share_one_arena()
    try:
        result = command.run()
        shown.end_bar()
        _tell(options.json, result)
        sys.stdout.flush()
        return 0 if result["ok"] else 1
    except _Stopped as stop:
        shown.end_bar()
        state = _STATES.get(options.command, _NOTHING) if command.may_have_written else _NOTHING
        _refuse(options.json, RecoveryInterrupted(command=options.command, state=state), redact)
        return 128 + stop.number
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what else is written at the end has no reader either
        return 1
    except EngineError as error:
        shown.end_bar()
        redact.learn(command.secrets)
        _refuse(options.json, error, redact)
        return 1
    except Exception as error:  # a defect of this program: reported with its code and its place
        shown.end_bar()
        redact.learn(command.secrets)
        sys.stderr.write(several_lines(redact(traceback.format_exc())))
        _refuse(options.json, uncaught(error), redact)
        return 1


def _tell(as_json: bool, result: Dict[str, Any]) -> None:
    if as_json:
        sys.stdout.write(json.dumps(result, sort_keys=True) + "\n")


def _refuse(as_json: bool, error: EngineError, redact: Redactor) -> None:
    """Tell what went wrong: a sentence and what to do, or a document."""
    words = redact.event(told(error))
    if as_json:
        sys.stdout.write(json.dumps({"ok": False, "error": words}, sort_keys=True) + "\n")
        sys.stdout.flush()
        return
    sys.stderr.write("%s %s (%s)\n" % (words["message"], words["hint"], words["code"]))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
