# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lowest CPU, I/O and memory priority for this process, since the device runs a plant (Windows).

The background mode of a process (PROCESS_MODE_BACKGROUND_BEGIN) would do all three at once, but keeps its working set at
32 MiB, below what an image needs: it would page all night. The background mode of a thread reaches only threads that ask for
it themselves, and libraries start threads too. So the three parts are set one by one for the process: every
thread of it, present and later, takes them over.
"""

from __future__ import annotations

from typing import List

from . import windows_calls


def lower_priority() -> List[str]:
    """Lower the priorities as far as Windows lets us; return what took effect."""
    parts = (
        ("idle class", windows_calls.take_idle_class),
        ("I/O priority very low", windows_calls.take_lowest_input_output),
        ("first to go when memory is short", windows_calls.take_lowest_memory),
    )
    return [name for name, take in parts if take()]
