# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time that this process was ready to work and other programs had the processors, on this system."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from .windows_processor_wait import ProcessorWait
else:
    from .linux_processor_wait import ProcessorWait

__all__ = ["ProcessorWait"]
