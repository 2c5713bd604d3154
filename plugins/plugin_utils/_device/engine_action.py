# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of the action plugins that run a verb of the engine on the device: through its agent, or as a process of
this machine.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import signal
from typing import Any, ClassVar, Dict, Iterator, List, Sequence, Tuple

from ansible_collections.plantops.imaging.plugins.module_utils._arguments import request_of, secrets_of
from ansible_collections.plantops.imaging.plugins.module_utils.engine.agent.protocol import ALIVE, ENDED
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    AgentAnswerInvalid,
    AgentMissing,
    RequestInvalid,
)

from .._progress.endings import has_written
from .._progress.interrupted import CANCELLED, FOLLOWED_RUNS, HERE, ON_DEVICE, Followed
from .._progress.reporter import ProgressReporter
from .._sentences import show_sentence
from .action import DeviceAction
from .agent import Agent, AgentRefused, Installation
from .answers import error_of, progress_of, result_of, said
from .process import EngineProcess
from .run import Handle, Runs

_VERBS = ("image", "restore")  # the verbs of a device
_MOST_ENDED_RUNS = 20


class EngineAction(DeviceAction):
    """Base of the action plugins that run a verb of the engine on the device."""

    verb: str
    required_if: ClassVar[Sequence[Tuple[str, Any, List[str]]]] = (("cancel", True, ["run"]),)
    _changed_before = False  # whether the task changed something before the run began: the agent

    def work(self, arguments: Dict[str, Any]) -> Dict[str, Any]:
        """Run the verb. A local device without an agent needs none: the engine is here already, as a process."""
        request = request_of(self.verb, arguments, self._task.check_mode)
        request["timestamp"] = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        needs_agent = not arguments.get("wait", True) or arguments.get("run") or arguments.get("after_command")
        with self._told_at_an_interrupt():
            if self.is_local() and not needs_agent and not self.has_local_agent(arguments.get("agent_directory") or ""):
                self._note("", HERE)
                return self._run_here(request, arguments)
            return self._run_there(request, arguments)

    @contextlib.contextmanager
    def _told_at_an_interrupt(self) -> Iterator[None]:
        """Have the run that this task notes shown if an interrupt of the play ends the task; a failure has its own message."""
        try:
            yield
        except Exception:
            FOLLOWED_RUNS.end(self._task._uuid, self._host)
            raise
        FOLLOWED_RUNS.end(self._task._uuid, self._host)

    def _note(self, run: str, fate: str) -> None:
        if not self._task.check_mode:  # which leaves nothing behind
            FOLLOWED_RUNS.begin(Followed(self._task._uuid, self._host, self.verb, run, fate))

    @functools.cached_property
    def _progress(self) -> ProgressReporter:
        return ProgressReporter(self._task._uuid, self._host, self.verb, show_sentence)

    def connection_lost(self, is_lost: bool) -> None:
        """Show it beside the device's progress."""
        self._progress.connection_lost(is_lost)

    def install(self, agent: Agent) -> Installation:
        """Show it beside the device's progress: over a slow line it takes minutes."""
        if agent.plan().changed:
            self._progress.enter("installing agent")
        return super().install(agent)

    def finish(self, event: Dict[str, Any]) -> Dict[str, Any]:
        """Turn the engine's result into the task's."""
        return event

    # -- through the agent ------------------------------------------------------------------------------------------

    def _run_there(self, request: Dict[str, Any], arguments: Dict[str, Any]) -> Dict[str, Any]:
        link = self.open_link(arguments)
        self._progress.enter("connecting")
        agent = self.look_at_agent(link, arguments)
        runs = Runs(link, agent, request, str(arguments.get("after_command") or ""))
        if arguments.get("run"):
            if not agent.current:
                raise AgentMissing(device=self._host, run=arguments["run"])
            return self._go_on(runs, arguments)
        if self._task.check_mode:
            return self._check(agent, runs, request, arguments)
        installed = self.install(agent)
        if arguments.get("collect"):
            self.done["ended_runs"] = self._ended_runs(agent)
        self._progress.enter("starting")
        handle = self._start(agent, runs, arguments)
        known: Dict[str, Any] = {"run": handle.run, "attached": handle.attached}
        self.done.update(known, changed=True)
        if "ended_runs" in self.done:
            known["ended_runs"] = self.done["ended_runs"]
        told = "the run %s is already in progress; following it" % handle.run if handle.attached else ""
        if not arguments.get("wait", True):
            if told:
                self.say(told)
            return self.with_agent(dict(known, changed=True, state=handle.status["state"]), installed)
        return self.with_agent(dict(self._follow(runs, handle.run, arguments, told), **known), installed)

    def _ended_runs(self, agent: Agent) -> List[Dict[str, Any]]:
        """Return what the device knows of runs that ended and whose documents were not stored."""
        found = []
        for run in [one["run"] for one in agent.call("runs")["runs"] if one["state"] in ENDED][-_MOST_ENDED_RUNS:]:
            verb = run.partition("-")[0]
            try:
                status = agent.call("status", run)["status"] if verb in _VERBS else {}
                if "result" in status:
                    status["result"] = result_of(verb, status["result"])
            except (AgentRefused, AgentAnswerInvalid, ValueError) as error:
                self.say("the result of the run %s is not available: %s" % (run, error))
                continue
            # Check mode leaves no document.
            if status and "bytes_to_send" not in status.get("result", {}):
                found.append(status)
        return found

    def _start(self, agent: Agent, runs: Runs, arguments: Dict[str, Any]) -> Handle:
        """Start the run. Even if the link fails during the start, the failed result has the handle."""
        changed = self._changed_before = self.done["changed"]

        def announce(run: str) -> None:
            self.done.update(run=run, changed=True)
            self._note(run, _fate(arguments))

        try:
            return self.mended(agent, lambda: runs.start(announce))
        except AgentRefused:
            self.done.pop("run", None)
            self.done["changed"] = changed
            raise

    def _go_on(self, runs: Runs, arguments: Dict[str, Any]) -> Dict[str, Any]:
        """Ask for a run that an earlier task started: follow it, look at it, or cancel it."""
        run = str(arguments["run"])
        status = runs.status(run)
        if arguments.get("cancel") and not self._task.check_mode and status["state"] in ALIVE:
            runs.cancel(run)
            ended = runs.follow(run, self._show_nothing)
            result = {"changed": True, "run": run, "state": ended["state"], "status": ended}
            self.tell("cancel", result)
            return result
        if arguments.get("cancel") or not arguments.get("wait", True) or self._task.check_mode:
            result = {"changed": False, "run": run, "state": status["state"], "status": status}
            if arguments.get("cancel"):
                self.tell("cancel", result)
            return result
        self._note(run, _fate(arguments))
        return dict(self._follow(runs, run, arguments), run=run, attached=True)

    def _check(self, agent: Agent, runs: Runs, request: Dict[str, Any], arguments: Dict[str, Any]) -> Dict[str, Any]:
        """Ask the present agent what the run would do. One that is too old or missing is not replaced for that."""
        planned = agent.plan()
        if not agent.is_useful():
            planned = agent.plan(anew=not planned.changed)
            warning = self.would_install(planned, "check mode can show the result of the job only with that agent")
            return self.with_agent({"changed": True, "warnings": [warning]}, planned)
        try:
            run = runs.start(lambda dummy_run: None).run
            result = self._follow(runs, run, arguments)
        except AgentRefused as refusal:
            if not planned.changed or refusal.error.get("code") != RequestInvalid.code:
                raise
            _check_request(request)
            warning = self.would_install(planned, "the present agent does not know this request: %s" % refusal)
            result = {"changed": True, "warnings": [warning]}
        return self.with_agent(result, planned)

    def _follow(self, runs: Runs, run: str, arguments: Dict[str, Any], told: str = "") -> Dict[str, Any]:
        """Follow a run to its end; ``told`` is said when an interrupt already does what the task asks for."""
        with _interruptible(bool(arguments.get("cancel_on_interrupt"))):
            try:
                if told:
                    self.say(told)
                status = runs.follow(run, self._progress.show)
            except KeyboardInterrupt:
                runs.cancel(run)
                raise
        self.done["state"] = status["state"]
        # A run whose document is to be stored stays until then: a play that is killed in between leaves it to the next one.
        if self._task.check_mode or not arguments.get("collect"):
            runs.forget(run)
        warnings = list(status.get("warnings") or [])
        if status["state"] != "done":
            self.done["changed"] = self._changed_before or has_written(self.verb, status)
            raise AgentRefused(status["error"], warnings)
        return dict(self._finished(status["result"], warnings), state=status["state"])

    def _show_nothing(self, dummy_status: Dict[str, Any]) -> None:
        """A run that is being cancelled has no progress."""

    # -- as a process of this machine ---------------------------------------------------------------------------------

    def _run_here(self, request: Dict[str, Any], arguments: Dict[str, Any]) -> Dict[str, Any]:
        process = self.process(request, arguments)
        self._progress.enter("starting")
        warnings: List[str] = []
        last: Dict[str, Any] = {"phase": "starting"}

        def on_event(event: Dict[str, Any]) -> None:
            if event.get("event") == "status":
                told = progress_of(event)
                last.update(phase_before="")
                last.update(told)
                self._progress.show(dict(told, warnings=warnings))
            elif event.get("event") == "warning":
                warnings.append(said(str(event.get("message"))))

        try:
            event = process.run(on_event)
        except ValueError as error:
            raise self.invalid(error) from None
        if self.verb == "restore" and event["event"] == "error":
            self.done["changed"] = has_written(self.verb, dict(last, state="failed"))
        return self.closed(event, warnings)

    def process(self, request: Dict[str, Any], arguments: Dict[str, Any]) -> EngineProcess:
        """Return the engine's process, which has not begun."""
        return EngineProcess(request, secrets_of(self.spec, arguments), self.local_prefix())

    # -- both -----------------------------------------------------------------------------------------------------------

    def closed(self, event: Dict[str, Any], warnings: List[str]) -> Dict[str, Any]:
        """Return the task's result for the closing event of a process. :raises AgentRefused: for a failure."""
        try:
            refusal = error_of(event) if event["event"] == "error" else None
        except ValueError as error:
            raise self.invalid(error) from None
        if refusal is not None:
            raise AgentRefused(refusal, warnings)
        return self._finished(event, warnings)

    def _finished(self, event: Dict[str, Any], warnings: List[str]) -> Dict[str, Any]:
        """Return the task's result; nothing of the engine's gets into it but what the module documents."""
        try:
            result = result_of(self.verb, event)
        except ValueError as error:
            raise self.invalid(error) from None
        warnings += [warning for warning in result.pop("warnings", []) if warning not in warnings]
        self.tell(self.verb, result)
        return dict(self.finish(result), warnings=warnings)

    def invalid(self, error: ValueError) -> AgentAnswerInvalid:
        return AgentAnswerInvalid(device=self._host, command=self.verb, status=0, words=said(str(error)))


def _fate(arguments: Dict[str, Any]) -> str:
    return CANCELLED if arguments.get("cancel_on_interrupt") else ON_DEVICE


def _check_request(request: Dict[str, Any]) -> None:
    """Check a request that an older agent has refused: a key that only this version knows is not a mistake of the user.

    :raises RequestInvalid: when this version refuses it, too.
    """
    # Loaded in this case alone: it takes half the engine along.
    from ansible_collections.plantops.imaging.plugins.module_utils.engine.verbs.request import parse

    parse(request)


@contextlib.contextmanager
def _interruptible(wanted: bool) -> Iterator[None]:
    """Let an interrupt of the play arrive as an exception, once; without it Ansible ends the worker on the spot."""
    if not wanted:
        yield
        return

    numbers = (signal.SIGINT, signal.SIGTERM)

    def interrupt(dummy_number: int, dummy_frame: Any) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)  # Ansible sends one after the other; the cancelling needs a moment
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
