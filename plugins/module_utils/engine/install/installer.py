# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs, updates and removes the agent on a device: the program inside ``installer.pyz`` and inside every bundle.

Standard library only. Its syntax, and that of all it imports, is that of Python 3.6, so that it can say what is too old.
"""

import argparse
import compileall
import json
import os
import py_compile
import subprocess
import sys
import zipfile
from typing import Any, BinaryIO, Dict, List, Optional, Tuple

from ..errors import (
    BundleInvalid,
    EngineError,
    InstallationBroken,
    InstallationLibraryTooOld,
    InstallationPlatformDiffers,
    InstallationPythonUnfit,
)
from . import home as homes
from . import probe
from .bundle_document import ENGINE_PART, MAX_DOCUMENT_BYTES, Document, Part, numbers, read_document
from .home import Home
from .unpacking import OpenPart, Unpacker, store_part

_TRIAL_SECONDS = 300  # a busy old processor needs a minute for the libraries; nothing waits for long if they load
_MAX_COMPLAINT_CHARACTERS = 400
_OLDEST_PYTHON = (3, 8)
_AGENT = '''\
# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One installation of the agent."""

import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here, os.path.join(here, "site")]

from engine.agent.main import main

raise SystemExit(main(sys.argv[1:], %r, os.path.dirname(os.path.dirname(here))))
'''
# That the engine's packages load is what a C library or a processor that is too old breaks.
_LOAD_LIBRARIES = """
import sys
sys.path[:0] = sys.argv[1:]
from engine._libraries import load_all
from engine.errors import EngineError
try:
    load_all()
except EngineError as error:
    raise SystemExit("%s (%s)" % (str(error).rstrip("."), error.code))
"""


def install(document: Document, open_part: OpenPart, base: str) -> Dict[str, Any]:
    """Make the bundle's installation the current one.

    :raises EngineError: A2xx; what was current stays so, and nothing new is left.
    """
    check_platform(document)
    with homes.told(base):
        homes.make_base(base)
        with homes.locked(base) as home:
            try:
                home.prepare()
                identity = document.identity
                known = os.path.isdir(home.version(identity)) and complaint(home.version(identity), document) is None
                if not known:
                    _make_version(home, document, open_part)
                changed = not known or probe.read_name(base, "current") != identity
                replaced = home.activate(identity)
                home.prune()
            except BaseException:
                _clean_up(home)
                raise
    return {"ok": True, "changed": changed, "installed": identity, "replaced": replaced}


def _clean_up(home: Home) -> None:
    """Leave the earlier state: the installations that are in use, or nothing at all if there was none."""
    home.sweep()
    if probe.read_name(home.base, "current") is None and not os.path.lexists(os.path.join(home.base, "spool")):
        home.demolish()
    else:
        home.prune()


def _make_version(home: Home, document: Document, open_part: OpenPart) -> None:
    for part in document.parts:
        store_part(home.parts, part, open_part)
    homes.sync(home.parts)
    folder = home.unfinished()
    site = os.path.join(folder, "site")
    os.makedirs(site, mode=0o700)
    unpacker = Unpacker()
    for part in document.parts:
        unpacker.unpack(os.path.join(home.parts, part.sha256), part, folder if part.name == ENGINE_PART else site)
    with open(os.path.join(folder, "agent.py"), "x", encoding="ascii") as file:
        file.write(_AGENT % document.identity)
    with open(os.path.join(folder, "bundle.json"), "xb") as raw:
        raw.write(document.raw)
    _compile(folder, home.version(document.identity))
    reason = complaint(folder, document)
    if reason is not None:
        raise InstallationBroken(installation=document.identity, reason=reason)
    home.publish(folder, document.identity)


def _compile(folder: str, final: str) -> None:
    """Compile for the place where it will be. Not compared with the source later: clocks of such devices jump.

    Files that do not compile are left: packages carry files for other versions of Python, and the trial follows.
    """
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(folder, ddir=final, quiet=2, force=True, invalidation_mode=mode)


def complaint(folder: str, document: Document) -> Optional[str]:
    """Try the installation in ``folder`` with this Python; return what is wrong, None when it works."""
    reason, dummy_answer = _run([sys.executable, "-I", "-c", _LOAD_LIBRARIES, folder, os.path.join(folder, "site")])
    if reason is not None:
        return reason
    reason, answer = _run([sys.executable, "-I", os.path.join(folder, "agent.py"), "version"])
    if reason is not None:
        return reason
    try:
        told = json.loads(answer)
    except ValueError:
        told = None
    if isinstance(told, dict) and told.get("ok") is True and told.get("id") == document.identity:
        return None
    return "it reports the version %r" % answer[:_MAX_COMPLAINT_CHARACTERS]


def _run(command: List[str]) -> Tuple[Optional[str], str]:
    """Return why the command failed, or None and what it printed."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # pylint: disable=ansible-bad-function
    try:
        output, complaints = process.communicate(timeout=_TRIAL_SECONDS)
    except subprocess.TimeoutExpired:
        return "it did not respond within %d seconds" % _TRIAL_SECONDS, ""
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    if process.returncode:
        words = " ".join((complaints + output).decode("utf-8", "replace").split())
        return "%s (exit status %d)" % (words[-_MAX_COMPLAINT_CHARACTERS:], process.returncode), ""
    return None, output.decode("utf-8", "replace").strip()


def check_platform(document: Document) -> None:
    """:raises InstallationError: when this Python, machine or C library is not what the bundle is for."""
    found = "%s %d.%d.%d" % ((sys.implementation.name.replace("cpython", "CPython"),) + sys.version_info[:3])
    if sys.implementation.name != "cpython" or sys.version_info < _OLDEST_PYTHON:
        raise InstallationPythonUnfit(interpreter=sys.executable, found=found, needed="%d.%d" % _OLDEST_PYTHON)
    platform = probe.platform_name()
    if platform != document.platform:
        raise InstallationPlatformDiffers(wanted=document.platform, found=platform)
    library, version = probe.c_library()
    if not version or numbers(version) < numbers(document.libc):
        raise InstallationLibraryTooOld(library=library, found=version or "of no known version", needed=document.libc)
    if list(sys.version_info[:3]) < numbers(document.python):
        raise InstallationPythonUnfit(interpreter=sys.executable, found=found, needed=document.python)


def remove(base: str) -> Dict[str, Any]:
    """Remove the agent with all its installations and its spool.

    :raises EngineError: A2xx; while a run lives nothing is removed.
    """
    if not os.path.lexists(base):
        return {"ok": True, "changed": False}
    with homes.told(base):
        homes.check(base)
        with homes.locked(base) as home, home.no_run():
            home.demolish()
    return {"ok": True, "changed": True}


# -- the command line -------------------------------------------------------------------------------------------------


def main(arguments: List[str], archive: str) -> int:
    """Run a verb; ``archive`` is the zip that this runs from. Return the exit status."""
    carried = zipfile.ZipFile(archive)
    by_hand = "bundle.json" in carried.namelist()
    options = _parser(os.path.basename(archive), by_hand).parse_args(arguments)
    base = probe.resolved(options.base)
    os.umask(0o022)
    os.nice(19)
    try:
        if options.verb == "install":
            document, open_part = _carried(carried, archive) if by_hand else _sent(options.bundle, options.parts)
            answer = install(document, open_part, base)
        elif options.verb == "remove":
            answer = remove(base)
        else:
            answer, by_hand = probe.probe(base), False
    except EngineError as error:
        if by_hand:
            sys.stderr.write("%(message)s %(hint)s (%(code)s)\n" % error.as_dict())
        else:
            sys.stdout.write(json.dumps(dict(error.as_dict(), ok=False)) + "\n")
        return 1
    sys.stdout.write((_words(answer, base) if by_hand else json.dumps(answer)) + "\n")
    return 0


def _parser(program: str, by_hand: bool) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program, description="The imaging agent of this device.")
    verbs = parser.add_subparsers(dest="verb", metavar="install|remove|probe")
    verbs.required = True
    about = {
        "install": "install or update the agent",
        "remove": "remove the agent and all of its files",
        "probe": "show the platform and the installed agent as JSON",
    }
    for name in sorted(about):
        verb = verbs.add_parser(name, help=about[name])
        verb.add_argument("--base", default=probe.default_base(), help="the directory of the agent (%(default)s)")
        if name == "install" and not by_hand:
            verb.add_argument("--bundle", required=True, help="bundle.json")
            verb.add_argument("--parts", required=True, help="a folder with parts, each named by its SHA-256")
    return parser


def _sent(bundle: str, folder: str) -> Tuple[Document, OpenPart]:
    def open_part(part: Part) -> Optional[BinaryIO]:
        path = os.path.join(folder, part.sha256)
        return open(path, "rb") if os.path.isfile(path) else None

    try:
        with open(bundle, "rb") as file:
            return read_document(file.read(MAX_DOCUMENT_BYTES + 1), bundle), open_part
    except OSError as error:
        raise BundleInvalid(path=bundle, reason=error.strerror) from None


def _carried(archive: zipfile.ZipFile, path: str) -> Tuple[Document, OpenPart]:
    def open_part(part: Part) -> Optional[BinaryIO]:
        try:
            return archive.open("parts/" + part.sha256)  # type: ignore[return-value]  # what it yields is read only
        except KeyError:
            return None

    with archive.open("bundle.json") as file:
        return read_document(file.read(MAX_DOCUMENT_BYTES + 1), path), open_part


def _words(answer: Dict[str, Any], base: str) -> str:
    if "installed" not in answer:
        return "Removed %s." % base if answer["changed"] else "There is no agent in %s." % base
    if not answer["changed"]:
        return "The agent %s is already installed in %s." % (answer["installed"], base)
    return "Installed the agent %s in %s." % (answer["installed"], base)
