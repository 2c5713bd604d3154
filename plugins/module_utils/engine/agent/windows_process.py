# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process of a run, or of the watcher of a command, on Windows, which can't fork: it takes the lock over from its starter.

Usage: ``<base> <run> <installation> <wait seconds>`` for a run, ``<base> <command>`` for a watcher. No secret is among these.
"""

from __future__ import annotations

import os
import sys
from typing import List

from ..host.windows_locks import take_over
from ..install.owned_files import open_owned
from .after_command import registered, watch
from .runner import serve
from .spool import Spool

_SECONDS = 120.0
_RUN_WORDS = 4


def main(arguments: List[str]) -> int:
    """Live through the run or the watch; return 1 when the lock could not be taken."""
    spool = Spool(arguments[0])
    if len(arguments) == _RUN_WORDS:
        dummy_base, run, installation, wait_seconds = arguments
        folder = spool.existing(run)
        descriptor = open_owned(os.path.join(spool.base, "run.lock"), os.O_RDWR | os.O_CREAT)
        if not take_over(descriptor, _SECONDS):
            return 1
        serve(folder, installation, int(wait_seconds))
    else:
        command = registered(spool, arguments[1])
        descriptor = open_owned(command.file("lock"), os.O_RDWR | os.O_CREAT)
        if not take_over(descriptor, _SECONDS):
            return 1
        watch(spool, command, descriptor)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
