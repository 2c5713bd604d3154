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
from engine.host import identity, locks, memory, priority, process, windows_calls, windows_devices, windows_volumes

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
on_system = windows_volumes.volume_of(r"C:\windows")
claims = [windows_volumes.claim(7), windows_volumes.claim(7), windows_volumes.claim(8)]
windows_devices.close_device(claims[0] or 0)
claims.append(windows_volumes.claim(7))
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
            "volumes": windows_volumes.volumes(),
            "on_system": on_system,
            "mount_points": windows_volumes.mount_points(on_system),
            "paging_files": windows_volumes.paging_files(),
            "starting_device": windows_volumes.starting_device(),
            "claims": [bool(one) for one in claims],
            "document": collect(),
        }
    )
    + "\n"
)
