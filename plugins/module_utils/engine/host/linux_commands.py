# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts a command of a site in a separate session, and ends it with all its processes (POSIX)."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import IO, Dict, List, Optional, Union

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KEPT_ENVIRONMENT = ("HOME", "LANG", "LC_ALL", "TZ", "USER", "LOGNAME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")


_Stream = Union[int, IO[bytes], None]


class ProcessTree:
    """A program and all that it starts, as far as they stay in its session. Use as a context."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def end(self) -> None:
        """End all of them at once."""
        os.killpg(self.process.pid, signal.SIGKILL)

    def __enter__(self) -> ProcessTree:
        return self

    def __exit__(self, *dummy: object) -> None:
        """Programs that still run are left to themselves."""


def start_tree(
    words: Union[str, List[str]],
    *,
    stdin: _Stream,
    stderr: _Stream,
    folder: Optional[str] = None,
    environment: Optional[Dict[str, str]] = None,
) -> ProcessTree:
    """Start a program in a separate session; its output comes through a pipe. :raises OSError: :raises ValueError:"""
    return ProcessTree(
        subprocess.Popen(  # pylint: disable=ansible-bad-function
            words,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
    )


def start_command(words: List[str]) -> ProcessTree:
    """Start it with one pipe for its output and its errors. :raises OSError: :raises ValueError:"""
    environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    environment["PATH"] = _PATH
    return start_tree(words, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, folder="/", environment=environment)
