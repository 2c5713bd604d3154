# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Linux replaces, renames and deletes files that are open (Linux)."""

from __future__ import annotations

from typing import Callable, TypeVar

_Found = TypeVar("_Found")


def patiently(work: Callable[[], _Found]) -> _Found:
    """Do the work once."""
    return work()
