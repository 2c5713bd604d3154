# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps what is in the memory of this process out of crash dialogs (Windows).

The memory of a process of SYSTEM is closed to every user but administrators; there is no call to close it to these.
"""

from __future__ import annotations

from . import windows_calls


def share_one_arena() -> bool:
    """The heap of Windows has no arenas per thread."""
    return False


def close_memory() -> None:
    """Let a crash end the process at once, without the dialog that offers to debug it."""
    windows_calls.show_no_dialogs()
