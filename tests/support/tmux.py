# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real terminal for tests: a tmux server of its own with one window, whose screen and history can be read."""

from __future__ import annotations

import shlex
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Callable, Dict, List, Optional, Type


class Tmux:
    """One window in which one command runs; it stays open when the command has ended."""

    def __init__(
        self, folder: Path, command: List[str], environment: Dict[str, str], columns: int = 110, rows: int = 40
    ) -> None:
        self._socket = folder / "tmux.socket"
        self._status = folder / "tmux.status"
        self._status.unlink(missing_ok=True)
        exports = " ".join("%s=%s" % (name, shlex.quote(value)) for name, value in environment.items())
        words = " ".join(shlex.quote(word) for word in command)
        # A shell that the interrupt of the terminal spares, as an interactive one is.
        script = "trap : INT\nenv -i %s %s\necho $? > %s\nexec sleep 1000\n" % (exports, words, self._status)
        path = folder / "tmux.sh"
        path.write_text(script, encoding="utf-8")
        size = ["-x", str(columns), "-y", str(rows)]
        self._tmux("-f", "/dev/null", "new-session", "-d", *size, "sh %s" % shlex.quote(str(path)))

    def __enter__(self) -> Tmux:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._tmux("kill-server")

    def screen(self) -> List[str]:
        """The rows on the screen."""
        return self._tmux("capture-pane", "-p").splitlines()

    def everything(self) -> List[str]:
        """The lines of the screen and of what scrolled away, wrapped ones joined."""
        lines = self._tmux("capture-pane", "-p", "-J", "-S", "-").splitlines()
        return [line.rstrip() for line in lines]

    def resize(self, columns: int, rows: int) -> None:
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def press(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    def cursor(self) -> Dict[str, int]:
        """Whether the cursor is visible, and in which column it stands."""
        visible, column, wraps = self._tmux("display-message", "-p", "#{cursor_flag} #{cursor_x} #{wrap_flag}").split()
        return {"visible": int(visible), "column": int(column), "wraps": int(wraps)}

    def wait_for(self, fits: Callable[[List[str]], bool], seconds: float = 120) -> List[str]:
        """Return the screen when it fits."""
        end = time.monotonic() + seconds
        while True:
            screen = [line.rstrip() for line in self.screen()]
            if fits(screen):
                return screen
            assert time.monotonic() < end, "\n".join(screen)
            time.sleep(0.1)

    def wait_for_end(self, seconds: float = 300) -> int:
        """Return the exit status of the command."""
        self.wait_for(lambda dummy_screen: self._status.exists() and bool(self._status.read_text()), seconds)
        return int(self._status.read_text())

    def _tmux(self, *words: str) -> str:
        command = ["tmux", "-S", str(self._socket), *words]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
