# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference of all variables, docs/variables.md, made from the table of settings."""

from __future__ import annotations

import json
import re
from typing import Iterator, List, Tuple

from settings.setting import PREFIX, Setting
from settings.table import RESULTS, SETTINGS

_HEAD = """# Variables

All variables of the role `imaging`, made from `plugins/module_utils/settings` by `make docs`.
A group overrides the settings of the site, a host those of its groups, and a job (`imaging_jobs`) all of them, where this page says so.
`docs/schemas/settings.json` is the JSON Schema of the same settings.
"""


def reference() -> str:
    """Return the page."""
    names = "\n".join("- [`%s`](#%s)" % (setting.variable, setting.variable) for setting in SETTINGS)
    chapters = "\n".join(_chapter(setting) for setting in SETTINGS)
    results = "\n".join("- `%s`" % name for name in RESULTS)
    return "%s\n%s\n\n%s\n## Results\n\nThe entry points leave these variables:\n\n%s\n" % (
        _HEAD,
        names,
        chapters,
        results,
    )


def _chapter(setting: Setting) -> str:
    lines = ["## %s" % setting.variable, ""]
    lines += [_plain(paragraph) for paragraph in setting.description]
    lines += ["", "| | |", "|---|---|"]
    lines += ["| %s | %s |" % row for row in _facts(setting)]
    if setting.options:
        lines += ["", "| key | type | meaning |", "|---|---|---|"]
        lines += ["| `%s` | %s | %s |" % row for row in _keys(setting.options)]
    return "\n".join(lines) + "\n"


def _facts(setting: Setting) -> Iterator[Tuple[str, str]]:
    yield "type", _type(setting)
    yield "default", _default(setting)
    yield "entry points", ", ".join("`%s`" % verb for verb in setting.verbs)
    yield "a job may override it", "yes" if setting.in_jobs else "no"
    if setting.secret:
        yield "secret", "yes: seal it with `ansible-vault`"


def _default(setting: Setting) -> str:
    if setting.required:
        return "required"
    if setting.default_words:
        return _cell(setting.default_words)
    return "none" if setting.default in (None, "", [], {}) else "`%s`" % _cell(json.dumps(setting.default))


def _type(setting: Setting) -> str:
    words = [setting.type + (" of %s" % setting.elements if setting.elements else "")]
    if setting.choices:
        words.append("one of %s" % ", ".join("`%s`" % choice for choice in setting.choices))
    if setting.minimum is not None:
        words.append("at least %s" % _number(setting.minimum))
    if setting.maximum is not None:
        words.append("at most %s" % _number(setting.maximum))
    if setting.unit:
        words.append("in %s" % setting.unit)
    return _cell(", ".join(words))


def _number(value: float) -> str:
    return "%d" % value if value == int(value) else str(value)


def _keys(options: Tuple[Setting, ...], path: str = "") -> Iterator[Tuple[str, str, str]]:
    for option in options:
        words: List[str] = [_plain(option.summary)]
        if option.required:
            words.append("Required.")
        elif option.default not in (None, "", [], {}):
            words.append("The default is `%s`." % json.dumps(option.default))
        yield path + option.name, _type(option), _cell(" ".join(words))
        yield from _keys(option.options, path + option.name + ".")


def _plain(text: str) -> str:
    """The markup of a module's documentation as Markdown, with the role's names."""
    text = re.sub(r"\bO\(([^)]*)\)", lambda match: "`%s%s`" % (PREFIX, match.group(1)), text)
    text = re.sub(r"\b(?:C|V|RV)\(([^)]*)\)", r"`\1`", text)
    text = re.sub(r"\bM\(([^)]*)\)", r"`\1`", text)
    return text.replace("\\\\", "\\")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
