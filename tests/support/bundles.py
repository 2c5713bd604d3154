# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles for tests: small ones whose agent only tells its version, real ones with wheels, and what a folder holds."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import subprocess
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

from engine.install import installer, probe
from engine.install.bundle_document import Document, Part, make_document
from engine.install.bundle_format import Entries, write_bundle, write_zip
from support.paths import ROOT

# Kept between runs, so that only the first on a machine downloads.
WHEEL_CACHE = ROOT / "build" / "wheels"
AGENT_MAIN = b"""\
import json


def main(arguments, installation, base):
    print(json.dumps({"ok": True, "id": installation, "version": "for tests"}))
    return 0
"""
ENGINE = {
    "engine/__init__.py": b"",
    "engine/_libraries.py": b"def load_all():\n    import small\n",
    "engine/errors.py": b"class EngineError(Exception):\n    pass\n",
    "engine/agent/__init__.py": b"",
    "engine/agent/main.py": AGENT_MAIN,
}
WHEEL = {"small/__init__.py": b"", "small-1.dist-info/METADATA": b"Name: small\n"}


def zipped(entries: Entries) -> bytes:
    file = io.BytesIO()
    write_zip(file, entries)
    return file.getvalue()


class SmallBundle:
    """A bundle for this Python; another ``version`` or other ``engine`` files make another one of it."""

    def __init__(
        self, version: str = "1.0", engine: Optional[Dict[str, bytes]] = None, wheel: Optional[Dict[str, bytes]] = None
    ) -> None:
        sources = dict(ENGINE, **{"engine/version.py": b"version = %r\n" % version})
        sources.update(engine or {})
        self.contents: Dict[str, bytes] = {}
        parts = [
            self._part("engine.zip", zipped(sources.items())),
            self._part("small-1-py3-none-any.whl", zipped((wheel or WHEEL).items())),
        ]
        self.document: Document = make_document(version, probe.platform_name(), "0.1", "3.8.0", parts)
        self.identity = self.document.identity

    def _part(self, name: str, content: bytes) -> Part:
        sha256 = hashlib.sha256(content).hexdigest()
        self.contents[sha256] = content
        return Part(name, sha256, len(content))

    def open_part(self, part: Part) -> Optional[io.BytesIO]:
        content = self.contents.get(part.sha256)
        return None if content is None else io.BytesIO(content)

    def install(self, base: Path) -> Dict[str, Any]:
        return installer.install(self.document, self.open_part, str(base))

    def write(self, path: Path) -> Path:
        with open(path, "wb") as file:
            write_bundle(file, self.document, self.contents)
        return path


def tree(folder: Path) -> Dict[str, Tuple[int, str]]:
    """Return mode and hash of everything below a folder, itself included, links not followed."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        status = path.lstat()
        content = b""
        if stat.S_ISLNK(status.st_mode):
            content = os.fsencode(os.readlink(path))
        elif stat.S_ISREG(status.st_mode):
            content = path.read_bytes()
        found[str(path.relative_to(folder))] = (status.st_mode, hashlib.sha256(content).hexdigest())
    return found


def answers(python: str, base: Path, identity: str, verb: str = "version") -> bytes:
    """Return what an installation's agent says; fails when it does."""
    agent = base / "versions" / identity / "agent.py"
    return subprocess.run([python, str(agent), verb], check=True, stdout=subprocess.PIPE).stdout
