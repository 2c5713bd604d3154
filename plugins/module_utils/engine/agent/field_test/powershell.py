# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows' own answers, by its PowerShell: no code of the engine has a part in them."""

from __future__ import annotations

import os
import subprocess
from typing import List

from ...host import windows_calls

_SECONDS = 90


def lines_of(script: str) -> List[str]:
    """The lines that a script prints; none where it fails."""
    program = os.path.join(windows_calls.system_folder(), "WindowsPowerShell", "v1.0", "powershell.exe")
    words = [program, "-NoProfile", "-NonInteractive", "-Command", script]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_SECONDS)  # pylint: disable=ansible-bad-function
    return done.stdout.decode("ascii", "replace").splitlines()
