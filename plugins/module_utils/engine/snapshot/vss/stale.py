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
from .interface import CONTEXT_ALL, Components, Refused


def remove_stale_shadow_copies() -> Tuple[List[str], List[str]]:
    """Delete the sets of processes that have ended; return their ids, and why others stay. Other programs' stay.

    :raises ShadowCopyFailed: when the service can't be asked.
    """
    try:
        sets = record.stale()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ShadowCopyFailed(volume="this device", step="the record of shadow copies", reason=reason) from error
    if not sets:
        return [], []
    removed: List[str] = []
    stays: List[str] = []
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
