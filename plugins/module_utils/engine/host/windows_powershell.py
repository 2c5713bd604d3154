# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs short scripts of Windows PowerShell, which is in every Windows since 7 (versions 2 to 5.1).

A script holds no secret and no double quote, since it is one argument of a command line. Source: about_PowerShell_exe.
"""

from __future__ import annotations

import os
import subprocess
from typing import List

from .windows_calls import system_folder
from .windows_process_tree import start_tree

_PROGRAM = ("WindowsPowerShell", "v1.0", "powershell.exe")
_OPTIONS = ("-NoLogo", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-Command")
_MOST_CHARACTERS = 64 << 10


def run_script(script: str, seconds: float) -> List[str]:
    """Return the lines that the script prints; its errors are among them.

    :raises OSError: when PowerShell is not there, or does not end in time.
    """
    if '"' in script:
        raise AssertionError("a double quote would end the argument")
    words = [os.path.join(system_folder(), *_PROGRAM), *_OPTIONS, script]
    with start_tree(words, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, folder=system_folder()) as tree:
        try:
            output, dummy = tree.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            tree.end()
            tree.process.wait()
            raise TimeoutError("PowerShell did not end within %d seconds" % seconds) from None
    text = output.decode("utf-8", "replace")[:_MOST_CHARACTERS]
    return [line.strip() for line in text.splitlines() if line.strip()]
