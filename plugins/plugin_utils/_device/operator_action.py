# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of the action plugins of the operator's verbs: the engine as a process of the operator host, secrets on its
standard input.

A module would get its arguments, the passwords among them, in a file or in what Ansible prints when it is debugged.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import functools
import io
import json
import os
import sys
from pathlib import Path
from typing import Any, ClassVar, Dict, List, Sequence, Tuple

from ansible_collections.plantops.imaging.plugins import module_utils
from ansible_collections.plantops.imaging.plugins.module_utils._arguments import request_of, secrets_of
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import PythonNotFound
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.bundle_format import write_zip

from .agent import PYTHONS
from .answers import parse, said
from .engine_action import EngineAction
from .link import Link
from .process import EngineProcess, died

# Looks for a Python that has the packages, else takes the first that is new enough: the engine then says what lacks.
_FIND_PYTHON = (
    'first=; for python in "$@"; do '
    "if \"$python\" -c 'import sys; sys.exit(sys.version_info[:2] < (3, 8))' 2>/dev/null; then first=${first:-$python}; "
    "if \"$python\" -c 'import blake3, cryptography, zstandard' 2>/dev/null; then "
    'printf "python=%s\\n" "$python"; exit; fi; fi; done; printf "python=%s\\n" "$first"'
)
_MAIN = b"from engine.agent.command import main\n\nraise SystemExit(main([]))\n"
_LONGEST_SECONDS = 30 * 86400.0  # a verification of everything on a slow storage takes days


class OperatorAction(EngineAction):
    """Base of the action plugins that work on a storage from the operator host."""

    required_if: ClassVar[Sequence[Tuple[str, Any, List[str]]]] = ()

    def work(self, arguments: Dict[str, Any]) -> Dict[str, Any]:
        """Run the verb on the host that the task is delegated to."""
        request = request_of(self.verb, arguments, self._task.check_mode)
        if self.is_local() and not self.local_user():
            result = self._run_here(request, arguments)
        else:
            result = self._run_over_link(request, arguments)
        if result.get("ok") is False:
            return dict(result, failed=True, msg=" ".join(result.get("problems") or ["The image is damaged."]))
        return result

    def process(self, request: Dict[str, Any], arguments: Dict[str, Any]) -> EngineProcess:
        """The engine on this machine, with the interpreter and the environment that the task names."""
        named: Dict[str, str] = {}
        self._compute_environment_string(named)
        environment = {str(name): str(value) for name, value in named.items()}
        python = self._interpreter() or sys.executable
        return EngineProcess(request, secrets_of(self.spec, arguments), python=python, environment=environment)

    def over_link(self, dummy_link: Link, request: Dict[str, Any]) -> Dict[str, Any]:
        """Return the request as the other host gets it; what it names of this machine's files is brought there."""
        return request

    def _run_over_link(self, request: Dict[str, Any], arguments: Dict[str, Any]) -> Dict[str, Any]:
        link = Link(self, self._host, self.say, 600.0, self.connection_lost)
        self._progress.enter("connecting")
        python = self._find_python(link)
        engine = link.put_data(_engine(), "engine.pyz")
        request = self.over_link(link, request)
        self._progress.enter("working")
        answer = link.run([python, engine], json.dumps(request).encode("ascii") + b"\n", _LONGEST_SECONDS)
        warnings: List[str] = []
        try:
            last = self._closing_event(answer.stdout, warnings)
        except ValueError as error:
            raise self.invalid(error) from None
        return self.closed(
            last or died(answer.status, answer.stdout + answer.stderr, self._secrets(arguments)), warnings
        )

    def _closing_event(self, output: str, warnings: List[str]) -> Dict[str, Any]:
        last: Dict[str, Any] = {}
        for line in output.splitlines():
            if not line.startswith("{"):
                continue  # what a login script says
            event = parse(line)
            if event.get("event") == "warning":
                warnings.append(said(str(event.get("message"))))
            elif event.get("event") in ("result", "error"):
                last = event
        return last

    def _secrets(self, arguments: Dict[str, Any]) -> List[str]:
        return secrets_of(self.spec, arguments)

    def _find_python(self, link: Link) -> str:
        named = self._interpreter()
        if named:
            return named
        answer = link.run(["/bin/sh", "-c", _FIND_PYTHON, "sh", *PYTHONS])
        found = [line.strip()[len("python=") :] for line in answer.stdout.splitlines() if line.startswith("python=")]
        if not found or found[-1] not in PYTHONS:
            raise PythonNotFound(device=self._host, names=", ".join(PYTHONS))
        return found[-1]


@functools.lru_cache(maxsize=1)
def _engine() -> bytes:
    """The engine as one file that a Python runs."""
    root = Path(next(iter(module_utils.__path__))) / "engine"
    entries: List[Tuple[str, bytes]] = [("__main__.py", _MAIN)]
    for path in sorted(root.rglob("*.py")):
        name = os.path.join("engine", str(path.relative_to(root)))
        entries.append((name, path.read_bytes()))
    file = io.BytesIO()
    write_zip(file, entries)
    return file.getvalue()
