# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bars cost the controller: processor seconds a second, on a terminal of 120 columns and 40 rows.

Run it with the Python of the virtual environment: python tests/bench/progress.py. Every device tells its progress once a second.
"""

from __future__ import annotations

import fcntl
import io
import os
import struct
import sys
import termios
import threading
import time
from types import SimpleNamespace
from typing import List

from ansible_collections.plantops.imaging.plugins.plugin_utils._progress import show as _progress_show
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.channel import current_channel
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.records import Record

_SECONDS = 20
_MIB = 1 << 20


def main() -> None:
    """Print a line for each number of devices."""
    os.environ["TERM"] = "xterm-256color"
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    threading.Thread(target=_read, args=(master,), daemon=True).start()
    stream = io.TextIOWrapper(os.fdopen(slave, "wb", buffering=0), "utf-8", write_through=True)
    _progress_show.sys = SimpleNamespace(stdout=stream, stderr=stream)  # type: ignore[assignment]
    for count in (1, 5, 30, 300):
        sys.stdout.write("%4d devices: %.3f\n" % (count, _measure(count)))


def _measure(count: int) -> float:
    settings = _progress_show.Settings(threading.RLock(), has_colour=True, most_lines=0, wraps_again=True)
    show = _progress_show.Show(settings, lambda error: sys.exit(repr(error)))
    names = ["press-%d" % number for number in range(count)]
    show.announce("task", "image", names)
    for name in names:
        show.start("task", "image", name)
    child = os.fork()
    if child == 0:
        _tell(names)
        os._exit(0)
    before, began = time.process_time(), time.monotonic()
    os.waitpid(child, 0)
    used = (time.process_time() - before) / (time.monotonic() - began)
    show.close()
    return used


def _tell(names: List[str]) -> None:
    channel = current_channel()
    if channel is None:
        os._exit(1)
    for second in range(_SECONDS):
        for name in names:
            channel.send(Record("task", name, "image", "reading", 100 * _MIB, second * _MIB, 0, 5_000_000, 30))
            time.sleep(1 / len(names))


def _read(master: int) -> None:
    while os.read(master, 1 << 16):
        continue


if __name__ == "__main__":
    main()
