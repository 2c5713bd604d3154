# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a value is what the table of settings says: type, choice, unit, bounds, and keys."""

from __future__ import annotations

import re
from typing import Iterator, Optional

from ansible_collections.plantops.imaging.plugins.module_utils.engine.device.compare.ignore import parse_rules
from ansible_collections.plantops.imaging.plugins.module_utils.engine.disk.patterns import Pattern
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    CompareIgnoreInvalid,
    EngineError,
    FileUnchecked,
    PatternInvalid,
    SettingDriveUnknown,
    SettingKeyUnknown,
    SettingMissing,
    SettingNotOfJobs,
    SettingOfLater,
    SettingOutOfBounds,
    SettingTypeWrong,
    SettingUnitWrong,
    SettingValueUnknown,
)
from ansible_collections.plantops.imaging.plugins.module_utils.engine.nearest import nearest
from ansible_collections.plantops.imaging.plugins.module_utils.settings.later import LATER
from ansible_collections.plantops.imaging.plugins.module_utils.settings.setting import Setting
from ansible_collections.plantops.imaging.plugins.module_utils.settings.table import SETTINGS

from .finding import Issue, issue
from .nodes import Node
from .storages import WINDOWS_PATH

_IN_JOBS = re.compile(r"imaging_jobs\[\d+\]")
_NAMES = frozenset(one.name for one in SETTINGS)
_BOOLEANS = ("yes", "no", "true", "false", "on", "off", "1", "0", "y", "n", "t", "f")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_WITH_UNIT = re.compile(r"[0-9.]+\s*[A-Za-z/]+")
_DRIVE = re.compile(r"(/|\\\\|[A-Za-z]:|serial:|wwn:|gpt:|mbr:|disk[0-9]|~)")
_DRIVES = ("all", "system")
_FILES = ("private_key_file", "known_hosts_file")
_ABSOLUTE = ("agent_directory", "copy_directory", "history_repository", "results_directory")
_EXPECTED = {  # of patterns
    "at": "a time such as '22:00'",
    "archive_every": "0 or a time such as 30d, 4w or 12h",
    "window": "hours such as '22:00-05:00'",
}
_DEVICE = re.compile(r"(?:[shv]d[a-z]+|xvd[a-z]+|nvme\d+n\d+|mmcblk\d+)(?:p?\d+)?")
_NOUNS = {"str": "a text", "path": "a path", "list": "a list", "dict": "a dictionary", "bool": "true or false"}
_NOUNS.update(int="a whole number", float="a number", raw="a text or a list")


def issues(setting: Setting, node: Node, key: str) -> Iterator[Issue]:
    """Yield the faults of ``node`` as the value of ``setting``, called ``key``. A value that only a play can evaluate
    is accepted."""
    if node.is_open or (node.value is None and not setting.required):
        return
    wrong = _wrong_type(setting, node)
    if wrong and setting.choices and isinstance(node.value, (bool, int, float)):
        yield _choice(setting, node, key)  # such as no, which is a boolean, instead of none
    elif wrong:
        yield issue(_type_error(setting, node, key, wrong), key, node)
    elif setting.type == "dict":
        yield from _dictionary(setting, node, key)
    elif setting.type == "list":
        yield from _list(setting, node, key)
    elif setting.name == "drives":
        yield from _drives(node, key)
    else:
        yield from _scalar(setting, node, key)


def _wrong_type(setting: Setting, node: Node) -> str:
    """Return what the value is instead of what it should be, "" where it fits."""
    value, found = node.value, _noun(node)
    if setting.type == "raw":
        fits = isinstance(value, (str, list))
    elif setting.type == "list":
        # Ansible cuts a text at its commas. A command that is to be a list of words would become one word.
        fits = isinstance(value, list) or (isinstance(value, str) and not setting.options and not setting.required)
    elif setting.type == "dict":
        fits = isinstance(value, dict)
    elif isinstance(value, (dict, list)) or value is None:
        fits = False
    elif setting.type == "bool":
        fits = str(value).lower() in _BOOLEANS
    elif setting.type in ("int", "float"):
        number = not isinstance(value, bool) and _NUMBER.fullmatch(str(value).strip())
        fits = bool(number) and (setting.type == "float" or float(value) == int(float(value)))
    else:
        strict = setting.secret or setting.pattern
        is_another = node.written and setting.minimum is None  # a name that YAML changes, such as 0123
        fits = isinstance(value, str) or (not strict and not isinstance(value, bool) and not is_another)
    return "" if fits else found


def _noun(node: Node) -> str:
    for kind, noun in ((bool, "a boolean"), (dict, "a dictionary"), (list, "a list"), (str, "a text")):
        if isinstance(node.value, kind):
            return noun
    return "nothing" if node.value is None else "a number"


def _type_error(setting: Setting, node: Node, key: str, found: str) -> EngineError:
    if setting.type in ("int", "float") and isinstance(node.value, str) and _WITH_UNIT.fullmatch(node.value.strip()):
        return SettingUnitWrong(key=key, unit=" in %s" % setting.unit if setting.unit else "")
    return SettingTypeWrong(key=key, expected=_NOUNS[setting.type], found=found)


def _dictionary(setting: Setting, node: Node, key: str) -> Iterator[Issue]:
    known = {option.name: option for option in setting.options}
    if not known:
        return
    for name, inner in node.keys.items():
        if name in known and known[name].required and inner.value is None:
            continue  # told below
        if name in known:
            yield from issues(known[name], inner, "%s.%s" % (key, name))
        elif _IN_JOBS.fullmatch(key) and name in _NAMES:
            yield issue(SettingNotOfJobs(key="%s.%s" % (key, name)), "%s.%s" % (key, name), inner)
        elif _IN_JOBS.fullmatch(key) and name in LATER:
            yield issue(SettingOfLater(name="%s.%s" % (key, name)), "%s.%s" % (key, name), inner)
        else:
            error = SettingKeyUnknown(key=name, setting=key, meant=nearest(name, known))
            yield issue(error, "%s.%s" % (key, name), inner)
    for option in setting.options:
        if option.required and (option.name not in node.keys or node.keys[option.name].value in (None, "")):
            name = "%s.%s" % (key, option.name)
            yield issue(SettingMissing(key=name), name, node)


def _list(setting: Setting, node: Node, key: str) -> Iterator[Issue]:
    if not node.items and setting.required:
        yield issue(SettingMissing(key=key), key, node)
    if setting.name == "compare_ignore" and node.items and not any(one.is_open for one in node.items):
        yield from _rules(node, key)
        return
    element = Setting("", setting.elements or "raw", ("",), options=setting.options)
    for place, one in enumerate(node.items):
        inner = "%s[%d]" % (key, place)
        if setting.elements in ("str", "dict") and one.value is None:
            yield issue(SettingTypeWrong(key=inner, expected=_NOUNS[setting.elements], found="nothing"), inner, one)
        yield from issues(element, one, inner)
        if setting.name == "exclude" and isinstance(one.value, str) and not one.is_open:
            yield from _pattern(one, inner)


def _rules(node: Node, key: str) -> Iterator[Issue]:
    for place, one in enumerate(node.items):
        try:
            parse_rules([one.value])
        except CompareIgnoreInvalid as error:
            yield issue(error, "%s[%d]" % (key, place), one)


def _pattern(node: Node, key: str) -> Iterator[Issue]:
    try:
        Pattern.parse(node.value)
    except PatternInvalid as error:
        yield issue(error, key, node)


def _drives(node: Node, key: str) -> Iterator[Issue]:
    if node.value in ("", []):
        yield issue(SettingMissing(key=key), key, node)
    for place, one in enumerate(node.items or [node]):
        inner = "%s[%d]" % (key, place) if node.items else key
        if one.is_open or one.value == "":
            continue
        if not isinstance(one.value, str):
            yield issue(SettingTypeWrong(key=inner, expected="a text", found=_noun(one)), inner, one)
        elif one.value not in _DRIVES and not _DRIVE.match(one.value):
            yield issue(SettingDriveUnknown(key=inner, drive=one.value, meant=_drive_like(one.value)), inner, one)


def _drive_like(text: str) -> str:
    if re.fullmatch("[A-Za-z]", text):
        return text.upper() + ":"
    return "/dev/" + text if _DEVICE.fullmatch(text) else nearest(text.lower(), _DRIVES)


def _scalar(setting: Setting, node: Node, key: str) -> Iterator[Issue]:
    value = node.value
    if setting.name in _FILES and value:
        yield issue(FileUnchecked(key=key), key, node)
    is_absolute = str(value).startswith("/") or (setting.name == "agent_directory" and WINDOWS_PATH.match(str(value)))
    if setting.name in _ABSOLUTE and value and not is_absolute:
        yield issue(SettingTypeWrong(key=key, expected="an absolute path", found="another text"), key, node)
    if setting.choices and str(value) not in setting.choices:
        yield _choice(setting, node, key)
    elif setting.pattern and not re.fullmatch(setting.pattern, str(value)):
        yield issue(SettingTypeWrong(key=key, expected=_EXPECTED[setting.name], found="another text"), key, node)
    elif setting.minimum is not None:
        yield from _number(setting, node, key)


def _choice(setting: Setting, node: Node, key: str) -> Issue:
    meant = (
        "none"
        if node.value is False and "none" in setting.choices
        else nearest(str(node.value).lower(), setting.choices)
    )
    return issue(SettingValueUnknown(key=key, valid=", ".join(setting.choices), meant=meant), key, node)


def _number(setting: Setting, node: Node, key: str) -> Iterator[Issue]:
    text = str(node.value).strip()
    if setting.type == "str" and text == setting.default:
        return
    if not _NUMBER.fullmatch(text):
        if _WITH_UNIT.fullmatch(text):
            yield issue(SettingUnitWrong(key=key, unit=" in %s" % setting.unit), key, node)
        else:
            meant = str(setting.default)
            valid = "%s or a number" % setting.default
            yield issue(SettingValueUnknown(key=key, valid=valid, meant=meant), key, node)
        return
    bounds = _bounds(setting, float(text))
    if bounds:
        yield issue(SettingOutOfBounds(key=key, value=text, bounds=bounds), key, node)


def _bounds(setting: Setting, number: float) -> Optional[str]:
    lowest, highest = setting.minimum, setting.maximum
    if (lowest is None or number >= lowest) and (highest is None or number <= highest):
        return None
    words = ["at least %g" % lowest] if lowest is not None else []
    return " and ".join(words + (["at most %g" % highest] if highest is not None else []))
