# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that are made from the table of settings: of the role, and the documentation of the modules' options."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Dict, Iterable, List, Tuple, Type

import yaml
from settings.modules import MODULES, SHARED
from settings.setting import PREFIX, Setting
from settings.storage import FLAT
from settings.table import RESULTS, SETTINGS, settings_of
from settings.verbs import VERBS

MADE = "Made from plugins/module_utils/settings by make docs; changes go there."
_HEADER = """# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""
_WIDTH = 116
Yaml = Dict[str, Any]


class _OneLine(List[Any]):
    """A list that YAML shows as ``[a, b]``."""


class _Dumper(yaml.SafeDumper):
    """YAML as yamllint and this repository write it."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless and flow)

    def ignore_aliases(self, data: Any) -> bool:
        return data is not None


class _AliasDumper(_Dumper):
    """Writes each of ``known`` once, by its name, and an alias where it stands again: each playbook loads the file anew."""

    known: ClassVar[Dict[str, Yaml]] = {}

    def ignore_aliases(self, data: Any) -> bool:
        return not any(data is one for one in self.known.values())

    def generate_anchor(self, node: yaml.Node) -> str:
        return next(name for name, data in self.known.items() if self.represented_objects.get(id(data)) is node)


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """Plain where that is possible; short texts in double quotes, so that an empty one is told from nothing."""
    plain = yaml.safe_dump(text, width=10_000).startswith(text) and text
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain or len(text) > 60 else '"')


_Dumper.add_representer(str, _text)
_Dumper.add_representer(
    _OneLine, lambda dumper, data: dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)
)


def _dump(document: Any, dumper: Type[_Dumper] = _Dumper) -> str:
    text: str = yaml.dump(document, Dumper=dumper, sort_keys=False, width=_WIDTH, allow_unicode=True)
    return text


def _fields(setting: Setting, description: Any, options_key: str, options: Yaml) -> Yaml:
    found: Yaml = {"description": description, "type": setting.type}
    if setting.elements:
        found["elements"] = setting.elements
    if setting.choices:
        found["choices"] = _OneLine(setting.choices)
    if setting.required:
        found["required"] = True
    if setting.default is not None:
        found["default"] = setting.default
    if setting.options:
        found[options_key] = options
    return found


def _of_the_role(text: str) -> str:
    """The markup of a module's documentation, where options have other names, as the role's argument specs can show it."""
    return re.sub(r"\bO\(([^)]*)\)", lambda match: "C(%s%s)" % (PREFIX, match.group(1)), text)


def argument_specs() -> str:
    """No option says no_log, secret or not: ansible-core 2.16 refuses a value that is sealed in place (!vault) then."""
    entries = {}
    _AliasDumper.known = known = {setting.variable: _entry(setting) for setting in SETTINGS}
    for verb, (title, description) in VERBS.items():
        options = {setting.variable: known[setting.variable] for setting in settings_of(verb)}
        entries[verb] = {"short_description": title, "description": [description], "options": options}
    return (
        "---\n# %s\n"
        "# No option says no_log: ansible-core 2.16 refuses a value that is sealed in place (!vault) then. No message of this check\n"
        "# shows a value of a secret: a text has neither a wrong type nor choices.\n"
        % MADE
        + _dump({"argument_specs": entries}, _AliasDumper)
    )


def _entry(setting: Setting) -> Yaml:
    options = {option.name: _entry(option) for option in setting.options}
    return _fields(setting, _of_the_role(setting.summary), "options", options)


def defaults() -> str:
    found = {setting.variable: setting.default for setting in SETTINGS if setting.default is not None}
    return "---\n# %s The role's README documents them.\n# A setting that is not here must be given.\n%s" % (
        MADE,
        _dump(found),
    )


def variables() -> str:
    """The part of the role's variables that is made: what a job overrides, and the names and keys that mean something."""
    chosen = [
        "__imaging_%s: \"{{ imaging_jobs | plantops.imaging.job_setting('%s', imaging_job, %s) }}\"\n"
        % (setting.name, setting.name, _of_the_site(setting))
        for setting in SETTINGS
        if setting.in_jobs
    ]
    filled = [_filled(name) for name in ("storage", "storage_operator")]
    dictionaries = [setting for setting in SETTINGS if setting.options]
    keys = {"__imaging_keys": {setting.variable: setting.keys() for setting in dictionaries}}
    misspelt = [
        "(%s%s | plantops.imaging.misspelt_keys('%s', __imaging_keys.%s))"
        % ((setting.variable, " | default({})" if setting.required else "") + (setting.variable,) * 2)
        for setting in dictionaries
    ]
    names = {"__imaging_settings": sorted([*(setting.variable for setting in SETTINGS), *RESULTS])}
    return (
        "# The storages with what the flat spellings say of them.\n"
        + "".join(filled)
        + "# The settings that a job overrides, each as it holds for the chosen job.\n"
        + "".join(chosen)
        + "# The keys of the settings that are dictionaries or lists of them, each with those of the dictionary that is its value.\n"
        + _dump(keys)
        + "__imaging_misspelt_keys: >-\n  {{ %s }}\n" % "\n  + ".join(misspelt)
        + "# Every setting and every result. Another name of the prefix is an error, unless the site lists it in\n"
        "# imaging_site_variables.\n" + _dump(names)
    )


def _of_the_site(setting: Setting) -> str:
    return "__imaging_site_storage" if setting.name == "storage" else setting.variable


def _filled(name: str) -> str:
    flat = ",\n  ".join("'%s': %s%s_%s" % (key, PREFIX, name, key) for key in FLAT)
    call = "{{ %s%s | plantops.imaging.flat_storage({%s}) }}" % (PREFIX, name, flat)
    return "__imaging_site_%s: >-\n  %s\n" % (name, call)


def _markdown(text: str) -> str:
    text = re.sub(r"\b[CV]\(([^)]*)\)", r"`\1`", _of_the_role(text))
    text = re.sub(r"\bM\(plantops\.imaging\.([^)]*)\)", r"`\1`", text)
    return text.replace("|", "\\|")


def readme_table() -> str:
    rows = ["| variable | meaning | default |", "|---|---|---|"]
    for setting in SETTINGS:
        rows.append("| `%s` | %s | %s |" % (setting.variable, _markdown(setting.summary), _default_of(setting)))
    return "\n".join(rows) + "\n"


def _default_of(setting: Setting) -> str:
    if setting.default_words:
        return setting.default_words
    if setting.required:
        return "required by " + ", ".join("`%s`" % verb for verb in setting.verbs)
    if isinstance(setting.default, bool):
        return str(setting.default).lower()
    if isinstance(setting.default, str) and setting.default:
        return "`%s`" % setting.default
    return '""' if setting.default == "" else str(setting.default)


def _documented(options: Iterable[Setting]) -> Yaml:
    found = {}
    for option in options:
        description = option.summary if len(option.description) == 1 else list(option.description)
        found[option.name] = _fields(option, description, "suboptions", _documented(option.options))
    return found


def doc_fragments() -> str:
    """The options of the modules: those that several document as one, and for each module the rest."""
    shared = {option.name: option for options in SHARED.values() for option in options}
    parts: List[Tuple[str, Iterable[Setting]]] = list(SHARED.items())
    for module, all_of_it in MODULES.items():
        rest = [option for option in all_of_it if shared.get(option.name) != option]
        if rest:
            parts.append((module, rest))
    text = _HEADER + '"""Options of the modules. %s"""\n\n' % MADE
    text += "from __future__ import annotations\n\n\nclass ModuleDocFragment:\n"
    text += '    """Documentation of the options that are settings, by module; several modules share the first of them."""\n'
    for name, options in parts:
        document = _dump({"options": _documented(options)})
        assert '"""' not in document, name
        text += '\n    %s = r"""\n%s"""\n' % (name.upper(), document)
    return text
