# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that gets no more memory: success, or one clear error, or a killed process; earlier images whole; the next run succeeds."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any, Dict, Optional, Tuple

import pytest
from support import imaging
from support.paths import MODULE_UTILS


def run_limited(job: Dict[str, Any], limit_bytes: int) -> Tuple[int, Optional[Dict[str, Any]]]:
    """The engine's command line with a limited address space; its exit status and its last event."""
    done = subprocess.run(
        [sys.executable, "-m", "engine.agent.command"],
        cwd=MODULE_UTILS,
        input=json.dumps(job).encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
        timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes)),
    )
    lines = done.stdout.decode().splitlines()
    return done.returncode, json.loads(lines[-1]) if lines else None


@pytest.mark.parametrize("limit_mb", [90, 125, 165, 210, 290])
def test_a_run_without_memory_harms_nothing(limit_mb: int, tmp_path: Path) -> None:
    storage, drive, chance = tmp_path / "storage", tmp_path / "drive", Random(limit_mb)
    drive.write_bytes(chance.randbytes(20 << 20))
    first = imaging.image(storage, drive)["image"]
    drive.write_bytes(chance.randbytes(20 << 20))
    job = imaging.job(storage, "image", drives=[str(drive)], limit_read_rate=0)
    status, event = run_limited(job, limit_mb * 1_000_000)
    if status == 1:
        assert event is not None
        assert event["code"] == "X002", event
    elif status == 0:
        assert event is not None
        assert event["event"] == "result"
    else:
        assert status < 0, status  # a library found none where it must have some
    listed = [one["image"] for one in imaging.run_verb(storage, "list")["images"]]
    assert listed[0] == first
    assert len(listed) == (2 if status == 0 else 1)
    for image in listed:
        assert imaging.verify(storage, image=image)["ok"]
    imaging.image(storage, drive)
    assert imaging.verify(storage)["ok"]
