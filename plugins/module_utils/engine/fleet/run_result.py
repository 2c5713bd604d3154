# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The document of a run: one for every run of every verb, for people and for programs (docs/run-results.md).

Every field is there in every document; null where it does not apply. ``docs/schemas/result.json`` has the same fields.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from ..errors import ImageDamaged, RunCancelled
from ..tame import tame

SCHEMA_VERSION = 1
STATES = ("ok", "failed", "cancelled", "window_closed")
# The state of a failure that is not simply a failure.
STATE_OF_CODE: Dict[str, str] = {RunCancelled.code: "cancelled"}
FIELDS = (
    *("schema_version", "device", "job", "verb", "run", "image", "state", "error_code", "message", "hint"),
    *("started", "ended", "bytes_in_use", "bytes_stored", "rates", "snapshot", "comparison", "rollover"),
    *("verification", "warnings"),
)
MAX_WARNINGS = 100
MAX_TEXT_CHARACTERS = 4000
MAX_NAMES = 1000
MAX_COMPARISON_BYTES = 1 << 20
_VERB = re.compile(r"[a-z_]{1,32}", re.ASCII)
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)
_MAX_NAME_CHARACTERS = 120
_DELETING = ("rollover", "retire")  # verbs whose own result tells what was deleted
_ROLLOVER = ("deleted", "spared", "freed_bytes", "trashed_packs", "purged_packs", "images")


class Run(NamedTuple):
    """The facts of a run beside its result. Times are UTC, as ``2026-11-29T17:50:00Z``."""

    device: str
    verb: str
    job: str
    started: str
    ended: str
    run: str = ""  # the agent's handle


def compose(run: Run, result: Mapping[str, Any], error: Optional[Mapping[str, Any]] = None) -> Dict[str, Any]:
    """Return the document of a run that ended with ``result``, or failed with ``error``: code, message and hint."""
    problem = _problem(result, error)
    document: Dict[str, Any] = dict.fromkeys(FIELDS)
    document.update(
        schema_version=SCHEMA_VERSION,
        device=run.device,
        job=run.job,
        verb=run.verb,
        run=run.run or None,
        image=result.get("image") or None,
        state=_state(problem),
        started=run.started,
        ended=run.ended,
        bytes_in_use=_first(result, "bytes_in_use", "bytes", "checked_bytes"),
        bytes_stored=_first(result, "bytes_stored", "bytes_copied"),
        rates=_rates(result),
        snapshot=result.get("snapshot") or None,
        comparison=_comparison(result.get("comparison")),
        rollover=_rollover(run.verb, result),
        verification=_verification(run.verb, result),
        warnings=_warnings(result.get("warnings")),
    )
    if problem is not None:
        document["error_code"] = problem.get("code") or None
        document["message"] = str(problem.get("message") or "")[:MAX_TEXT_CHARACTERS]
        document["hint"] = str(problem.get("hint") or "")[:MAX_TEXT_CHARACTERS] or None
    return dict(tame(document))


def encode(document: Mapping[str, Any]) -> bytes:
    """Return the bytes that are stored: sorted, indented, ASCII."""
    return json.dumps(document, indent=2, sort_keys=True).encode("ascii") + b"\n"


def file_name(moment: str, verb: str) -> str:
    """Return ``<moment>-<verb>.json``; ``moment`` is local time, as ``2026-11-29_17-50-00``."""
    return "%s-%s.json" % (safe_name(moment), verb if _VERB.fullmatch(verb) else "run")


def safe_name(text: str) -> str:
    """Return ``text`` as the name of a file on any system; a name that is safe stays as it is."""
    name = _UNSAFE.sub("_", text)[:_MAX_NAME_CHARACTERS].strip(" .")
    return name or "_"


def _problem(result: Mapping[str, Any], error: Optional[Mapping[str, Any]]) -> Optional[Mapping[str, Any]]:
    if error is not None:
        return error
    if result.get("ok") is False:  # a verify that did its work and found damage
        problems = result.get("problems")
        words = " ".join(str(one) for one in problems) if isinstance(problems, list) else ""
        return {"code": ImageDamaged.code, "message": words or "The image is damaged."}
    return None


def _state(problem: Optional[Mapping[str, Any]]) -> str:
    return "ok" if problem is None else STATE_OF_CODE.get(str(problem.get("code")), "failed")


def _first(result: Mapping[str, Any], *names: str) -> Optional[int]:
    """The first of these figures that the result has."""
    return next((int(result[name]) for name in names if _is_number(result.get(name))), None)


def _rates(result: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
    seconds = result.get("seconds")
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
        return None
    found: Dict[str, Any] = {"seconds": round(seconds)}  # the documents of an image hold whole numbers only
    for name, size in (
        ("in_use_bytes_per_second", _first(result, "bytes_in_use", "bytes", "checked_bytes")),
        ("stored_bytes_per_second", _first(result, "bytes_stored", "bytes_copied")),
    ):
        found[name] = int(size / seconds) if size is not None and seconds > 0 else None
    for name in ("waited_seconds", "waited_disk_seconds", "waited_processor_seconds"):
        if name in result:
            found[name] = round(result[name]) if _is_number(result[name]) else None
    return found


def _comparison(comparison: Any) -> Optional[Dict[str, Any]]:
    """The comparison by sections. The two texts of a diff are not one, and of a giant only the count is kept."""
    if not isinstance(comparison, dict) or "sections" not in comparison:
        return None
    if len(json.dumps(comparison, default=str)) > MAX_COMPARISON_BYTES:
        return {"against": comparison.get("against"), "count": comparison.get("count"), "sections": None}
    return comparison


def _rollover(verb: str, result: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
    told = result if verb in _DELETING else result.get("rollover")
    if not isinstance(told, Mapping) or "deleted" not in told:
        return None
    found = _deletions(told)
    jobs = told.get("jobs") if verb in _DELETING else None
    if isinstance(jobs, Mapping) and jobs:
        found["jobs"] = {str(name): _deletions(one) for name, one in list(jobs.items())[:MAX_NAMES]}
        for one in found["jobs"].values():  # one list of every deleted image, in any storage
            found["deleted"] = _shortened(found["deleted"] + one["deleted"])
            found["freed_bytes"] = (found.get("freed_bytes") or 0) + (one.get("freed_bytes") or 0)
    return found


def _deletions(told: Mapping[str, Any]) -> Dict[str, Any]:
    found = {name: told[name] for name in _ROLLOVER if name in told}
    for name in ("trashed_packs", "purged_packs"):  # thousands of names that no reader of this document needs
        if isinstance(found.get(name), list):
            found[name] = len(found[name])
    found["deleted"] = found["deleted"] if isinstance(found.get("deleted"), list) else []
    return {name: _shortened(value) for name, value in found.items()}


def _verification(verb: str, result: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
    if verb != "verify" or "ok" not in result:
        return None
    names = ("level", "ok", "problems", "bad_packs", "checked_bytes", "good_since")
    return {name: _shortened(result.get(name)) for name in names}


def _warnings(warnings: Any) -> List[str]:
    given = [str(one)[:MAX_TEXT_CHARACTERS] for one in warnings] if isinstance(warnings, list) else []
    if len(given) <= MAX_WARNINGS:
        return given
    return [*given[: MAX_WARNINGS - 1], "%d more warnings were omitted." % (len(given) - MAX_WARNINGS + 1)]


def _shortened(value: Any) -> Any:
    return value[:MAX_NAMES] if isinstance(value, list) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
