# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Short ways to make, verify and restore images in tests, through the same jobs that the command line runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Tuple

from engine.storage.contract import Storage
from engine.verbs.dispatch import call_verb, run_job
from engine.verbs.request import parse
from engine.verbs.run_status import RunStatus

PASSWORD = "correct-horse-battery-staple-47"


def job(storage: Path, verb: str, **settings: Any) -> Dict[str, Any]:
    storage.mkdir(exist_ok=True)
    document = {"verb": verb, "device": "pc", "storage": {"url": str(storage)}, "secrets": {"password": PASSWORD}}
    document.update(settings)
    return document


def run_verb(storage: Path, verb: str, **settings: Any) -> Dict[str, Any]:
    """Run a job and return its result; raises the engine's errors."""
    events: List[Dict[str, Any]] = []
    return run_job(job(storage, verb, **settings), events.append, lambda: False)


def ask(storage: Storage, verb: str, device: str, password: str, **settings: Any) -> Dict[str, Any]:
    """Call a verb with a storage that is open already; the request's own is opened by nobody."""
    document = {"verb": verb, "device": device, "storage": {"url": "/"}, "secrets": {"password": password}}
    request = parse(dict(document, **settings))
    return call_verb(storage, request, RunStatus(lambda event: None, lambda: False))


def image(storage: Path, *drives: Path, **settings: Any) -> Dict[str, Any]:
    settings.setdefault("limit_read_rate", 0)
    return run_verb(storage, "image", drives=[str(drive) for drive in drives], **settings)


def verify(storage: Path, level: str = "full", **settings: Any) -> Dict[str, Any]:
    return run_verb(storage, "verify", level=level, **settings)


def restore(storage: Path, target: Path, **settings: Any) -> Dict[str, Any]:
    return run_verb(storage, "restore", map={"disk0": str(target)}, **settings)


def same_where_in_use(original: Path, restored: Path, in_use: List[Tuple[int, int]]) -> List[Tuple[int, int]]:
    """Return the ranges of ``in_use`` where the two files differ."""
    different = []
    with open(original, "rb") as one, open(restored, "rb") as two:
        for start, length in in_use:
            position = start
            while position < start + length:
                size = min(1 << 20, start + length - position)
                one.seek(position)
                two.seek(position)
                if one.read(size) != two.read(size):
                    different.append((position, size))
                position += size
    return different
