# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the answers of a device before they are used: bounds, the types and the names of docs/agent.md, no others.

An attacker may control a device. Its answers become part of a task's result, where names such as ``ansible_facts`` or
``add_host`` would steer the controller, of commands, and of a terminal's output.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any, Callable, Dict, Iterable

from ansible_collections.plantops.imaging.plugins.module_utils.engine.agent.protocol import RUN_ID, STATES
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.probe import IDENTITY, SHA256
from ansible_collections.plantops.imaging.plugins.module_utils.engine.tame import one_line, tame

MAX_ANSWER_CHARACTERS = 8 << 20
_MAX_SAID_CHARACTERS = 1000
_Check = Callable[[Any], bool]
_Checks = Dict[str, _Check]


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1 << 63


def _is_signed(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -(1 << 63) < value < 1 << 63


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and _is_number(value)


def _is_path(value: Any) -> bool:
    return _text(4096)(value) and value.isprintable() and os.path.isabs(value)


def _is_state(value: Any) -> bool:
    return isinstance(value, str) and value in STATES


def _text(most: int) -> _Check:
    return lambda value: isinstance(value, str) and len(value) <= most


def _matching(pattern: str) -> _Check:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _or_null(check: _Check) -> _Check:
    return lambda value: value is None or check(value)


def _list_of(check: _Check, most: int = 100_000) -> _Check:
    return lambda value: isinstance(value, list) and len(value) <= most and all(check(one) for one in value)


def _dicts_by_name(value: Any) -> bool:
    return isinstance(value, dict) and len(value) <= 1000 and all(isinstance(one, dict) for one in value.values())


_NAME = _text(500)
_SENTENCE = _text(20_000)
_IS_IDENTITY = _matching(IDENTITY.pattern)
_IS_RUN = _matching(RUN_ID.pattern)
_WARNINGS = _list_of(_SENTENCE, 1000)
_ERROR: _Checks = {"code": _matching(r"[A-Z][0-9]{3}"), "message": _SENTENCE, "hint": _SENTENCE}
_PROGRESS: _Checks = dict(
    dict.fromkeys(("bytes_in_use", "bytes_done", "bytes_stored", "rate_bytes_per_second"), _is_number),
    phase=_NAME,
    phase_before=_NAME,
    remaining_seconds=_or_null(_is_number),
)
_STATUS: _Checks = dict(
    _PROGRESS,
    number=_is_whole,
    run=_IS_RUN,
    state=_is_state,
    warnings=_WARNINGS,
    started=_or_null(_NAME),
    updated=_or_null(_NAME),
    result=_is_dict,
    error=_is_dict,
)
_RUN: _Checks = {name: _STATUS[name] for name in ("run", "state", "started", "updated")}
_HELLO: _Checks = {"run": _IS_RUN, "status": _is_dict, "public_key": _or_null(_NAME), "nonce": _or_null(_NAME)}
_CHANGED: _Checks = {"changed": _is_bool}
_ANSWERS: Dict[str, _Checks] = {
    "probe": {
        "base": _is_path,
        "platform": _matching(r"[0-9A-Za-z._]+(-[0-9A-Za-z._]+){3}"),
        "parts": _list_of(_matching(SHA256.pattern)),
        "versions": _list_of(_IS_IDENTITY),
        "current": _or_null(_IS_IDENTITY),
        "previous": _or_null(_IS_IDENTITY),
        "unsafe": _or_null(_SENTENCE),
    },
    "install": dict(_CHANGED, installed=_IS_IDENTITY, replaced=_or_null(_IS_IDENTITY)),
    "remove": _CHANGED,
    "version": {"protocol": _is_whole, "platform": _or_null(_NAME)},  # none: started by the service of Windows
    "info": {"information": _is_dict, "document": _is_dict},
    "start": _HELLO,
    "deliver": {"run": _IS_RUN, "status": _is_dict},
    "status": {"status": _is_dict},
    "cancel": {"status": _is_dict},
    "runs": {"runs": _list_of(_is_dict, 1000)},
    "tidy": dict(_CHANGED, removed=_list_of(_NAME, 1000), warnings=_WARNINGS),
    "forget": _CHANGED,
    "after-register": {"id": _IS_RUN},
    "after-run": {"outcome": _or_null(_is_dict), "due": _is_bool, "most_seconds": _is_whole},
}
_KINDS: _Checks = dict.fromkeys(("added", "removed", "changed"), _list_of(_is_dict))
_COMPARISON: _Checks = {
    "against": _NAME,
    "sections": _dicts_by_name,
    "count": _is_whole,
    "not_compared": _list_of(_is_dict),
}
_NEW = ("document",)  # fields that an agent of an earlier release does not tell
_SERVER_KEY: _Checks = {"storage_host_key": _NAME, "storage_host_key_is_new": _is_bool}
_OUTCOME: _Checks = {
    "exit_status": _or_null(_is_signed),
    "timed_out": _is_bool,
    "seconds": _is_number,
    "output": _SENTENCE,
    "reason": _NAME,
}
_DICTS = _list_of(_is_dict)
_DELETED: _Checks = {
    "deleted": _list_of(_NAME),
    "spared": _is_dict,
    "dry_run": _is_bool,
    "trashed_packs": _list_of(_NAME),
    "purged_packs": _list_of(_NAME),
    "freed_bytes": _is_number,
    "trash": _or_null(_is_dict),
}
# The fields that the modules document in RETURN, and ``warnings``, which become the task's warnings.
RESULTS: Dict[str, _Checks] = {
    "image": dict(
        _CHANGED,
        image=_or_null(_NAME),
        device=_NAME,
        job=_NAME,
        missing_disks=_DICTS,
        sequence=_is_whole,
        storage=_SENTENCE,
        bytes_in_use=_is_number,
        bytes_stored=_is_number,
        bytes_reused=_is_number,
        bytes_to_send=_is_number,
        bytes_to_send_most=_is_number,
        images=_list_of(_NAME),
        disks=_DICTS,
        plan=_DICTS,
        not_chosen=_DICTS,
        left_out=_DICTS,
        contested=_DICTS,
        outside_partitions=_DICTS,
        healed_packs=_list_of(_NAME),
        rollover=_or_null(_is_dict),
        device_changes=_DICTS,
        snapshot=_NAME,
        operating_system=_or_null(_NAME),
        seconds=_is_number,
        waited_seconds=_is_number,
        waited_disk_seconds=_is_number,
        waited_processor_seconds=_or_null(_is_number),
        warnings=_WARNINGS,
        comparison=_or_null(_is_dict),
        **_SERVER_KEY,
    ),
    "restore": dict(
        _CHANGED,
        image=_NAME,
        plan=_list_of(_SENTENCE),
        restore_plan=_is_dict,
        targets=_DICTS,
        disks=_DICTS,
        already_restored=_is_bool,
        read_back=_is_bool,
        boot=_is_dict,
        proof=_NAME,
        proof_reason=_SENTENCE,
        damaged=_DICTS,
        seconds=_is_number,
        warnings=_WARNINGS,
        **_SERVER_KEY,
    ),
    # Those of the verbs on the storage, which the engine tells under these names.
    "verify": dict(
        _CHANGED,
        image=_NAME,
        level=_NAME,
        ok=_is_bool,
        problems=_list_of(_SENTENCE),
        bad_packs=_list_of(_NAME),
        checked_bytes=_is_number,
        good_since=_or_null(_NAME),
        warnings=_WARNINGS,
        **_SERVER_KEY,
    ),
    "copy": dict(
        _CHANGED,
        image=_NAME,
        device=_NAME,
        target=_SENTENCE,
        authenticated=_or_null(_is_bool),
        **dict.fromkeys(("bytes", "bytes_copied", "bytes_kept", "bytes_to_copy"), _is_number),
        **dict.fromkeys(("packs", "packs_copied", "packs_to_copy"), _is_whole),
        images=_list_of(_NAME),
        pinned=_list_of(_NAME),
        seconds=_is_number,
        warnings=_WARNINGS,
        **_SERVER_KEY,
    ),
    "compare": dict(
        _CHANGED, image=_or_null(_NAME), comparison=_is_dict, diff=_is_dict, warnings=_WARNINGS, **_SERVER_KEY
    ),
    "history": dict(_CHANGED, image=_NAME, commit=_NAME, repository=_SENTENCE, warnings=_WARNINGS, **_SERVER_KEY),
    "archive": dict(
        _CHANGED,
        device=_NAME,
        image=_or_null(_NAME),
        archive=_SENTENCE,
        version=_or_null(_is_whole),
        comment=_text(2000),
        author=_NAME,
        checked_in=_or_null(_NAME),
        not_due=_is_bool,
        authenticated=_or_null(_is_bool),
        **dict.fromkeys(("bytes", "bytes_copied", "bytes_kept", "bytes_to_copy"), _is_number),
        **dict.fromkeys(("packs", "packs_copied", "packs_to_copy"), _is_whole),
        ok=_is_bool,
        problems=_list_of(_SENTENCE),
        versions=_DICTS,
        disks=_DICTS,
        changed_bytes=_or_null(_is_number),
        comparison=_or_null(_is_dict),
        device_changes=_DICTS,
        sections=_list_of(_NAME),
        diff=_is_dict,
        seconds=_is_number,
        warnings=_WARNINGS,
        **_SERVER_KEY,
    ),
    "list": dict(_CHANGED, images=_DICTS, devices=_DICTS, table=_list_of(_SENTENCE), warnings=_WARNINGS, **_SERVER_KEY),
    "devices": dict(_CHANGED, devices=_DICTS, table=_list_of(_SENTENCE), warnings=_WARNINGS, **_SERVER_KEY),
    "pin": dict(_CHANGED, image=_NAME, pinned=_is_bool, diff=_is_dict, warnings=_WARNINGS, **_SERVER_KEY),
    "rollover": dict(
        _CHANGED,
        images=_list_of(_NAME),
        missing_disks=_DICTS,
        diff=_is_dict,
        warnings=_WARNINGS,
        **_DELETED,
        **_SERVER_KEY,
    ),
    "rename": dict(
        _CHANGED,
        device=_NAME,
        former=_NAME,
        moved=_is_bool,
        images=_list_of(_NAME),
        diff=_is_dict,
        warnings=_WARNINGS,
        **_SERVER_KEY,
    ),
    "retire": dict(
        _CHANGED,
        device=_NAME,
        image=_or_null(_NAME),
        images=_list_of(_NAME),
        is_gone=_is_bool,
        diff=_is_dict,
        warnings=_WARNINGS,
        **_DELETED,
        **_SERVER_KEY,
    ),
    "check": dict(
        _CHANGED,
        storage=_SENTENCE,
        images=_is_whole,
        has_key=_is_bool,
        **dict.fromkeys(("may_delete", "may_replace", "may_rename"), _is_bool),
        clock_ahead_seconds=_or_null(_is_signed),
        round_trip_milliseconds=_is_number,
        write_mb_per_second=_is_number,
        free_bytes=_or_null(_is_number),
        total_bytes=_or_null(_is_number),
        trash=_or_null(_is_dict),
        warnings=_WARNINGS,
        **_SERVER_KEY,
    ),
}


def parse(text: str) -> Dict[str, Any]:
    """Return the JSON object in ``text``.

    :raises ValueError: when it is none, too large or too deep.
    """
    if len(text) > MAX_ANSWER_CHARACTERS:
        raise ValueError("the response is larger than %d characters" % MAX_ANSWER_CHARACTERS)
    try:
        document = json.loads(text)
    except RecursionError:
        raise ValueError("the response is nested too deeply") from None
    if not isinstance(document, dict):
        raise ValueError("the response is not a JSON object")
    return document


def answer_of(verb: str, document: Dict[str, Any]) -> Dict[str, Any]:
    """Return what docs/agent.md promises of the answer to ``verb``, and nothing else of it.

    :raises ValueError: when it says something else.
    """
    checks = _ANSWERS[verb]
    if document.get("ok") is not True:
        raise ValueError("ok is neither true nor false")
    answer = _fields(document, checks, [name for name in checks if name not in _NEW])
    if "status" in answer:
        answer["status"] = _status_of(answer["status"])
    if "runs" in answer:
        answer["runs"] = [_fields(one, _RUN, ("run", "state")) for one in answer["runs"]]
    if answer.get("outcome") is not None:
        answer["outcome"] = _fields(answer["outcome"], _OUTCOME, ("exit_status", "timed_out"))
    return dict(tame(answer))


def result_of(verb: str, document: Dict[str, Any]) -> Dict[str, Any]:
    """Return what a run of ``verb`` may put into the task's result.

    :raises ValueError: when one of it has another type.
    """
    result = _fields(document, RESULTS[verb], _CHANGED)
    if result.get("diff") is not None:
        sides = dict.fromkeys(("before", "after"), _text(MAX_ANSWER_CHARACTERS))
        result["diff"] = _fields(result["diff"], sides, sides)
    if result.get("comparison") is not None:
        # An agent of another release may tell it in another form; that is not one to show.
        is_known = "sections" in result["comparison"]
        result["comparison"] = _comparison_of(result["comparison"]) if is_known else None
    return dict(tame(result))


def _comparison_of(document: Dict[str, Any]) -> Dict[str, Any]:
    """Return a comparison of device documents as docs/device-information.md describes it, and nothing else."""
    comparison = _fields(document, _COMPARISON, ("against", "sections", "count"))
    sections = {str(name): _fields(kinds, _KINDS, _KINDS) for name, kinds in comparison["sections"].items()}
    return dict(comparison, sections=sections)


def error_of(document: Dict[str, Any]) -> Dict[str, Any]:
    """Return code, message and hint of a failure.

    :raises ValueError: when it has no such thing.
    """
    return dict(tame(_fields(document, _ERROR, _ERROR)))


def progress_of(document: Dict[str, Any]) -> Dict[str, Any]:
    """Return the figures of a status. :raises ValueError: when one is none."""
    return dict(tame(_fields(document, _PROGRESS, ())))


def said(*texts: str) -> str:
    """Return the last words of what a command printed, fit to be shown."""
    words = " ".join(texts)[-MAX_ANSWER_CHARACTERS:].split()[-40:]
    return one_line(" ".join(words)[-_MAX_SAID_CHARACTERS:])[-_MAX_SAID_CHARACTERS:]


def _status_of(document: Dict[str, Any]) -> Dict[str, Any]:
    status = _fields(document, _STATUS, ("run", "state"))
    if status["state"] == "done" and "result" not in status:
        raise ValueError("result is missing")
    if status["state"] in ("failed", "cancelled", "lost"):
        status["error"] = error_of(status.get("error", {}))
    return status


def _fields(document: Dict[str, Any], checks: _Checks, required: Iterable[str]) -> Dict[str, Any]:
    for name in required:
        if name not in document:
            raise ValueError("%s is missing" % name)
    for name, check in checks.items():
        if name in document and not check(document[name]):
            raise ValueError("%s is malformed" % name)
    return {name: document[name] for name in checks if name in document}
