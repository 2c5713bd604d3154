# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One set of shadow copies: made in the order that the service wants, ended in every case.

A failure after the start of a set without AbortBackup would make each later set of the device fail. The class therefore
ends its set on every way out; a shadow copy that can't be deleted ends with the requester, or with the process.
"""

from __future__ import annotations

import contextlib
import random
import time
import uuid
from typing import Callable, List, NamedTuple, Optional, Sequence

from . import record
from .codes import FOR_A_WHILE, IN_PROGRESS, failed_state, words_of
from .copies import ShadowCopies
from .interface import CONTEXT_BACKUP, Components, Refused, Shadow


class Patience(NamedTuple):
    """How long a step may take before it counts as failed. Writers and providers of a busy device need minutes."""

    gather_seconds: float = 600.0
    prepare_seconds: float = 600.0
    make_seconds: float = 900.0
    complete_seconds: float = 300.0
    in_progress_seconds: float = 600.0  # while another program makes a shadow copy
    pause_seconds: float = 5.0  # the least pause between two tries
    tries: int = 3  # of a whole set that failed for a while


PATIENCE = Patience()


class VolumeRefused(Exception):
    """The service takes one volume into no set. The others are not to blame."""

    def __init__(self, volume: str, cause: Refused) -> None:
        super().__init__(volume, cause)
        self.volume = volume
        self.cause = cause


class ShadowSet(ShadowCopies):
    """The shadow copies of ``volumes``, of one moment, until :meth:`close`. ``shadows`` has them by their volumes.

    :raises VolumeRefused: :raises Refused: no shadow copy is left then.
    """

    def __init__(
        self,
        volumes: Sequence[str],
        *,
        make: Optional[Callable[[], Components]] = None,
        patience: Optional[Patience] = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._make = make or Components
        self._patience = patience or PATIENCE
        self._sleep = sleep
        self._clock = clock
        self._components: Optional[Components] = None
        self._set: Optional[uuid.UUID] = None
        self._take_patiently(volumes)

    def _take_patiently(self, volumes: Sequence[str]) -> None:
        deadline = self._clock() + self._patience.in_progress_seconds
        tries = 0
        while True:
            try:
                self._take(volumes, deadline)
                return
            except Refused as error:
                tries += error.code != IN_PROGRESS
                is_over = error.code == IN_PROGRESS and self._clock() >= deadline
                if error.code not in FOR_A_WHILE or tries >= self._patience.tries or is_over:
                    raise
                self._pause()

    def _pause(self) -> None:
        """Two programs that wait for each other would meet again without chance."""
        self._sleep(self._patience.pause_seconds * (1 + random.random()))

    def _take(self, volumes: Sequence[str], deadline: float) -> None:
        components = self._components = self._make()
        try:
            components.begin(CONTEXT_BACKUP)
            components.gather_writers(self._patience.gather_seconds)
            self._set = self._start(components, deadline)
            record.add(self._set)
            ids = {volume: _add(components, volume) for volume in volumes}
            components.prepare(self._patience.prepare_seconds)
            components.make(self._patience.make_seconds)
            self.remarks = _failed_writers(components, self._patience.gather_seconds)
            self.shadows = {volume: components.shadow(one) for volume, one in ids.items()}
        except BaseException:
            self._abort()
            raise

    def _start(self, components: Components, deadline: float) -> uuid.UUID:
        while True:
            try:
                return components.start_set()
            except Refused as error:
                if error.code != IN_PROGRESS or self._clock() >= deadline:
                    raise
            self._pause()

    def _abort(self) -> None:
        """End what was begun, also where the service refuses to: the requester is given back at last."""
        components = self._components
        if components is None:
            return
        self._components = None
        try:
            if self._set is not None:
                with contextlib.suppress(Refused):  # it is aborted already, or the service has ended
                    components.abort()
                self._delete(components, self._set)
        finally:
            self._release(components)

    @staticmethod
    def _delete(components: Components, set_id: uuid.UUID) -> str:
        """Delete the shadow copies; return why that failed. Then they stay on record, for the next run."""
        try:
            components.delete_set(set_id)
        except Refused as error:
            return words_of(error.code)
        with contextlib.suppress(OSError):  # the next run finds nothing to delete under this mark
            record.remove(set_id)
        return ""

    def _release(self, components: Components) -> None:
        self._set = None
        self.shadows = {}
        components.release()

    def is_lost(self, shadow: Shadow) -> str:
        """Why a shadow copy can't be read any more, "" where the service still has it."""
        if self._components is None:
            return "it was given back"
        try:
            self._components.shadow(shadow.shadow_id)
        except Refused as error:
            return "the service reports that %s" % words_of(error.code)
        return ""

    def close(self) -> List[str]:
        """Tell the writers that the backup is over, delete the shadow copies; return what failed."""
        components, set_id = self._components, self._set
        if components is None or set_id is None:
            return []
        self._components = None
        failed: List[str] = []
        try:
            try:
                components.complete(self._patience.complete_seconds)
            except Refused as error:
                failed.append("Windows did not end the backup of its writers: %s." % words_of(error.code))
                with contextlib.suppress(Refused):  # the failure before it is the one to name
                    components.abort()
            reason = self._delete(components, set_id)
            if reason:
                failed.append(
                    "Windows did not delete the shadow copies of this run: %s. The next run retries." % reason
                )
        finally:
            self._release(components)
        return failed


def _add(components: Components, volume: str) -> uuid.UUID:
    try:
        return components.add(volume)
    except Refused as error:
        if error.code in FOR_A_WHILE:
            raise
        raise VolumeRefused(volume, error) from error


def _failed_writers(components: Components, seconds: float) -> List[str]:
    """The writers that failed, as warnings: their volumes are frozen, their data may not be at rest."""
    try:
        states = components.writers(seconds)
    except Refused as error:
        return ["Windows does not tell how the writers stand: %s." % words_of(error.code)]
    return [
        "The writer %s %s (%s): what belongs to it is in the image as after a loss of power."
        % (one.name or "without a name", failed_state(one.state), words_of(one.code))
        for one in states
        if failed_state(one.state)
    ]
