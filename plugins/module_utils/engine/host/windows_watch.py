# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits until the names in a directory change (Windows) [FindFirstChangeNotification, WaitForSingleObject]."""

from __future__ import annotations

import ctypes
import time

from .windows_calls import kernel32

_FILE_NAME = 1  # FILE_NOTIFY_CHANGE_FILE_NAME
_INVALID = ctypes.c_void_p(-1).value


class DirectoryWatch:
    """A watch on one directory. Where Windows offers none, every wait takes its whole time."""

    def __init__(self, path: str) -> None:
        call = kernel32().FindFirstChangeNotificationW
        call.restype = ctypes.c_void_p
        handle = call(ctypes.c_wchar_p(path), False, _FILE_NAME)
        self._handle = None if handle == _INVALID else ctypes.c_void_p(handle)

    def wait(self, seconds: float) -> None:
        """Return when a name was added, changed or removed since the last wait, and after ``seconds`` at the latest."""
        if self._handle is None:
            time.sleep(seconds)
        elif kernel32().WaitForSingleObject(self._handle, int(seconds * 1000)) == 0:
            kernel32().FindNextChangeNotification(self._handle)

    def close(self) -> None:
        if self._handle is not None:
            kernel32().FindCloseChangeNotification(self._handle)
