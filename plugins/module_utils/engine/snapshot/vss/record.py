# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sets of shadow copies are this product's: written down before there is anything to leave behind.

Shadow copies end with the process that made them. Where they do not, the next run finds them here, and no others: those of
other programs are never deleted.
"""

from __future__ import annotations

import os
import uuid
from typing import List

from ...host import windows_marks
from ...host.windows_calls import process_created


def add(set_id: uuid.UUID) -> None:
    """:raises OSError:"""
    pid = os.getpid()
    windows_marks.set_mark(str(set_id), "%d:%d" % (pid, process_created(pid) or 0))


def remove(set_id: uuid.UUID) -> None:
    """:raises OSError:"""
    windows_marks.remove_mark(str(set_id))


def stale() -> List[uuid.UUID]:
    """The sets of processes that have ended. :raises OSError:"""
    return [uuid.UUID(name) for name, value in windows_marks.marks().items() if _is_id(name) and not _is_running(value)]


def _is_id(name: str) -> bool:
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False


def _is_running(value: str) -> bool:
    """Whether the process with this number and moment of creation runs, or can't be asked about."""
    pid, dummy, created = value.partition(":")
    if not (pid.isdigit() and created.isdigit()):
        return False
    found = process_created(int(pid))
    return found is None or (found != 0 and found == int(created))
