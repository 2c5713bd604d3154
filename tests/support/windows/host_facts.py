# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks Windows what the engine asks it, and prints the answers as one object of JSON. Runs in the double."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from engine.device.document.collect import collect
from engine.host import identity, locks, memory, priority, process, windows_calls

ended = subprocess.Popen([sys.executable, "-c", "pass"])
ended.wait()
memory.close_memory()
first = os.open("C:\\run.lock", os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0))
second = os.open("C:\\run.lock", os.O_RDWR | getattr(os, "O_BINARY", 0))
os.write(first, b"run-1\n")
taken = [locks.lock_exclusive(first), locks.is_locked(second), locks.lock_exclusive(second)]
os.lseek(second, 0, os.SEEK_SET)
readable = os.read(second, 100).decode("ascii")
os.close(first)
taken += [locks.is_locked(second), locks.lock_exclusive(second)]
sys.stdout.write(
    json.dumps(
        {
            "boot_id": process.boot_id(),
            "own_start": process.process_start(os.getpid()),
            "ended_start": process.process_start(ended.pid),
            "smbios_uuid": identity.smbios_uuid(),
            "machine_id": identity.machine_id(),
            "priority": priority.lower_priority(),
            "memory_bytes": windows_calls.memory_bytes(),
            "version": windows_calls.version(),
            "locks": taken,
            "readable": readable,
            "document": collect(),
        }
    )
    + "\n"
)
