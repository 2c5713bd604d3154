# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows refuses to replace, rename or delete a file that another program has open, and to open one that is being replaced (Windows).

A virus scanner or a reader opens it for a moment only. Sources: "System Error Codes" 5, 32 and 33; CreateFile, sharing.
"""

from __future__ import annotations

import errno
import time
from typing import Callable, TypeVar

_Found = TypeVar("_Found")
_OPEN_ELSEWHERE = (5, 32, 33)  # ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION
_SECONDS = 5.0
_STEP_SECONDS = 0.02


def patiently(work: Callable[[], _Found]) -> _Found:
    """Do the work, again and again for five seconds while a file of it is open elsewhere."""
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            return work()
        except OSError as error:
            # os.open goes through the C runtime, which tells its own number alone.
            is_open = getattr(error, "winerror", None) in _OPEN_ELSEWHERE or error.errno == errno.EACCES
            if not is_open or time.monotonic() > deadline:
                raise
        time.sleep(_STEP_SECONDS)
