# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command after a run on a Windows device: its time limit ends all that it started, and the outcome says so."""

from __future__ import annotations

import json
import shutil
import time
from typing import Any, Dict, Iterator

import pytest
from support.windows.device import WindowsDevice
from support.windows.runs import BASE, Runs, direct

PYTHON, LIMIT_SECONDS = r"C:\agent\python\python.exe", 25
# Its starter ends at once: Windows does not know any more who started it.
TICKS = "import time\nwhile True:\n    open(r'C:\\ticks', 'ab').write(b'x')\n    time.sleep(0.2)\n"
STARTS = "import subprocess, sys\nsubprocess.Popen([sys.executable, r'C:\\ticks.py'], creationflags=%d)\n"
DETACHED = 0x8


@pytest.fixture
def runs(old_device: WindowsDevice) -> Iterator[Runs]:
    old_device.host_path(r"C:\ticks.py").write_text(TICKS)
    old_device.host_path(r"C:\put").mkdir(exist_ok=True)
    with old_device.switched_on():
        yield direct(old_device)
    shutil.rmtree(old_device.host_path(BASE))
    old_device.host_path(r"C:\ticks").unlink(missing_ok=True)


def outcome(runs: Runs, name: str, *words: str) -> Dict[str, Any]:
    order = {"after": list(words), "time_limit_seconds": LIMIT_SECONDS}
    runs.device.host_path(r"C:\put\order.json").write_text(json.dumps(order))
    assert runs.call("after-register", name, r"C:\put\order.json")["ok"]
    return dict(runs.call("after-run", name, "--wait", "120")["outcome"])


def grows(runs: Runs) -> bool:
    path = runs.device.host_path(r"C:\ticks")
    before = path.stat().st_size
    time.sleep(2)
    return path.stat().st_size > before


@pytest.mark.long
def test_a_late_command_ends_with_all_that_it_started(runs: Runs) -> None:
    runs.device.host_path(r"C:\starts.py").write_text(STARTS % DETACHED)
    line = "%s C:\\starts.py & ping -n 100 127.0.0.1 >nul" % PYTHON
    told = outcome(runs, "after-1", "cmd.exe", "/d", "/c", line)
    assert (told["timed_out"], told["exit_status"]) == (True, None)
    assert LIMIT_SECONDS <= told["seconds"] < LIMIT_SECONDS + 30
    assert not grows(runs), "what the command started still runs"

    # What a command in time leaves running is the site's application.
    runs.device.host_path(r"C:\ticks").write_bytes(b"")
    told = outcome(runs, "after-2", PYTHON, r"C:\starts.py")
    assert (told["timed_out"], told["exit_status"]) == (False, 0), told
    assert grows(runs), "the application was ended with the command"
    assert outcome(runs, "after-3", "no-such-program.exe")["exit_status"] is None
