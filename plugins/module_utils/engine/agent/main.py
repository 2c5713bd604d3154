# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's command line on a device: ``<verb> ...`` in, one line of JSON out; docs/agent.md has the contract.

Exit status: 0 ok, 1 a failure of the catalogue, 2 wrong use.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import traceback
from typing import Any, Callable, Dict, List

from ..errors import EngineError, uncaught
from ..install.owned_files import read_document
from ..tame import several_lines, tame
from . import after_command, run_verbs
from . import start_verb as starting
from .protocol import PROGRAM, PROTOCOL
from .runner import WAIT_FOR_SECRETS_SECONDS
from .spool import Spool


def main(arguments: List[str], installation: str, base: str) -> int:
    """Run one verb and print its answer; ``installation`` is "" outside an installation."""
    os.umask(0o077)
    options = _parser().parse_args(arguments)
    try:
        spool = Spool(base)
        if options.recovers:
            after_command.recover(spool)  # its watcher may have been killed, or the device restarted
        answer = dict(tame(options.work(options, spool, installation)), ok=True)
    except EngineError as error:
        answer = dict(error.as_dict(), ok=False)
    except Exception as error:  # a defect of the engine: reported under its code, with the place on stderr
        sys.stderr.write(several_lines(traceback.format_exc()))
        answer = dict(uncaught(error).as_dict(), ok=False)
    sys.stdout.write(json.dumps(answer, sort_keys=True) + "\n")
    sys.stdout.flush()
    return 0 if answer["ok"] else 1


def _version(dummy_options: argparse.Namespace, dummy_spool: Spool, installation: str) -> Dict[str, Any]:
    bundle: Dict[str, Any] = {}
    if installation:
        # Beside the engine, wherever that is: an installation in the making is asked before it has its place.
        folder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        bundle = read_document(os.path.join(folder, "bundle.json")) or {}
    return {
        "version": bundle.get("version"),
        "id": installation or None,
        "protocol": PROTOCOL,
        "python": platform.python_version(),
        "platform": bundle.get("platform"),
    }


def _info(dummy_options: argparse.Namespace, dummy_spool: Spool, dummy_installation: str) -> Dict[str, Any]:
    from ..device.discovery import discover
    from ..device.document.discovered import document_of_discovery

    information = discover()
    return {"information": information, "document": document_of_discovery(information)}


def _start(options: argparse.Namespace, spool: Spool, installation: str) -> Dict[str, Any]:
    return starting.start(
        spool, options.run, options.request, installation, options.wait_for_secrets, options.after or ""
    )


def _register_after(options: argparse.Namespace, spool: Spool, dummy_installation: str) -> Dict[str, Any]:
    return after_command.register(spool, options.id, starting.read_given_document(options.order))


_Work = Callable[[argparse.Namespace, Spool, str], Dict[str, Any]]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, allow_abbrev=False)
    verbs = parser.add_subparsers(metavar="verb", required=True)

    def verb(name: str, words: str, work: _Work, *positional: str) -> argparse.ArgumentParser:
        one = verbs.add_parser(name, help=words, allow_abbrev=False)
        one.set_defaults(work=work, recovers=name not in ("version", "info"))
        for argument in positional:
            one.add_argument(argument)
        return one

    verb("version", "show the version of the agent", _version)
    verb("info", "show what this device is", _info)
    one = verb("start", "start a run, or find a started one", _start, "run", "request")
    one.add_argument("--wait-for-secrets", type=int, default=WAIT_FOR_SECRETS_SECONDS, metavar="SECONDS")
    one.add_argument("--after", metavar="ID")
    verb("after-register", "register a command to run after a run", _register_after, "id", "order")
    one = verb(
        "after-run",
        "run a registered command now, unless its run is in progress",
        lambda o, spool, dummy: after_command.carry_out(spool, o.id, o.wait),
        "id",
    )
    one.add_argument("--wait", type=float, default=after_command.TIME_LIMIT_SECONDS, metavar="SECONDS")
    verb(
        "deliver",
        "deliver sealed secrets to a run",
        lambda o, spool, dummy: starting.deliver(spool, o.run, o.sealed),
        "run",
        "sealed",
    )
    one = verb(
        "status",
        "show the status of a run",
        lambda o, spool, dummy: run_verbs.status(spool, o.run, o.after, o.wait, o.known_warnings),
        "run",
    )
    one.add_argument("--after", type=int, default=-1, metavar="NUMBER")
    one.add_argument("--wait", type=float, default=0.0, metavar="SECONDS")
    one.add_argument("--known-warnings", type=int, metavar="NUMBER")
    verb("cancel", "cancel a run", lambda o, spool, dummy: run_verbs.cancel(spool, o.run), "run")
    verb("runs", "list the known runs", lambda dummy_options, spool, dummy: run_verbs.runs(spool))
    verb("tidy", "remove stale snapshots of killed runs", lambda dummy_options, dummy_spool, dummy: run_verbs.tidy())
    verb("forget", "delete the files of an ended run", lambda o, spool, dummy: run_verbs.forget(spool, o.run), "run")
    return parser


def _main_without_installation(arguments: List[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m engine.agent.main", add_help=False)
    parser.add_argument("--base", required=True)
    options, rest = parser.parse_known_args(arguments)
    return main(rest, "", options.base)


if __name__ == "__main__":
    raise SystemExit(_main_without_installation(sys.argv[1:]))
