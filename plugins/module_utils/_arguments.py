# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The argument specs of the modules, and the way from arguments to a request to the engine.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

from typing import Any, Dict, List

from ansible_collections.plantops.imaging.plugins.module_utils.engine.verbs.secret_names import IMAGE_SECRETS, STORAGES
from ansible_collections.plantops.imaging.plugins.module_utils.settings.modules import MODULES, SHARED, spec_of

AGENT: Dict[str, Any] = spec_of(MODULES["agent"])
COMPARE: Dict[str, Any] = spec_of(MODULES["device_compare"])
ARCHIVE: Dict[str, Any] = spec_of(MODULES["image_archive"])
COPY: Dict[str, Any] = spec_of(MODULES["image_copy"])
DEVICE_INFO: Dict[str, Any] = spec_of(MODULES["device_info"])
HISTORY: Dict[str, Any] = spec_of(MODULES["device_history"])
IMAGE: Dict[str, Any] = spec_of(MODULES["image"])
INFO: Dict[str, Any] = spec_of(MODULES["image_info"])
PIN: Dict[str, Any] = spec_of(MODULES["image_pin"])
RENAME: Dict[str, Any] = spec_of(MODULES["device_rename"])
RESTORE: Dict[str, Any] = spec_of(MODULES["image_restore"])
RETIRE: Dict[str, Any] = spec_of(MODULES["image_retire"])
ROLLOVER: Dict[str, Any] = spec_of(MODULES["image_rollover"])
STORAGE_CHECK: Dict[str, Any] = spec_of(MODULES["storage_check"])
VERIFY: Dict[str, Any] = spec_of(MODULES["image_verify"])
# Options for the link to the device, and for following a run.
RUN: Dict[str, Any] = spec_of((*SHARED["link"], *SHARED["run"]))
BUNDLE: Dict[str, Any] = {
    "platforms": {"type": "list", "elements": "str", "required": True},
    "destination": {"type": "path", "required": True},
    "version": {"type": "str"},
    "cache_folder": {"type": "path"},
    "wheel_folder": {"type": "path"},
    "python_distributions": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "platform": {"type": "str", "required": True},
            "source": {"type": "str", "required": True},
            "sha256": {"type": "str", "required": True},
        },
    },
}
PROGRAM: Dict[str, Any] = {
    "platforms": {"type": "list", "elements": "str"},
    "destination": {"type": "path", "required": True},
    "cache_folder": {"type": "path"},
    "wheel_folder": {"type": "path"},
}
RUN_RESULT: Dict[str, Any] = {
    "verb": {"type": "str", "required": True},
    "device_name": {"type": "str", "required": True},
    "device_alias": {"type": "str", "default": ""},
    "job": {"type": "str", "default": ""},
    "directory": {"type": "str", "default": ""},
    "started": {"type": "str", "required": True},
    "moment": {"type": "str", "required": True},
    "result": {"type": "dict", "default": {}},
    "others": {"type": "list", "elements": "dict", "default": []},
    "replaces": {"type": "str", "default": ""},
    "hook": {"type": "dict", "default": {}},
    "hooks": {"type": "list", "elements": "str", "default": []},
}
AFTER_COMMAND: Dict[str, Any] = dict(
    spec_of(SHARED["link"]),
    state={"type": "str", "choices": ["registered", "run"], "default": "registered"},
    id={"type": "str"},
    after={"type": "list", "elements": "str"},
    time_limit_seconds={"type": "int", "default": 60},
    start_within_seconds={"type": "int", "default": 900},
)
FORGET_RUNS: Dict[str, Any] = dict(spec_of(SHARED["link"]), runs={"type": "list", "elements": "str", "required": True})

_OF_THE_PLAY = ("many", "after_command", "collect", "devices", "in_inventory")


def request_of(verb: str, arguments: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
    """Return the engine's request for ``arguments`` as an argument spec left them.

    Options that are not set stay out, so that the engine's defaults are the only ones.
    """
    request: Dict[str, Any] = {"verb": verb, "check": check_mode, "secrets": {}}
    for name, value in arguments.items():
        # The engine does not use the options for the link and the play.
        if value is None or name in RUN or name in _OF_THE_PLAY:
            continue
        if name in IMAGE_SECRETS:
            request["secrets"][name] = value
        elif name in STORAGES:
            request[name] = {key: setting for key, setting in value.items() if setting is not None}
        else:
            request[{"device_name": "device", "device_alias": "alias"}.get(name, name)] = value
    return request


def secrets_of(spec: Dict[str, Any], arguments: Dict[str, Any]) -> List[str]:
    """Return the values that must never be shown, nested ones included."""
    found: List[str] = []
    for name, option in spec.items():
        value = arguments.get(name)
        if option.get("no_log") and value:
            found.append(str(value))
        elif isinstance(value, dict) and "options" in option:
            found += secrets_of(option["options"], value)
    return found


def failure(error: Dict[str, Any]) -> Dict[str, Any]:
    """Return what a failed task shows of an error of the catalogue: the sentence, what to do, the code."""
    return {
        "msg": "%s %s (%s)" % (error["message"], error["hint"], error["code"]),
        "error_code": error["code"],
        "hint": error["hint"],
    }


def without_code(result: Dict[str, Any]) -> Dict[str, Any]:
    """Return the error that :func:`failure` made a failed task's result of."""
    code, hint, message = (str(result.get(name) or "") for name in ("error_code", "hint", "msg"))
    for end in (" (%s)" % code, hint, " "):
        message = message[: -len(end)] if end and message.endswith(end) else message
    return {"code": code, "message": message, "hint": hint}
