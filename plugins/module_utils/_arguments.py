# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Argument specs that merge, and the way from arguments to a job of the engine.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

from typing import Any, Dict, List

STORAGE: Dict[str, Any] = {
    "type": "dict",
    "required": True,
    "options": {
        "url": {"type": "str", "required": True},
        "port": {"type": "int"},
        "username": {"type": "str"},
        "password": {"type": "str", "no_log": True},
        "private_key_file": {"type": "path"},
        "private_key": {"type": "str", "no_log": True},
        "private_key_passphrase": {"type": "str", "no_log": True},
        "host_key": {"type": "str", "no_log": False},
        "known_hosts_file": {"type": "path"},
        "require_encryption": {"type": "bool", "default": False},
        "time_limit_seconds": {"type": "int", "default": 3600},
    },
}
DEVICE: Dict[str, Any] = {
    "storage": STORAGE,
    "device_name": {"type": "str", "required": True},
    "device_alias": {"type": "str", "default": ""},
    "password": {"type": "str", "no_log": True},
}
LINK: Dict[str, Any] = {
    "reconnect_seconds": {"type": "int", "default": 600},
    "bundle_directory": {"type": "path"},
    "agent_directory": {"type": "str"},
}
RUN: Dict[str, Any] = dict(
    LINK,
    wait={"type": "bool", "default": True},
    run={"type": "str"},
    cancel={"type": "bool", "default": False},
    cancel_on_interrupt={"type": "bool", "default": False},
)
AGENT: Dict[str, Any] = dict(
    LINK, state={"type": "str", "choices": ["present", "latest", "absent"], "default": "present"}
)
DEVICE_INFO: Dict[str, Any] = dict(LINK)
JOB: Dict[str, Any] = {"job": {"type": "str", "default": ""}}
FORGET: Dict[str, Any] = {
    "forget_jobs": {"type": "list", "elements": "str", "default": []},
    "forget_disks": {"type": "list", "elements": "str", "default": []},
}
IMAGE: Dict[str, Any] = dict(
    DEVICE,
    **RUN,
    drives={"type": "list", "elements": "str", "required": True},
    exclude={"type": "list", "elements": "str", "default": []},
    trust={"type": "dict", "default": {}},
    snapshot={"type": "str", "choices": ["required", "preferred", "none"], "default": "required"},
    limit_io_rate={"type": "float", "default": 0},
    limit_read_rate={"type": "str", "default": "auto"},
    password_previous={"type": "str", "no_log": True},
    new_key={"type": "bool", "default": False, "no_log": False},
    allow_clear={"type": "bool", "default": False},
    adopt={"type": "bool", "default": False},
    keep={"type": "int", "default": 7},
    compare={"type": "str", "choices": ["previous", "none"], "default": "previous"},
    compression_level={"type": "int", "default": 1},
    **JOB,
    **FORGET,
    jobs={"type": "list", "elements": "str"},
)
INFO: Dict[str, Any] = dict(DEVICE, **JOB, image={"type": "str", "default": "all"})
INFO.pop("password")
VERIFY: Dict[str, Any] = dict(
    DEVICE,
    **JOB,
    image={"type": "str", "default": "latest"},
    level={"type": "str", "choices": ["quick", "storage", "full"], "default": "full"},
)
ROLLOVER: Dict[str, Any] = dict(
    DEVICE,
    **JOB,
    **FORGET,
    remove_damaged={"type": "list", "elements": "str", "default": []},
    keep={"type": "int", "default": 7},
    jobs={
        "type": "list",
        "elements": "dict",
        "options": {"name": {"type": "str", "required": True}, "keep": {"type": "int"}},
    },
)
PIN: Dict[str, Any] = dict(
    DEVICE,
    image={"type": "str", "required": True},
    state={"type": "str", "choices": ["pinned", "unpinned"], "default": "pinned"},
)
PIN.pop("password")
STORAGE_CHECK: Dict[str, Any] = dict(DEVICE)
RESTORE: Dict[str, Any] = dict(
    DEVICE,
    **RUN,
    **JOB,
    image={"type": "str", "default": "latest"},
    map={"type": "dict", "required": True},
    overwrite={"type": "bool", "default": False},
    replace_table={"type": "list", "elements": "str", "default": []},
    damaged={"type": "bool", "default": False},
    many={"type": "bool", "default": False},
)
BUNDLE: Dict[str, Any] = {
    "platforms": {"type": "list", "elements": "str", "required": True},
    "destination": {"type": "path", "required": True},
    "version": {"type": "str"},
    "cache_folder": {"type": "path"},
    "wheel_folder": {"type": "path"},
}

_SECRETS = ("password", "password_previous")
_OF_THE_PLAY = ("many",)


def job_of(verb: str, arguments: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
    """Return the engine's job document for ``arguments`` as an argument spec left them.

    Options that are not set stay out, so that the engine's defaults are the only ones.
    """
    job: Dict[str, Any] = {"verb": verb, "check": check_mode, "secrets": {}}
    for name, value in arguments.items():
        # What concerns the link or the play is none of the engine's business.
        if value is None or name in RUN or name in _OF_THE_PLAY:
            continue
        if name in _SECRETS:
            job["secrets"][name] = value
        elif name == "storage":
            job["storage"] = {key: setting for key, setting in value.items() if setting is not None}
        else:
            job[{"device_name": "device", "device_alias": "alias"}.get(name, name)] = value
    return job


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
