# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 at any moment of a process that attaches and detaches loop devices: the kernel keeps none of them."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.paths import ROOT

pytestmark = pytest.mark.root
ATTACH_FOR_EVER = """
import os, sys
from engine.host.linux_loop import attached
descriptor = os.open(sys.argv[1], os.O_RDWR)
print("begun", flush=True)
while True:
    with attached(descriptor, 1 << 20, 4 << 20):
        pass
"""


def backing_files() -> str:
    return subprocess.run(["losetup", "-n", "-O", "BACK-FILE"], check=True, capture_output=True, text=True).stdout


def is_let_go(disk: Path) -> bool:
    """The kernel clears a device when its last user is gone, a probe of the system for instance: wait for a moment."""
    for dummy in range(50):
        if str(disk) not in backing_files():
            return True
        time.sleep(0.1)
    return False


def test_a_killed_process_leaves_no_device(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with open(disk, "wb") as file:
        file.truncate(8 << 20)
    chance = random.Random(3)
    for number in range(15):
        process = subprocess.Popen(
            [sys.executable, "-c", ATTACH_FOR_EVER, str(disk)],
            env=dict(os.environ, PYTHONPATH=str(ROOT / "plugins" / "module_utils")),
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        time.sleep(chance.uniform(0, 0.05))
        process.kill()
        process.wait()
        process.stdout.close()
        assert is_let_go(disk), "attempt %d left a device" % number
