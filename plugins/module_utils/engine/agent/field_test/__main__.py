# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ten minutes with a real Windows: ``python -m engine.agent.field_test``, and ``--read REPORT`` for what came back."""

from __future__ import annotations

import argparse
import os
import sys
from typing import List, Optional

from ...errors import EngineError, FieldTestImpossible
from . import conduct, verdict
from .catalogue import BY_NAME, CHECKS
from .report import read_report

_REPORT = "plantops-field-test.json"


def main(arguments: List[str]) -> int:
    """Conduct the test or read a report; the status is 0 when nothing contradicts the code."""
    options = _parser().parse_args(arguments)
    try:
        if options.ask:
            conduct.ask(BY_NAME[options.ask[0]], options.ask[1])
            return 0
        if options.read:
            return _read(options.read)
        return _conduct(options.to, options.without_shadow_copies, options.only)
    except EngineError as error:
        sys.stderr.write("%(message)s %(hint)s (%(code)s)\n" % error.as_dict())
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="field-test", allow_abbrev=False, description=__doc__)
    parser.add_argument("--to", metavar="FILE", default=_REPORT, help="the report, %s unless given" % _REPORT)
    parser.add_argument("--without-shadow-copies", action="store_true", help="make no shadow copy of the system volume")
    parser.add_argument("--only", metavar="CHECK", action="append", choices=sorted(BY_NAME), help="ask this alone")
    parser.add_argument("--read", metavar="REPORT", help="compare a report with what the code relies on")
    parser.add_argument("--ask", nargs=2, metavar=("CHECK", "FILE"), help=argparse.SUPPRESS)
    return parser


def _conduct(path: str, without_shadow_copies: bool, only: Optional[List[str]]) -> int:
    if sys.platform != "win32":
        raise FieldTestImpossible(reason="this system is %s" % sys.platform)
    about = conduct.machine()
    if not about["administrator"]:
        _say("Without the rights of an administrator, the checks that need them are skipped.")
    conduct.conduct(CHECKS, path, about=about, makes_shadow_copies=not without_shadow_copies, only=only, say=_say)
    _say("The report is %s. It names no user, no file and no serial number." % os.path.abspath(path))
    return 0


def _read(path: str) -> int:
    report = read_report(path)
    for line in verdict.words(CHECKS, report):
        _say(line)
    return 0 if verdict.is_good(CHECKS, report) else 1


def _say(line: str) -> None:
    """Print a line; the code page of a console may lack a letter of the user's name."""
    encoding = sys.stdout.encoding or "ascii"
    sys.stdout.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
