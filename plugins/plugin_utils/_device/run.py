# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run on a device: started or found again, given its secrets, followed to its end.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import secrets
import time
from typing import Any, Callable, Dict, NamedTuple

from ansible_collections.plantops.imaging.plugins.module_utils.engine.agent.protocol import ALIVE, RUN_ID
from ansible_collections.plantops.imaging.plugins.module_utils.engine.agent.request_secrets import split
from ansible_collections.plantops.imaging.plugins.module_utils.engine.agent.sealing import seal
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import AgentAnswerInvalid, RunLives

from .._progress.endings import WAITING
from .agent import Agent, AgentRefused
from .link import Link

# How long the device waits for news before it answers: short at first, then a twentieth of what the run took so far, so
# that a run of eight hours costs the controller about 350 questions.
_SHORTEST_WAIT_SECONDS = 2
_SHORTEST_PAUSE_SECONDS = 1.0  # from question to question, also of a device that does not wait
_LONGEST_WAIT_SECONDS = 120
_WAIT_SHARE = 20
_STALLED_WAIT_SECONDS = 10  # while the run itself waits for a storage: the play says within that time that it continues
# No status ever has this number: the question is answered when the time is over or the run has ended.
_AFTER_EVERYTHING = 10**12


class Handle(NamedTuple):
    """A run in progress; ``attached`` when another task started it."""

    run: str
    attached: bool
    status: Dict[str, Any]


def name_of(public_request: Dict[str, Any]) -> str:
    """Return the prefix of the ids of all runs of this request: the verb and a digest of the settings without secrets."""
    settings = {name: value for name, value in public_request.items() if name != "timestamp"}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:16]
    return "%s-%s-" % (public_request["verb"], digest)


class Runs:
    """The runs of one request on one device."""

    def __init__(self, link: Link, agent: Agent, request: Dict[str, Any], after: str = "") -> None:
        """``after``: the name of a command that the device runs at the end of the run."""
        self._link = link
        self._agent = agent
        self._public, self._hidden = split(request)
        self._name = name_of(self._public)
        self._after = ("--after", after) if after else ()
        self._tells_warnings = True

    def start(self, announce: Callable[[str], None]) -> Handle:
        """Start a run, or find the one of this request that lives, and see that it gets its secrets.

        ``announce`` gets the handle before the device is asked: a link that breaks in that moment leaves a run behind.

        :raises AgentRefused: when it can't start; another request's run lives, for one.
        """
        document = json.dumps(dict(self._public, controller_seconds=int(time.time())), sort_keys=True).encode()
        moment = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
        run = new = "%s%s-%s" % (self._name, moment, secrets.token_hex(3))
        announce(new)
        try:
            answer = self._agent.call("start", new, self._link.put_data(document, "job.json"), *self._after)
        except AgentRefused as refusal:
            found = self._living_one(refusal)
            if not found:
                raise
            run = found
            announce(run)
            answer = self._agent.call("start", run, self._link.put_data(document, "job.json"), *self._after)
        self._agent.expect(answer["run"] == run, "start", "its response contains the run %s" % answer["run"])
        if answer["status"]["state"] == "waiting":
            self._deliver(answer)
        return Handle(run, run != new, answer["status"])

    def _living_one(self, refusal: AgentRefused) -> str:
        """Return the run of this request for which the device has refused a new one, "" where there is none.

        It may have ended since: its result is the one that the task asks for, too.
        """
        known = [one for one in self._agent.call("runs")["runs"] if self._is_ours(one["run"])]
        living = [one["run"] for one in known if one["state"] in ALIVE]
        if not living and refusal.error.get("code") == RunLives.code:
            living = [one["run"] for one in known if one["run"] in str(refusal.error.get("message"))]
        return str(living[0]) if living else ""

    def status(self, run: str) -> Dict[str, Any]:
        return self._status(run)

    def follow(self, run: str, show: Callable[[Dict[str, Any]], None]) -> Dict[str, Any]:
        """Return the last status of the run, and show those before."""
        self._link.drop_folder()
        began = time.monotonic()
        status: Dict[str, Any] = {}
        while True:
            asked = time.monotonic()
            status = self._news(run, _seconds_to_wait(asked - began, status), len(status.get("warnings") or []))
            show(status)
            if status["state"] not in ALIVE:
                return status
            time.sleep(max(0.0, asked + _SHORTEST_PAUSE_SECONDS - time.monotonic()))

    def cancel(self, run: str) -> None:
        self._agent.call("cancel", run)

    def forget(self, run: str) -> None:
        """Delete what the device keeps of a run that has ended."""
        self._agent.call("forget", run)

    def _news(self, run: str, wait: int, known_warnings: int) -> Dict[str, Any]:
        """The status after a while, or as soon as there is another warning; an earlier agent does not know the second."""
        words = ("--after", str(_AFTER_EVERYTHING), "--wait", str(wait))
        if self._tells_warnings:
            try:
                return self._status(run, *words, "--known-warnings", str(known_warnings))
            except AgentAnswerInvalid:
                self._tells_warnings = False
        return self._status(run, *words)

    def _status(self, run: str, *words: str) -> Dict[str, Any]:
        status: Dict[str, Any] = self._agent.call("status", run, *words)["status"]
        self._agent.expect(status["run"] == run, "status", "its response contains the run %s" % status["run"])
        return status

    def _is_ours(self, run: str) -> bool:
        """Whether the id, which comes from the device, is one that this request's runs are given."""
        return run.startswith(self._name) and bool(RUN_ID.fullmatch(run))

    def _deliver(self, hello: Dict[str, Any]) -> None:
        sealed = seal(hello, self._hidden)
        path = self._link.put_data(json.dumps(sealed).encode(), "sealed.json")
        self._agent.call("deliver", hello["run"], path)


def _seconds_to_wait(followed_seconds: float, status: Dict[str, Any]) -> int:
    """How long the device may keep the next answer back."""
    share = int(min(_LONGEST_WAIT_SECONDS, max(_SHORTEST_WAIT_SECONDS, followed_seconds / _WAIT_SHARE)))
    is_stalled = str(status.get("phase")).startswith(WAITING)
    return min(share, _STALLED_WAIT_SECONDS) if is_stalled else share
