# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts that decide whether the agent can be installed on this Windows: asked here only, so that a test gives other answers.

Sources: "Universal CRT deployment" (ucrtbase.dll), "LoadLibraryExW" (KB2533623 brings AddDllDirectory) of the Windows documentation.
"""

from __future__ import annotations

import os
import shutil
from typing import NamedTuple, Tuple

from . import windows_calls
from .windows_write_filters import WriteFilter, filters_of, has_tool


class PreflightFacts(NamedTuple):
    """The answers. ``volume`` is the drive of the agent's directory: ``C:``."""

    version: Tuple[int, int, int]
    machine: str  # as Windows calls it: AMD64, x86, ARM64
    has_runtime: bool
    has_search_flags: bool
    volume: str
    free_bytes: int
    filters: Tuple[WriteFilter, ...]


def gather(base: str) -> PreflightFacts:
    """Return what is known about this device for an agent in ``base``, which need not exist."""
    system = windows_calls.system_folder()
    volume = os.path.splitdrive(base)[0].upper()
    return PreflightFacts(
        windows_calls.version(),
        _machine(),
        os.path.isfile(os.path.join(system, "ucrtbase.dll")),
        hasattr(windows_calls.kernel32(), "AddDllDirectory"),
        volume,
        shutil.disk_usage(volume + "\\").free,
        tuple(one for one in filters_of(volume) if has_tool(one.kind)),
    )


def _machine() -> str:
    """The processor, also for a program of 32 bits."""
    return os.environ.get("PROCESSOR_ARCHITEW6432", "") or os.environ.get("PROCESSOR_ARCHITECTURE", "")
