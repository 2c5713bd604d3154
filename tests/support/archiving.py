# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives in tests: check-ins, what must hold of an archive whatever happened, and its state by tools of nobody's."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

from engine.verbs.dispatch import run_job

from .imaging import PASSWORD, image, job, run_verb
from .paths import MODULE_UTILS


def secrets(is_encrypted: bool) -> Dict[str, str]:
    return {"password": PASSWORD} if is_encrypted else {}


NAMES = ("2026-11-20_10-00-00", "2026-11-21_10-00-00", "2026-11-22_10-00-00")


def make_images(storage: Path, disk: Path, changed_kib: int, **settings: Any) -> Iterator[str]:
    """Make the images of ``NAMES``, each after a change of the disk; yield the name of each when it is there."""
    for number, name in enumerate(NAMES):
        with open(disk, "r+b") as file:
            file.seek((4 + number) << 20)
            file.write(os.urandom(changed_kib << 10))
        image(storage, disk, timestamp=name, **settings)
        yield name


def check_in(
    storage: Any, archive: Any, events: Optional[List[Dict[str, Any]]] = None, **settings: Any
) -> Dict[str, Any]:
    """Check an image in; storage and archive are directories, or the settings of a server."""
    place = archive if isinstance(archive, dict) else {"url": str(archive)}
    folder = Path("/") if isinstance(storage, dict) else storage
    request = job(folder, "archive", archive=place, **settings)
    if isinstance(storage, dict):
        request["storage"] = storage
    heard: List[Dict[str, Any]] = [] if events is None else events
    return run_job(request, heard.append, lambda: False)


def warned(events: List[Dict[str, Any]], done: Dict[str, Any]) -> List[str]:
    """The warnings of a run."""
    told: List[str] = [event["message"] for event in events if event["event"] == "warning"]
    return told + list(done["warnings"])


def versions(archive: Path, device: str = "pc", **settings: Any) -> Dict[int, str]:
    """Number and image of each version, as a listing shows them."""
    listed = run_verb(archive, "list", device=device, **settings)["images"]
    return {one["version"]: one["image"] for one in listed if one["version"] is not None}


def records(archive: Path, device: str = "pc") -> Dict[int, Dict[str, Any]]:
    """The records by their files alone: each has the hash in its name, and lies in its number."""
    found: Dict[int, Dict[str, Any]] = {}
    for path in sorted((archive / device / "versions").glob("[0-9]*/*.json")):
        if path.parent.name.count("-"):
            continue
        data = path.read_bytes()
        assert hashlib.sha256(data).hexdigest() == path.name.split(".")[1], path
        document = json.loads(data)
        number = int(path.parent.name)
        assert number not in found, "number %d is given twice" % number
        assert document["version"] == number
        found[number] = dict(document, sha256=path.name.split(".")[1])
    return found


def assert_whole(archive: Path, device: str = "pc") -> None:
    """Every version that there is has its image, all packs of it unchanged, and the record of the one before."""
    found = records(archive, device)
    for number, record in found.items():
        folder = archive / device / record["image"]
        assert hashlib.sha256((folder / "image.json").read_bytes()).hexdigest() == record["manifest"], number
        for line in (folder / "SHA256SUMS").read_text(encoding="ascii").splitlines():
            digest, name = line.split("  ", 1)
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, (number, name)
        before = record["previous_version"]
        assert record["previous"] == (found[before]["sha256"] if before else ""), number


def at_once(requests: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """The last event of each, run at the same time by the engine's command line."""
    environment = {"PYTHONPATH": str(MODULE_UTILS), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-m", "engine.agent.command"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    running = [subprocess.Popen(command, env=environment, **pipes) for dummy in requests]  # type: ignore[call-overload]
    for process, request in zip(running, requests):
        process.stdin.write(json.dumps(request).encode())
        process.stdin.close()
    ended = []
    for process in running:
        output = process.stdout.read()
        assert process.wait() == 0, output.decode()
        ended.append(json.loads(output.splitlines()[-1]))
    return ended
