# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent of one device as the controller sees it: the installed version, its installation, its verbs
(docs/agent.md).

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import io
import os
import posixpath
import re
import tempfile
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from ansible_collections.plantops.imaging.plugins import module_utils
from ansible_collections.plantops.imaging.plugins.module_utils.engine.agent.protocol import PROGRAM, PROTOCOL
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    AgentAnswerInvalid,
    AgentDirectoryInvalid,
    InstallationUnsafe,
    PythonNotFound,
)
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.bundle_format import (
    Bundle,
    installer_entries,
    write_zip,
)
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.probe import ROOT_BASE, base_in_home
from ansible_collections.plantops.imaging.plugins.module_utils.engine.tame import one_line

from .answers import answer_of, error_of, parse, said
from .link import Answer, Link

_MAX_DIRECTORY_CHARACTERS = 200
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.$@\\-]{0,63}", re.ASCII)
_MOST_LINES = 2000
_MOST_AGENTS = 50
_MOST_PATH_CHARACTERS = 1000
# Local users only: to list those of a directory service, and to look into their homes on a server, may take long.
_FIND_OTHERS = (
    'while IFS=: read -r user x x x x home x; do place="$home$1"; '
    'if [ "$place" != "$3" ] && [ ! -L "$place" ] && [ -d "$place" ]; then printf "%s:%s\\n" "$user" "$place"; fi; '
    'done </etc/passwd; if [ "$2" != "$3" ] && [ -d "$2" ]; then printf "root:%s\\n" "$2"; fi'
)
_FEWEST_PARTS = 2
# The distribution's own first: the device's administrator updates it. RHEL 8 and 9 keep it away from the path.
PYTHONS = ("python3", "/usr/libexec/platform-python", *("python3.%d" % minor for minor in range(14, 7, -1)))
_FIND_PYTHON = (
    'program=$1; base=$2; shift 2; for python in "$@"; do '
    "if \"$python\" -I -c 'import sys; sys.exit(sys.version_info[:2] < (3, 8))' 2>/dev/null; then "
    'printf "python=%s\\n" "$python"; exec "$python" -I "$program" ${base:+--base "$base"}; fi; done; echo python='
)


class AgentRefused(Exception):
    """A verb's own failure: an error of the catalogue as a document, as ``failure`` takes it."""

    def __init__(self, error: Dict[str, Any], warnings: Optional[List[str]] = None) -> None:
        super().__init__(str(error.get("message")))
        self.error = error
        self.warnings = warnings or []


class Installation(NamedTuple):
    """The bytes that an installation would send, or sent. ``id`` and ``sent_bytes`` are None where check mode has no
    bundle to look at."""

    id: Optional[str]
    platform: str
    changed: bool
    replaced: Optional[str]
    sent_bytes: Optional[int]

    def as_dict(self) -> Dict[str, Any]:
        return dict(self._asdict())


class Agent:
    """The agent of the device at the other end of ``link``."""

    def __init__(
        self,
        link: Link,
        device: str,
        interpreter: Optional[str],
        find_bundle: Callable[[str], Optional[Bundle]],
        directory: str = "",
    ) -> None:
        """:raises AgentDirectoryInvalid: when the agent can't live in ``directory``; "" leaves the choice to the device."""
        self._link = link
        self._device = device
        self._interpreter = interpreter
        self._find_bundle = find_bundle
        self._directory = checked_directory(directory)
        self.python = ""
        self._id = ""
        self._bundle: Optional[Bundle] = None
        self.found: Dict[str, Any] = {}

    def look(self) -> Dict[str, Any]:
        """Find the device's Python and what is installed; changes nothing there."""
        pythons = [self._interpreter] if self._interpreter else list(PYTHONS)
        probe = self._link.put(_engine_file("install", "probe.py"), "probe.py")
        answer = self._link.run(["/bin/sh", "-c", _FIND_PYTHON, "sh", probe, self._directory, *pythons])
        lines = [line.strip() for line in answer.stdout.splitlines() if line.startswith("python=")]
        self.python = lines[-1][len("python=") :] if lines else ""
        if lines and not self.python:
            raise PythonNotFound(device=self._device, names=", ".join(pythons))
        self.found = self._understood("probe", answer)
        self.expect(self.python in pythons, "probe", "its response contains the interpreter %s" % said(self.python))
        self._id = str(self.found.get("current") or "")
        return self.found

    @property
    def current(self) -> str:
        """The id of the installation in use; "" where there is none."""
        return self._id

    @property
    def was_removing(self) -> bool:
        """Whether an earlier removal was interrupted, so that more than usual is to be done. On Linux it is not."""
        return False

    def is_installed(self) -> bool:
        """Whether there is anything that :meth:`remove` would remove."""
        return any(self.found.get(name) for name in ("current", "versions", "parts", "unsafe"))

    def is_useful(self) -> bool:
        """Whether the present installation answers, speaks this protocol and belongs to this Python."""
        if not self._id:
            return False
        try:
            version = self.call("version")
        except (AgentRefused, AgentAnswerInvalid):
            return False
        return version.get("protocol") == PROTOCOL and version.get("platform") == self.found["platform"]

    def plan(self, anew: bool = False) -> Installation:
        """Return what :meth:`install` would do, ``anew`` as well."""
        bundle = self._wanted()
        if bundle is None:
            return Installation(None, self.found["platform"], True, self._id or None, None)
        if self._id == bundle.identity and not anew:
            return Installation(bundle.identity, self.found["platform"], False, None, 0)
        size_bytes = sum(part.size_bytes for part in bundle.missing([] if anew else self.found["parts"]))
        return Installation(bundle.identity, self.found["platform"], True, self._id or None, size_bytes)

    def install(self, anew: bool = False) -> Installation:
        """Make this collection's agent the device's; send only the parts that it does not have.

        With ``anew`` all of them, also when the device says that it has this agent: it does not work there any more.
        """
        planned, bundle = self.plan(anew), self._wanted()
        if bundle is None or not planned.changed:
            return planned
        present: List[str] = [] if anew else self.found["parts"]
        with tempfile.TemporaryDirectory(prefix="plantops-imaging-") as folder:
            for path in bundle.write_missing(present, folder):
                self._link.put(path, os.path.basename(path))
        sent = self._link.folder()
        words = ["install", *self._base(), "--bundle", "%s/bundle.json" % sent, "--parts", sent]
        answer = self._understood("install", self._link.run([*self._isolated(), "%s/installer.pyz" % sent, *words]))
        self.expect(answer["installed"] == bundle.identity, "install", "it installed %s" % answer["installed"])
        self._id = bundle.identity
        sent_bytes = sum(part.size_bytes for part in bundle.missing(present))
        return planned._replace(changed=answer["changed"], replaced=answer["replaced"], sent_bytes=sent_bytes)

    def would_remove(self) -> bool:
        """Return what :meth:`remove` would.

        :raises InstallationUnsafe: where it would refuse.
        """
        base, unsafe = self.found["base"], self.found["unsafe"]
        if unsafe is None:
            return self.is_installed()
        if self._link.run(["/bin/sh", "-c", 'test -e "$1" || test -L "$1"', "sh", base]).status:
            return False
        path, dummy_space, reason = unsafe.partition(" ")
        raise InstallationUnsafe(base=base, path=path, reason=reason)

    def of_others(self) -> List[Dict[str, str]]:
        """Return the agents that other users of the device have, as far as this one may see: user and directory."""
        answer = self._link.run(["/bin/sh", "-c", _FIND_OTHERS, "sh", base_in_home("/"), ROOT_BASE, self.found["base"]])
        found = []
        for line in answer.stdout.splitlines()[:_MOST_LINES]:
            user, colon, directory = line.strip().partition(":")
            if (
                _USER.fullmatch(user)
                and colon
                and directory.startswith("/")
                and len(directory) <= _MOST_PATH_CHARACTERS
            ):
                found.append({"user": user, "directory": one_line(directory)})
        return found[:_MOST_AGENTS]

    def remove(self) -> bool:
        """Remove everything that installations left; return whether there was anything."""
        program = io.BytesIO()
        write_zip(program, installer_entries())
        installer = self._link.put_data(program.getvalue(), "installer.pyz")
        answer = self._understood("remove", self._link.run([*self._isolated(), installer, "remove", *self._base()]))
        self._id = ""
        return bool(answer["changed"])

    def call(self, verb: str, *arguments: str) -> Dict[str, Any]:
        """Ask the installed agent.

        :raises AgentRefused: with the verb's own error. :raises AgentAnswerInvalid: when it answers something else than
        docs/agent.md says.
        """
        program = "%s/versions/%s/%s" % (self.found["base"], self._id, PROGRAM)
        return self._understood(verb, self._link.run([*self._isolated(), program, verb, *arguments]))

    def _isolated(self) -> List[str]:
        """Python without what the environment or the user's own packages would put in front of the standard library."""
        return [self.python, "-I"]

    def _base(self) -> List[str]:
        return ["--base", self._directory] if self._directory else []

    def expect(self, fits: bool, command: str, otherwise: str) -> None:
        """:raises AgentAnswerInvalid: when an answer does not fit what was asked."""
        if not fits:
            raise AgentAnswerInvalid(device=self._device, command=command, status=0, words=otherwise)

    def _wanted(self) -> Optional[Bundle]:
        if self._bundle is None:
            self._bundle = self._find_bundle(self.found["platform"])
        return self._bundle

    def _understood(self, command: str, answer: Answer) -> Dict[str, Any]:
        # A terminal mixes in what sudo or a login script says; the answer is the last line.
        lines = [line for line in answer.stdout.splitlines() if line.startswith("{")]
        words = said(answer.stdout, answer.stderr) or "nothing"
        if lines:
            try:
                document = parse(lines[-1])
                if document.get("ok") is not False:
                    return answer_of(command, document)
                refusal = error_of(document)
            except ValueError as error:
                words = said("%s: %s" % (error, words))
            else:
                raise AgentRefused(refusal)
        raise AgentAnswerInvalid(device=self._device, command=command, status=answer.status, words=words)


def checked_directory(directory: str) -> str:
    """Return the path without parts that have no meaning.

    :raises AgentDirectoryInvalid: when it is not an absolute path of a folder that could be the agent's.
    """
    if not directory:
        return ""
    parts = directory.split("/")
    reason = ""
    if not directory.startswith("/"):
        reason = "it is not an absolute path"
    elif ".." in parts or not directory.isprintable() or len(directory) > _MAX_DIRECTORY_CHARACTERS:
        reason = "it is not a plain path"
    elif len([part for part in parts if part not in ("", ".")]) < _FEWEST_PARTS:
        reason = "a system directory can't belong to the agent"
    if reason:
        raise AgentDirectoryInvalid(directory=directory, reason=reason)
    return posixpath.normpath("/" + directory.lstrip("/"))


def _engine_file(*names: str) -> str:
    return os.path.join(next(iter(module_utils.__path__)), "engine", *names)
