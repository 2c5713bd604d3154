# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts a command of a site without a window, and ends it with all its processes (Windows)."""

from __future__ import annotations

import os
import subprocess
from typing import List

from .windows_detached import NO_WINDOW


def start_command(words: List[str]) -> subprocess.Popen[bytes]:
    """Start it with one pipe for its output and its errors. :raises OSError: :raises ValueError:"""
    return subprocess.Popen(  # pylint: disable=ansible-bad-function
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=_system_directory(),
        creationflags=NO_WINDOW,
    )


def kill_command(process: subprocess.Popen[bytes]) -> None:
    """End it and what it started, as far as Windows still knows the parents."""
    killer = [os.path.join(_system_directory(), "taskkill.exe"), "/t", "/f", "/pid", str(process.pid)]
    try:
        subprocess.run(  # pylint: disable=ansible-bad-function
            killer, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
        )
    finally:
        process.kill()


def _system_directory() -> str:
    return os.path.join(os.environ.get("SYSTEMROOT", "C:\\Windows"), "System32")
