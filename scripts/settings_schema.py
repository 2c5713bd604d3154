# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON Schema of the settings in a file of variables, made from the table of settings for editors and pipelines."""

from __future__ import annotations

import json
import re
from typing import Any, Dict

from settings.setting import PREFIX, Setting
from settings.table import RESULTS, SETTINGS

# Draft 7 is what editors understand.
DRAFT = "http://json-schema.org/draft-07/schema#"
Schema = Dict[str, Any]
_TEMPLATE: Schema = {"type": "string", "pattern": r"\{[{%]"}
_DIGITS: Schema = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$"}
_BOOLEAN_WORDS = ["yes", "no", "true", "false", "on", "off"]


def schema() -> str:
    """Return the schema as the text of its file."""
    names = [setting.variable for setting in SETTINGS] + list(RESULTS)
    own_names = "|".join(sorted(name[len(PREFIX) :] for name in names))
    document = {
        "$schema": DRAFT,
        "title": "Settings of plantops.imaging",
        "description": "Variables of a group or a host. Made from plugins/module_utils/settings by make docs.",
        "type": ["object", "null"],
        "properties": {setting.variable: _value(setting) for setting in SETTINGS},
        "patternProperties": {"^%s(?!(%s)$)" % (PREFIX, own_names): False},
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _value(setting: Setting) -> Schema:
    """Any value may be a template instead; nothing is the default."""
    found: Schema = {"description": _plain(" ".join(setting.description))}
    if setting.default is not None and not setting.secret:
        found["default"] = setting.default
    choices = [_typed(setting), _TEMPLATE]
    found["anyOf"] = choices if setting.required else [*choices, {"type": "null"}]
    return found


def _typed(setting: Setting) -> Schema:
    if setting.type == "dict":
        return _dictionary(setting)
    if setting.type == "list":
        element = _dictionary(setting) if setting.options else {"type": ["string", "number", "boolean"]}
        array: Schema = {"type": "array", "items": {"anyOf": [element, _TEMPLATE]}}
        return array if setting.options else {"anyOf": [array, {"type": "string"}]}
    if setting.type == "bool":
        return {"anyOf": [{"type": "boolean"}, {"enum": _BOOLEAN_WORDS}]}
    if setting.type == "raw":
        texts = {"type": "array", "items": {"type": "string"}, "minItems": 1}
        return {"anyOf": [{"type": "string", "minLength": 1}, texts]}
    if setting.minimum is not None or setting.type in ("int", "float"):
        return _number(setting)
    return _text(setting)


def _dictionary(setting: Setting) -> Schema:
    found: Schema = {"type": "object"}
    if setting.options:
        found["properties"] = {option.name: _value(option) for option in setting.options}
        found["additionalProperties"] = False
    required = [option.name for option in setting.options if option.required]
    if required:
        found["required"] = required
    return found


def _number(setting: Setting) -> Schema:
    number: Schema = {"type": "integer" if setting.type == "int" else "number"}
    if setting.minimum is not None:
        number["minimum"] = setting.minimum
    if setting.maximum is not None:
        number["maximum"] = setting.maximum
    choices = [number, _DIGITS]
    if setting.type == "str" and setting.default:
        choices.append({"const": setting.default})
    return {"anyOf": choices}


def _text(setting: Setting) -> Schema:
    if setting.choices:
        return {"enum": list(setting.choices)}
    if setting.pattern:
        return {"type": "string", "pattern": "^(%s)$" % setting.pattern}
    return {"type": "string"} if setting.secret else {"type": ["string", "number"]}


def _plain(text: str) -> str:
    """A description without Ansible's markup."""
    text = re.sub(r"\bO\(([^)]*)\)", lambda match: PREFIX + match.group(1), text)
    text = re.sub(r"\bM\(([^)]*)\)", r"\1", text)
    return re.sub(r"\b(?:[CV]|RV)\(([^)]*)\)", r"\1", text)
