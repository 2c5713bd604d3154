# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine knows every key that the action plugins send, and still what the controller of release 0.1.0 sent."""

from __future__ import annotations

import importlib
from typing import Any, Dict, List

import pytest
from ansible_collections.plantops.imaging.plugins import action
from ansible_collections.plantops.imaging.plugins.module_utils._arguments import request_of
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.engine_action import EngineAction
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.operator_action import OperatorAction
from engine.verbs.request import VERBS, parse
from support.paths import PLUGINS

SAMPLES: Dict[str, Any] = {
    "str": "daily",
    "path": "/srv/x",
    "int": 3,
    "float": 2.5,
    "bool": True,
    "list": ["one"],
    "dict": {"disk0": "ntfs"},
}
# Where a sample of the type is not a value of the setting.
VALUES: Dict[str, Any] = {
    "documents": ["log"],
    "image": "2026-11-22_13-45-10",
    "limit_read_rate": "auto",
    "window": "22:00-05:00",
    "device_alias": "hall",
    "forget_jobs": ["gone"],
    "compare_ignore": ["software/linux-image-*"],
    "grow": "last",
    "scratch": "/var/tmp",
    "boot_fallback": "yes",
    "versions": ["v1", "v2"],
    "every": "30d",
}


def module_actions() -> List[Any]:
    found = []
    for path in sorted((PLUGINS / "action").glob("*.py")):
        module = importlib.import_module("%s.%s" % (action.__name__, path.stem))
        if issubclass(module.ActionModule, EngineAction):
            found.append(pytest.param(module.ActionModule, id=path.stem))
    return found


def value_of(name: str, option: Dict[str, Any]) -> Any:
    if "choices" in option:
        return option["choices"][0]
    if option["type"] == "dict" and "options" in option:
        return {key: value_of(key, one) for key, one in option["options"].items()}
    if option["type"] == "list" and option.get("elements") == "dict":
        return [{key: value_of(key, one) for key, one in option["options"].items()}]
    return VALUES.get(name, SAMPLES[option["type"]])


@pytest.mark.parametrize("plugin", module_actions())
def test_every_option_of_a_module_is_a_key_of_its_verb(plugin: Any) -> None:
    arguments = {name: value_of(name, option) for name, option in plugin.spec.items()}
    if "directory" in arguments:
        arguments["copy_storage"] = None  # a copy has one target
    request = request_of(plugin.verb, arguments, True)
    if not issubclass(plugin, OperatorAction):
        request.update(timestamp="2026-11-22_13-45-10", controller_seconds=1795358710, run="image-1")
    assert parse(request).unused == ()


def test_every_verb_with_a_module_has_its_parser() -> None:
    assert {plugin.values[0].verb for plugin in module_actions()} <= set(VERBS)


# As the action plugins of release 0.1.0 sent them, with the run that its agent adds.
OLD: Dict[str, Dict[str, Any]] = {
    "image": {
        "drives": ["all"],
        "exclude": [],
        "snapshot": "required",
        "limit_io_rate": 0.0,
        "limit_read_rate": "auto",
        "new_key": False,
        "allow_clear": False,
        "adopt": False,
        "keep": 7,
        "compare": "previous",
        "compression_level": 1,
    },
    "restore": {"image": "latest", "map": {"disk0": "/dev/sdb"}, "overwrite": False},
    "verify": {"image": "latest", "level": "full"},
    "list": {"image": "all"},
    "rollover": {"keep": 7},
    "check": {},
}


@pytest.mark.parametrize("verb", OLD)
def test_requests_of_the_first_release_are_taken(verb: str) -> None:
    storage = {"url": "sftp://server/x", "require_encryption": False, "time_limit_seconds": 3600}
    carried = {"timestamp": "2026-11-22_13-45-10", "controller_seconds": 1795358710, "run": "image-0123-1"}
    head = {"verb": verb, "check": False, "secrets": {}, "storage": storage, "device": "press-04", "alias": ""}
    assert parse({**head, **carried, **OLD[verb]}).unused == ()
