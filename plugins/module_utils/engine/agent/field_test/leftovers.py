# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes a folder of the field test. A process that ends, or a virus scanner, may hold a file in it for a moment."""

from __future__ import annotations

import os
import shutil

from .waiting import within

_SECONDS = 15.0


def remove_folder(path: str, seconds: float = _SECONDS) -> bool:
    """Remove a folder with its content, patiently; return whether that succeeded."""

    def is_removed() -> bool:
        shutil.rmtree(path, ignore_errors=True)
        return not os.path.lexists(path)

    return within(seconds, is_removed)
