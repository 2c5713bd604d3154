# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leaves the document of a run in the directory of results; the module of the same name documents it."""

from __future__ import annotations

import json
import os
import re
import time
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence

from ansible.errors import AnsibleError
from ansible_collections.plantops.imaging.plugins import module_utils
from ansible_collections.plantops.imaging.plugins.module_utils._arguments import RUN_RESULT, without_code
from ansible_collections.plantops.imaging.plugins.module_utils.engine.agent.protocol import ALIVE, ENDED
from ansible_collections.plantops.imaging.plugins.module_utils.engine.agent.redaction import Redactor
from ansible_collections.plantops.imaging.plugins.module_utils.engine.device.identity import device_directory
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    AgentAnswerInvalid,
    DeviceAnswerEndless,
    DeviceLinkLost,
    EngineError,
    HookFailed,
    PlayTaskFailed,
    PythonNotFound,
    ResultNotWritten,
    RunCancelled,
)
from ansible_collections.plantops.imaging.plugins.module_utils.engine.fleet import results_directory, run_result
from ansible_collections.plantops.imaging.plugins.module_utils.engine.tame import one_line
from ansible_collections.plantops.imaging.plugins.module_utils.settings.setting import Setting
from ansible_collections.plantops.imaging.plugins.module_utils.settings.table import SETTINGS
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.action import DeviceAction
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.agent import PYTHONS
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.answers import parse, said
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.link import Link
from ansible_collections.plantops.imaging.plugins.plugin_utils._warnings import unnamed

_RUN_PROGRAM = (
    'program=$1; shift; for python in "$@"; do '
    "if \"$python\" -c 'import sys; sys.exit(sys.version_info[:2] < (3, 8))' 2>/dev/null; then "
    'exec "$python" "$program"; fi; done; exit 127'
)
_NO_PYTHON = 127
# Failures of the play that leave the end of its run unknown; how the run ended takes the place of such a document.
_END_NOT_SEEN = (DeviceLinkLost.code, DeviceAnswerEndless.code, AgentAnswerInvalid.code)
# As plugin_utils/_device/run.py names the runs: verb, digest of the settings, time, random.
_RUN = re.compile(r"(image|restore)-[0-9a-f]{16}-(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)-[0-9a-f]{6}", re.ASCII)


class ActionModule(DeviceAction):
    """Composes the document on the controller, and writes it on the host that the task is delegated to."""

    spec = RUN_RESULT

    def work(self, arguments: Dict[str, Any]) -> Dict[str, Any]:
        document = self._document(arguments)
        is_pending = arguments["result"].get("state") in ALIVE and not arguments["result"].get("failed")
        if is_pending and not arguments["directory"]:
            return {"changed": False, "document": None, "path": None}
        # A failure to write it does not hide how the run ended, or that it is still in progress.
        self.done["document"] = None if is_pending else document
        if not arguments["directory"] or self._task.check_mode:
            return {"changed": False, "document": document, "path": None}
        name = _name_of_run(document["run"]) or run_result.file_name(arguments["moment"], arguments["verb"])
        documents = [] if is_pending else [{"name": name, "document": document, "replaces": arguments["replaces"]}]
        ended = _ended(document["device"], arguments["result"].get("ended_runs") or [])
        missed = [_note_missed(one["document"], arguments.get("hooks") or []) for one in ended]
        documents += ended
        if not documents:
            return {"changed": False, "document": None, "path": None}
        order = {"directory": arguments["directory"], "device": document["device"], "documents": documents}
        left = self._carry_out(order)
        for sentence, (dummy_path, is_new) in zip(missed, left[len(documents) - len(ended) :]):
            if sentence and is_new:
                self.say(sentence)
        path = None if is_pending else left[0][0]
        shown = None if is_pending else document
        return {
            "changed": any(is_new for dummy_path, is_new in left),
            "document": shown,
            "path": path,
            "stored_runs": _stored(documents, None if is_pending else _followed(arguments["result"])),
        }

    def _document(self, arguments: Dict[str, Any]) -> Dict[str, Any]:
        result = unnamed(self._host, arguments["result"])
        device = _folder(arguments["device_alias"], arguments["device_name"])
        status = result.get("status")
        if isinstance(status, dict) and status.get("state") in ENDED and not result.get("failed"):
            # The task looked at a run that had ended, or came too late to cancel it: the document is that of the run.
            error = status.get("error") or self._error(result, arguments["others"], arguments["hook"])
            return dict(_of_status(device, status, error), verb=arguments["verb"])
        run = run_result.Run(
            device=device,
            verb=arguments["verb"],
            job=str(result.get("job") or arguments["job"]),
            started=arguments["started"],
            ended=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            run=str(result.get("run") or ""),
        )
        if arguments["verb"] == "rollover":
            result = _with_jobs(result, arguments["others"])
        return run_result.compose(run, result, self._error(result, arguments["others"], arguments["hook"]))

    def _error(
        self, result: Mapping[str, Any], others: List[Dict[str, Any]], hook: Mapping[str, Any]
    ) -> Optional[Dict[str, Any]]:
        """Return the failure of the run's own task, or of another task of the entry point, or of a hook."""
        if result.get("state") == "cancelled" and not result.get("failed"):
            return RunCancelled().as_dict()  # the task did what it was asked for: it cancelled the run
        failed = next((one for one in _flat([result, *others]) if one.get("failed") or one.get("unreachable")), None)
        if failed is None and hook:
            reason = one_line(self._redacted(str(hook.get("reason"))).strip().rstrip("."))
            words = {"hook": str(hook.get("hook")), "file": str(hook.get("file"))}
            return HookFailed(reason=reason[: run_result.MAX_TEXT_CHARACTERS], **words).as_dict()
        if failed is None:
            # A task that never began: its host was lost, or a task of the play's own failed.
            return (
                None
                if result
                else PlayTaskFailed(reason="it was refused before the run began, or the host was lost").as_dict()
            )
        if failed.get("error_code"):
            return without_code(dict(failed))
        if failed.get("ok") is False:
            return None  # a verify, which says itself what it found
        reason = one_line(self._redacted(str(failed.get("msg") or "it names no reason")).strip().rstrip("."))
        return PlayTaskFailed(reason=reason[: run_result.MAX_TEXT_CHARACTERS]).as_dict()

    def _redacted(self, text: str) -> str:
        """Take the secrets of the settings out of what a task of Ansible's says."""
        redact = Redactor()
        for setting in SETTINGS:
            if _holds_secrets(setting):
                redact.learn(list(_secrets_in(setting, self._value(setting.variable))))
        return redact(text)

    def _value(self, name: str) -> Any:
        try:
            return self._templar.template(self._vars.get(name))
        except AnsibleError:  # a lookup that fails, or a vault without its password: the text does not contain it
            return None

    def _carry_out(self, order: Dict[str, Any]) -> List[List[Any]]:
        if self.is_local() and not self.local_user():
            answer = results_directory.carry_out(order)
        else:
            answer = self._over_link(order)
        if not answer.get("ok"):
            raise ResultNotWritten(path=str(answer.get("path")), reason=str(answer.get("reason")))
        return list(answer["left"])

    def _over_link(self, order: Dict[str, Any]) -> Dict[str, Any]:
        link = Link(self, self._host, self.say, 600.0)
        folder = os.path.join(next(iter(module_utils.__path__)), "engine", "fleet")
        program = link.put(os.path.join(folder, "results_directory.py"), "results_directory.py")
        named = self._interpreter()
        pythons = [named] if named else list(PYTHONS)
        answer = link.run(["/bin/sh", "-c", _RUN_PROGRAM, "sh", program, *pythons], json.dumps(order).encode("ascii"))
        if answer.status == _NO_PYTHON:
            raise PythonNotFound(device=self._host, names=", ".join(pythons))
        lines = [line for line in answer.stdout.splitlines() if line.startswith("{")]
        try:
            return parse(lines[-1] if lines else "")
        except ValueError:
            return {
                "ok": False,
                "path": order["directory"],
                "reason": said(answer.stdout, answer.stderr) or "no answer",
            }


def _holds_secrets(setting: Setting) -> bool:
    return setting.secret or any(_holds_secrets(one) for one in setting.options)


def _secrets_in(setting: Setting, value: Any) -> Iterator[Any]:
    """The secrets in the value of a setting, those of the dictionaries inside it too, such as a job's storage."""
    if setting.secret:
        yield value
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, dict):
            for option in setting.options:
                yield from _secrets_in(option, one.get(option.name))


def _name_of_run(run: Optional[str]) -> str:
    """The name of the document of an agent's run, which every play that leaves it gives it."""
    found = _RUN.fullmatch(run or "")
    if found is None:
        return ""
    verb, year, month, day, hour, minute, second = found.groups()
    return run_result.file_name("%s-%s-%s_%s-%s-%s" % (year, month, day, hour, minute, second), verb)


def _with_jobs(result: Mapping[str, Any], others: List[Dict[str, Any]]) -> Dict[str, Any]:
    """The result of a rollover with what was deleted in the storages that jobs have for themselves."""
    jobs = {
        str(one["item"]): one
        for one in _flat(others)
        if "item" in one and isinstance(one.get("deleted"), list) and not one.get("failed")
    }
    return dict(result, jobs=jobs) if jobs else dict(result)


def _followed(result: Mapping[str, Any]) -> Optional[str]:
    """The run whose end the task saw. One that it only looked at stays; one whose device was lost is asked for again."""
    is_seen = result.get("state") in ENDED and "status" not in result
    return str(result["run"]) if is_seen and result.get("run") else None


def _stored(documents: List[Dict[str, Any]], followed: Optional[str]) -> List[str]:
    """The runs that the device need not keep any longer: the one that was followed, and those of earlier plays."""
    collected = [str(one["document"]["run"]) for one in documents if "supersedes" in one]
    return collected + [followed] if followed else collected


def _ended(device: str, statuses: List[Mapping[str, Any]]) -> List[Dict[str, Any]]:
    """The documents of runs whose play did not see their end, as the device's agent tells it."""
    documents = []
    for status in statuses:
        name = _name_of_run(str(status["run"]))
        if not name:
            continue  # started by another program than this collection
        document = _of_status(device, status, status.get("error"))
        documents.append({"name": name, "document": document, "supersedes": list(_END_NOT_SEEN)})
    return documents


def _note_missed(document: Dict[str, Any], hooks: Sequence[str]) -> str:
    """Add a warning about the hooks of a run whose end no play saw, and return it, "" where none was due."""
    due = [one for one in hooks if one == "after" or document["state"] != "ok"]
    if document["verb"] != "image" or not due:
        return ""
    words = (document["run"], "s" if len(due) > 1 else "", " and ".join(due))
    sentence = "No play saw the end of the run %s, so the hook%s %s may not have run after it." % words
    document["warnings"] = [*document["warnings"][: run_result.MAX_WARNINGS - 1], sentence]
    return sentence


def _of_status(device: str, status: Mapping[str, Any], error: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
    """The document of a run that ended, from the status that its agent keeps."""
    result = dict(status.get("result") or {}, warnings=status.get("warnings") or [])
    run = run_result.Run(
        device=device,
        verb=str(status["run"]).partition("-")[0],
        job=str(result.get("job") or ""),
        started=str(status.get("started")),
        ended=str(status.get("updated")),
        run=str(status["run"]),
    )
    return run_result.compose(run, result, error)


def _folder(alias: str, name: str) -> str:
    """The name of the device's folder: as in the storage, or what is left of a name that no storage takes."""
    try:
        return device_directory(alias, name)
    except EngineError:
        return run_result.safe_name("%s_%s" % (alias, name) if alias else name)


def _flat(results: Sequence[Mapping[str, Any]]) -> List[Mapping[str, Any]]:
    """The results, and in the place of one of a loop those of its turns."""
    found: List[Mapping[str, Any]] = []
    for one in results:
        found += [turn for turn in one.get("results") or [] if isinstance(turn, dict)] or [one]
    return found
