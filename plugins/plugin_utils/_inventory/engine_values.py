# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the tasks take a value: the module's own argument spec and the engine's own parser of requests read it.

Each value is put alone into a request that is valid without it, so that what is refused is this value.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Tuple

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.plantops.imaging.plugins.module_utils._arguments import request_of
from ansible_collections.plantops.imaging.plugins.module_utils.engine.agent.after_command import checked_order
from ansible_collections.plantops.imaging.plugins.module_utils.engine.agent.protocol import RUN_ID
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    EngineError,
    ForgottenJobDefined,
    SettingRefused,
)
from ansible_collections.plantops.imaging.plugins.module_utils.engine.verbs.request import parse
from ansible_collections.plantops.imaging.plugins.module_utils.engine.verbs.request_parts import is_image_name
from ansible_collections.plantops.imaging.plugins.module_utils.settings.modules import spec_of
from ansible_collections.plantops.imaging.plugins.module_utils.settings.setting import Setting

from .finding import Issue, issue
from .nodes import Node
from .storages import WINDOWS_PATH

_HEAD: Mapping[str, Any] = {"device_name": "device", "storage": {"url": "/images"}}
_LIKE_STORAGE = ("storage", "storage_operator")
# The names of a device are checked together, in the file devices.py.
_ELSEWHERE = ("device_name", "device_alias")
_MOST_HELD = 20_000
_MOST_PARTS = 1_000
_REFUSALS: Dict[Tuple[str, str], str] = {}


class _Verb(NamedTuple):
    """A verb of the engine, and the least that a request for it has."""

    name: str
    least: Mapping[str, Any]


_VERBS: Dict[str, _Verb] = {
    "image": _Verb("image", {"drives": ["all"]}),
    "restore": _Verb("restore", {"map": {"disk0": "/dev/sdb"}}),
    "verify": _Verb("verify", {}),
    "copy": _Verb("copy", {"directory": "/copies"}),
    "archive": _Verb("archive", {"archive": {"url": "/archive"}}),
    "rollover": _Verb("rollover", {}),
    "rename": _Verb("rename", {"to": "another"}),
    "retire": _Verb("retire", {"retire": "device"}),
    "storage_check": _Verb("check", {}),
}


def issues(setting: Setting, node: Node, key: str) -> Iterator[Issue]:
    """Yield what is refused of the value of ``setting``, called ``key``, except for what only a play can evaluate."""
    if setting.name == "jobs":
        options = {one.name: one for one in setting.options if one.name not in ("name", "schedule")}
        for number, job in enumerate(node.items):
            for name in options.keys() & job.keys.keys():
                yield from issues(options[name], job.keys[name], "%s[%d].%s" % (key, number, name))
        return
    if node.is_open or node.value is None or node.value == "" or setting.name in _ELSEWHERE:
        return
    refused = _why_refused(setting, plain(node))
    if not refused:
        return
    for place, part, value in itertools.islice(_parts(setting, node, key), _MOST_PARTS):
        reason = _why_refused(setting, value)
        if reason:
            yield issue(SettingRefused(key=place, reason=reason), place, part)
            return
    yield issue(SettingRefused(key=key, reason=refused), key, node)


def _parts(setting: Setting, node: Node, key: str) -> Iterator[Tuple[str, Node, Any]]:
    """Yield the entries of a list or dictionary one by one, so that an issue has the nearest place."""
    if setting.type == "dict":
        for name, one in node.keys.items():
            if not one.is_open:
                yield "%s.%s" % (key, name), one, {name: plain(one)}
    elif node.items and setting.name != "archive_versions":
        for place, one in enumerate(node.items):
            if not one.is_open:
                yield "%s[%d]" % (key, place), one, [plain(one)]


def plain(node: Node) -> Any:
    """Return the value without the parts that only a play can evaluate."""
    if isinstance(node.value, dict):
        return {name: plain(one) for name, one in node.keys.items() if not one.is_open}
    if isinstance(node.value, list):
        return [plain(one) for one in node.items if not one.is_open]
    return node.value


def _why_refused(setting: Setting, value: Any) -> str:
    """Return why a task refuses the value, "" where all of them take it. Thousands of hosts set the same values."""
    if value in ({}, []):
        return ""
    known = (setting.name, repr(value))
    if known not in _REFUSALS:
        if len(_REFUSALS) > _MOST_HELD:
            _REFUSALS.clear()
        _REFUSALS[known] = _asked(setting, value)
    return _REFUSALS[known]


def _asked(setting: Setting, value: Any) -> str:
    special = _SPECIAL.get(setting.name)
    if special is not None:
        return special(value)
    option = setting.as_option()
    if setting.name in _LIKE_STORAGE:
        option = replace(option, name="storage", options=setting.options, required=False)
    if setting.role_only and setting.name not in (*_LIKE_STORAGE, *_ARCHIVED):
        return ""
    taken, reason = converted(option, value)
    if reason:
        return reason
    if option.name in ("storage", "archive", "copy_storage"):
        taken = {"url": "/images", **taken}
    if setting.name in _OF_AN_IMAGE and any(
        why_not(_VERBS[name], option.name, taken) for name in setting.verbs if name in _VERBS
    ):
        return "it is neither latest, the name of an image nor a version"
    for verb in (_VERBS[name] for name in setting.verbs if name in _VERBS):
        if setting.name in _ARCHIVED and verb.name != "archive":
            continue
        reason = why_not(verb, option.name, taken)
        if reason:
            return reason
    return ""


def why_not(verb: _Verb, name: str, value: Any) -> str:
    """Return why the engine refuses a request with this option, "" where it takes it."""
    least = {**_HEAD, **verb.least}
    if name == "copy_storage":
        del least["directory"]
    try:
        parse(request_of(verb.name, {**least, name: value}, False))
    except EngineError as error:
        return _reason(error)
    return ""


def _reason(error: EngineError) -> str:
    return str(error.fields.get("reason") or error.as_dict()["message"]).rstrip(".")


def converted(option: Setting, value: Any) -> Tuple[Any, str]:
    """Return the value as the module's argument spec makes it, and why it refuses it."""
    spec = spec_of((replace(option, required=False, default=None),))
    for inner in spec[option.name].get("options", {}).values():
        inner.pop("required", None)
        inner.pop("default", None)
    try:
        result = ArgumentSpecValidator(spec).validate({option.name: value})
    except (TypeError, OverflowError):  # it looks for keys in what is not a dictionary, or counts without an end
        return None, "its type is wrong"
    if result.error_messages:
        # Of what holds a secret the words of the validator could show it.
        hides = option.secret or any(inner.secret for inner in option.options)
        return None, "its type is wrong" if hides else " ".join(result.error_messages)[:300]
    taken = result.validated_parameters.get(option.name)
    if isinstance(taken, dict) and option.options:
        taken = {name: one for name, one in taken.items() if one is not None}
    return taken, ""


def _run(value: Any) -> str:
    return "" if RUN_ID.fullmatch(str(value)) else "it is not the handle of a run"


def _scratch(value: Any) -> str:
    """The engine judges the path by the rules of the system that it runs on, and the device may be a Windows system."""
    return "" if str(value).startswith("/") or WINDOWS_PATH.match(str(value)) else "it is not an absolute path"


def _damaged(value: Any) -> str:
    names = value if isinstance(value, list) else str(value).split(",")
    wrong = [str(name) for name in names if not is_image_name(str(name).strip())]
    return "%s is not the name of an image" % wrong[0][:80] if wrong else ""


def _hooks(value: Any) -> str:
    device = value.get("device") if isinstance(value, dict) else None
    if not isinstance(device, dict) or not isinstance(device.get("after"), list) or not device["after"]:
        return ""
    try:
        order = {name: int(one) if name != "after" else one for name, one in device.items()}
        checked_order(order)
    except EngineError as error:
        return str(error.fields["reason"])
    except (TypeError, ValueError):
        return "a time limit is not a number"
    return ""


def _forgotten(value: Any) -> str:
    """The job of the request itself is not meant by this list."""
    names: List[Any] = value if isinstance(value, list) else str(value).split(",")
    least = {**_HEAD, **_VERBS["rollover"].least, "job": "another"}
    try:
        parse(request_of("rollover", {**least, "forget_jobs": names}, False))
    except ForgottenJobDefined:
        return ""
    except EngineError as error:
        return _reason(error)
    return ""


_OF_AN_IMAGE = ("image", "show_image")
_ARCHIVED = (
    "archive",
    "archive_comment",
    "archive_author",
    "archive_every",
    "archive_keep_source",
    "archive_state",
    "archive_versions",
)
_SPECIAL: Dict[str, Callable[[Any], str]] = {
    "restore_scratch": _scratch,
    "run": _run,
    "remove_damaged": _damaged,
    "hooks": _hooks,
    "forget_jobs": _forgotten,
}
