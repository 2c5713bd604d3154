# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on a device's directory from a process that looks like another host: a host name and process numbers of its own.

As a program it reads a task as JSON and prints a line of JSON for each round: what was done, and how it ended.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

HERE = Path(__file__).resolve().parent
PASSWORD = "a password for this test"


class OtherHost:
    """One verb, some times in a row. ``settings`` are those of the storage."""

    def __init__(self, name: str, verb: str, settings: Dict[str, Any], rounds: int, seed: int) -> None:
        self.verb = verb
        inside = "hostname %s && exec %s %s" % (name, sys.executable, Path(__file__).resolve())
        task = {"verb": verb, "settings": settings, "rounds": rounds, "seed": seed}
        self._process = subprocess.Popen(
            ["unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", inside],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if self._process.stdin is not None:
            self._process.stdin.write(json.dumps(task))
            self._process.stdin.close()
            self._process.stdin = None

    def rounds(self, timeout_seconds: float = 240.0) -> List[Dict[str, Any]]:
        """Wait for the end and return what each round said."""
        out, errors = self._process.communicate(timeout=timeout_seconds)
        if self._process.returncode:
            raise AssertionError("%s: %s" % (self.verb, errors))
        return [json.loads(line) for line in out.splitlines()]

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def main() -> None:
    sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent / "plugins" / "module_utils")]
    import pytest
    from engine.errors import EngineError
    from engine.storage.open import open_storage
    from support.small_runs import SmallDisk, make_small

    task = json.load(sys.stdin)
    make_small(pytest.MonkeyPatch())
    disk = SmallDisk(seed=task["seed"])
    with open_storage(task["settings"]) as storage:
        for number in range(task["rounds"]):
            disk.write(number % disk.chunks)
            try:
                answer = _round(storage, task["verb"], disk, number)
            except EngineError as error:
                answer = {"error": error.code, "message": str(error)}
            print(json.dumps(answer), flush=True)


def _round(storage: Any, verb: str, disk: Any, number: int) -> Dict[str, Any]:
    """Verifies and reads the oldest image and the newest by turns: the oldest is what a rollover takes away meanwhile."""
    from engine.errors import EngineError
    from engine.image.access import Passwords
    from engine.image.device_directory import DeviceDirectory
    from engine.image.upkeep.rollover import roll_over
    from engine.image.upkeep.verify import verify_image
    from support.small_runs import DEVICE, read_image, run_image

    if verb == "image":
        result = run_image(storage, disk, Passwords(password=PASSWORD), lease_ttl_seconds=60.0)
        return {"image": result.image, "content": hashlib.sha256(disk.expected()).hexdigest()}
    images = DeviceDirectory(storage, DEVICE).images({})
    newest, looked_at = images[-1], images[0 if number % 2 == 0 else -1]
    if verb == "rollover":
        report = roll_over(storage, DEVICE, 2, openable_key=newest.key_id)
        return {"deleted": report.deleted, "warnings": report.warnings}
    answer: Dict[str, Any] = {"image": looked_at.image}
    try:
        if verb == "verify":
            found = verify_image(storage, DEVICE, looked_at.image, "full", password=PASSWORD)
            return dict(answer, ok=found.ok, problems=found.problems)
        return dict(answer, content=hashlib.sha256(read_image(storage, looked_at.image, PASSWORD)).hexdigest())
    except EngineError as error:
        return dict(answer, error=error.code, message=str(error))


if __name__ == "__main__":
    main()
