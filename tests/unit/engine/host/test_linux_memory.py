# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One arena for all threads: what threads allocated and freed is not kept for each of them."""

from __future__ import annotations

import platform
import re
import subprocess
import sys

from support.agent_runs import MODULE_UTILS

_PROGRAM = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from engine.host.linux_memory import share_one_arena
if sys.argv[2] == "one":
    print(share_one_arena())
meeting = threading.Barrier(8)
def work():
    meeting.wait()
    held = [bytes(60000) for dummy in range(100)]
    meeting.wait()
threads = [threading.Thread(target=work) for dummy in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(open("/proc/self/maps").read())
"""
IS_GLIBC = platform.libc_ver()[0] == "glibc"  # no other C library has arenas, and none is told anything
_ARENA_BYTES = 64 << 20  # what glibc reserves for each, most of it without access


def arenas(how: str) -> int:
    command = [sys.executable, "-c", _PROGRAM, MODULE_UTILS, how]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    assert output.startswith("True") == (how == "one" and IS_GLIBC)
    ranges = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) ---p 00000000 00:00 0", output, re.MULTILINE)
    sizes = [int(end, 16) - int(start, 16) for start, end in ranges]
    return sum(_ARENA_BYTES // 2 < size < _ARENA_BYTES for size in sizes)


def test_threads_share_what_is_allocated() -> None:
    assert (arenas("many") >= 2) == IS_GLIBC
    assert arenas("one") == 0
