# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs of a controller for existing runs: status, cancel, runs, forget."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Dict, Optional

from ..errors import EngineError, RunNotEnded, RunUnknown
from ..install.owned_files import write_bytes
from .protocol import ENDED
from .spool import Spool
from .status import current_status

_LOOK_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 300.0


def status(
    spool: Spool, run: str, after: int, wait_seconds: float, known_warnings: Optional[int] = None
) -> Dict[str, Any]:
    """Return the status; wait for one with a number greater than ``after``, or until the run has ended.

    A warning beyond ``known_warnings`` does not wait: it may say that the storage is away, or that the night is too short.

    :raises RunUnknown:
    """
    folder = spool.existing(run)
    deadline = time.monotonic() + min(wait_seconds, LONGEST_WAIT_SECONDS)
    while True:
        found = current_status(spool, folder)
        is_news = known_warnings is not None and len(found.get("warnings") or []) > known_warnings
        if is_news or found["number"] > after or found["state"] in ENDED or time.monotonic() >= deadline:
            if found["state"] == "lost":
                tidy()
            return {"status": found}
        time.sleep(min(_LOOK_SECONDS, max(0.0, deadline - time.monotonic())))


def cancel(spool: Spool, run: str) -> Dict[str, Any]:
    """Ask the run to stop; one that has ended is left as it is. :raises RunUnknown:"""
    folder = spool.existing(run)
    found = current_status(spool, folder)
    if found["state"] not in ENDED:
        write_bytes(folder.file("cancel"), b"")
    return {"status": found}


def runs(spool: Spool) -> Dict[str, Any]:
    """Return id, state and times of every run that the spool knows, oldest first."""
    found = []
    for folder in spool.runs():
        with contextlib.suppress(RunUnknown):  # forgotten since it was listed
            state = current_status(spool, folder)
            found.append({name: state.get(name) for name in ("run", "state", "started", "updated")})
    return {"runs": sorted(found, key=lambda one: str(one["started"]))}


def tidy() -> Dict[str, Any]:
    """Remove what killed runs left outside of the spool: snapshots of logical volumes, which slow every write down."""
    from ..snapshot.open import remove_stale_snapshots

    try:
        removed, warnings = remove_stale_snapshots()
    except EngineError as error:
        removed, warnings = [], [str(error)]
    return {"changed": bool(removed), "removed": removed, "warnings": warnings}


def forget(spool: Spool, run: str) -> Dict[str, Any]:
    """Delete the files of a run that has ended. :raises RunNotEnded:"""
    try:
        spool.existing(run)
        with spool.start_lock(run):
            folder = spool.existing(run)
            if current_status(spool, folder)["state"] not in ENDED:
                raise RunNotEnded(run=run)
            spool.delete(folder)
    except RunUnknown:
        return {"changed": False}
    return {"changed": True}
