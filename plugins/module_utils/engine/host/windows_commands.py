# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts a command of a site without a window, so that it can be ended with all its processes (Windows)."""

from __future__ import annotations

import subprocess
from typing import List

from .windows_calls import system_folder
from .windows_process_tree import ProcessTree, start_tree

__all__ = ["ProcessTree", "start_command", "start_tree"]


def start_command(words: List[str]) -> ProcessTree:
    """Start it with one pipe for its output and its errors. :raises OSError: :raises ValueError:"""
    return start_tree(words, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, folder=system_folder())
