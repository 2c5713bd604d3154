# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which shadow copies are this product's: written down before there is anything to leave behind.

A set ends with the process that made it, and with Windows; where it does not end, the next run finds it here. A shadow copy that
is made without writers stays until it is deleted, also over a start of Windows. Those of other programs are never deleted.
"""

from __future__ import annotations

import os
import uuid
from typing import Dict, List

from ...host.windows_calls import process_created
from ...host.windows_marks import Marks

SETS = Marks(r"SOFTWARE\plantops-imaging-shadow-copies", is_lasting=False)
COPIES = Marks(r"SOFTWARE\plantops-imaging-lasting-shadow-copies", is_lasting=True)
_COMING = "coming-"


def owner() -> str:
    """The words for this process: its number and the moment of its creation."""
    pid = os.getpid()
    return "%d:%d" % (pid, process_created(pid) or 0)


def add(set_id: uuid.UUID) -> None:
    """:raises OSError:"""
    SETS.set(str(set_id), owner())


def remove(set_id: uuid.UUID) -> None:
    """:raises OSError:"""
    SETS.remove(str(set_id))


def stale() -> List[uuid.UUID]:
    """The sets of processes that have ended. :raises OSError:"""
    return _ids_of_ended(SETS.all())


def announce(volume: str) -> str:
    """Write down that a copy of a volume is about to be made, whose id is not known yet; return the mark. :raises OSError:"""
    mark = "%s%s" % (_COMING, uuid.uuid4())
    COPIES.set(mark, "%s:%s" % (owner(), volume))
    return mark


def stale_copies() -> List[uuid.UUID]:
    """The lasting shadow copies of processes that have ended. :raises OSError:"""
    return _ids_of_ended(COPIES.all())


def stale_announcements() -> Dict[str, str]:
    """The volume for each mark of a process that ended while it made a copy. :raises OSError:"""
    found: Dict[str, str] = {}
    for name, value in COPIES.all().items():
        pid, dummy, rest = value.partition(":")
        created, dummy, volume = rest.partition(":")
        if name.startswith(_COMING) and not _is_running("%s:%s" % (pid, created)):
            found[name] = volume
    return found


def _ids_of_ended(marks: Dict[str, str]) -> List[uuid.UUID]:
    return [uuid.UUID(name) for name, value in marks.items() if _is_id(name) and not _is_running(value)]


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
