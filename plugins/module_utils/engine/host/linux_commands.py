# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts a command of a site in a separate session, and ends it with all its processes (POSIX)."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import List

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KEPT_ENVIRONMENT = ("HOME", "LANG", "LC_ALL", "TZ", "USER", "LOGNAME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")


def start_command(words: List[str]) -> subprocess.Popen[bytes]:
    """Start it with one pipe for its output and its errors. :raises OSError: :raises ValueError:"""
    environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    environment["PATH"] = _PATH
    return subprocess.Popen(  # pylint: disable=ansible-bad-function
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
        env=environment,
        start_new_session=True,
    )


def kill_command(process: subprocess.Popen[bytes]) -> None:
    """End it and what it started."""
    os.killpg(process.pid, signal.SIGKILL)
