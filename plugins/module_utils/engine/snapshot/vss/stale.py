# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes the shadow copies that killed runs of this device left."""

from __future__ import annotations

import contextlib
from typing import List, Tuple

from ...errors import ShadowCopyFailed
from . import record
from .codes import words_of
from .crash_copies import delete_copy
from .interface import CONTEXT_ALL, Components, Refused

_MAYBE = (
    "A run was killed while Windows made a shadow copy of %s, so it is not known whether that copy is there. vssadmin list "
    "shadows shows it by the time of that run; vssadmin delete shadows /shadow=ID deletes it."
)


def remove_stale_shadow_copies() -> Tuple[List[str], List[str]]:
    """Delete the sets of processes that have ended; return their ids, and why others stay. Those of other programs stay.

    :raises ShadowCopyFailed: when the service can't be asked.
    """
    try:
        sets = record.stale()
        copies, announced = record.stale_copies(), record.stale_announcements()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ShadowCopyFailed(volume="this device", step="the record of shadow copies", reason=reason) from error
    removed: List[str] = []
    stays: List[str] = []
    for one in copies:
        reason = delete_copy(one)
        if reason:
            stays.append("Windows did not delete the shadow copy %s: %s." % (one, reason))
        else:
            removed.append(str(one))
    for mark, volume in announced.items():
        stays.append(_MAYBE % volume)
        with contextlib.suppress(OSError):  # then the next run reports it again
            record.COPIES.remove(mark)
    for one in sets:
        try:
            components = Components()
        except Refused as error:
            stays.append("Windows did not delete the shadow copies %s: %s." % (one, words_of(error.code)))
            continue
        try:
            components.begin(CONTEXT_ALL)
            components.delete_set(one)
            with contextlib.suppress(OSError):  # the next start finds nothing to delete under this mark
                record.remove(one)
            removed.append(str(one))
        except Refused as error:
            stays.append("Windows did not delete the shadow copies %s: %s." % (one, words_of(error.code)))
        finally:
            components.release()
    return removed, stays
