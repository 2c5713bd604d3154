# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program behind ``install.cmd`` of a bundle: looks at the bundle and the device, lets the installer work, and says what happened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, Dict, List, Optional

from ..errors import EngineError, InstallationBroken, RemovalInterrupted
from ..install.windows.check import check_files
from ..install.windows.document import WindowsDocument
from ..install.windows.preflight import check_device

_NAME = "plantops-imaging"
_INSTALLER = "engine.agent.windows_install"
_MAX_WORDS_CHARACTERS = 600


def main(arguments: List[str]) -> int:
    """Run install, update, remove or check for the bundle that this program is part of."""
    verb = arguments[0].lower() if arguments else "install"
    bundle = os.path.dirname(os.path.dirname(os.path.abspath(sys.executable)))
    base = os.path.join(os.environ.get("PROGRAMFILES", r"C:\Program Files"), _NAME)
    document: Optional[WindowsDocument] = None
    try:
        if verb == "remove":
            answer = _run_installer(["remove"])
        else:
            document = check_files(bundle)
            check_device(document.platform, base, sum(file.size_bytes for file in document.files))
            answer = {"ok": True} if verb == "check" else _run_installer(["install", "--from", bundle])
    except EngineError as error:
        answer = dict(error.as_dict(), ok=False)
    sys.stdout.write(words(verb, answer, base, document) + "\n")
    return 0 if answer.get("ok") else 1


def _run_installer(arguments: List[str]) -> Dict[str, Any]:
    """Run the installer as it is run over a connection, and return its answer."""
    command = [sys.executable, "-I", "-B", "-m", _INSTALLER, *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # pylint: disable=ansible-bad-function
    try:
        answer = json.loads(done.stdout.decode("utf-8", "replace").strip().splitlines()[-1])
    except (ValueError, IndexError):
        answer = None
    if isinstance(answer, dict) and "ok" in answer:
        return answer
    reason = " ".join((done.stderr + done.stdout).decode("utf-8", "replace").split())[-_MAX_WORDS_CHARACTERS:]
    raise InstallationBroken(installation=arguments[0], reason=reason or "exit status %d" % done.returncode)


def words(verb: str, answer: Dict[str, Any], base: str, document: Optional[WindowsDocument]) -> str:
    """The answer for a person in front of the device."""
    if answer.get("interrupted"):
        work = "removal" if verb == "remove" else "installation"
        told = RemovalInterrupted(device="this device", work=work)
        rest = words(verb, dict(answer, interrupted=False), base, document)
        return "%s (%s)\n%s" % (told, told.code, rest)
    if not answer.get("ok"):
        return "%s %s (%s)" % (answer.get("message"), answer.get("hint"), answer.get("code"))
    if verb == "remove":
        return "Removed %s." % base if answer.get("changed") else "There is no agent in %s." % base
    name = document.identity if document else ""
    if verb == "check":
        return "The agent %s can be installed in %s." % (name, base)
    if not answer.get("changed"):
        return "The agent %s is already installed in %s." % (name, base)
    return "Installed the agent %s in %s." % (name, base)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
