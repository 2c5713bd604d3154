# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of settings is whole, and what is made from it is what the modules and the role take."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any, Dict, Iterator, List, Set, Tuple

import pytest
import yaml
from settings.modules import MODULES, SHARED, spec_of
from settings.setting import PREFIX, Setting
from settings.storage import CREDENTIALS, STORAGE_KEYS
from settings.table import RESULTS, SETTINGS, settings_of
from settings.verbs import ON_THE_OPERATOR, VERBS

ROOT = Path(__file__).parents[3]
ROLE = ROOT / "roles" / "imaging"
TYPES = {
    "str": str,
    "int": int,
    "float": (int, float),
    "bool": bool,
    "list": list,
    "dict": dict,
    "path": str,
    "raw": object,
}
SHARED_TASKS = {"after", "before", "begin", "end", "hook", "settings"}
MODULE_OF = {
    "agent": "agent",
    "device_info": "device_info",
    "image": "image",
    "verify": "image_verify",
    "copy": "image_copy",
    "archive": "image_archive",
    "restore": "image_restore",
    "show": "image_info",
    "rollover": "image_rollover",
    "retire": "image_retire",
    "rename": "device_rename",
    "storage_check": "storage_check",
}


def flat(settings: Tuple[Setting, ...], path: str = "") -> Iterator[Tuple[str, Setting]]:
    for setting in settings:
        yield path + setting.name, setting
        yield from flat(setting.options, path + setting.name + ".")


EVERYTHING = dict(flat(SETTINGS))


@pytest.mark.parametrize("path", sorted(EVERYTHING))
def test_a_setting_says_all_that_is_made_of_it(path: str) -> None:
    setting = EVERYTHING[path]
    assert setting.type in TYPES
    assert all(paragraph[-1] in ".:" for paragraph in setting.description), "paragraphs are sentences"
    assert bool(setting.elements) == (setting.type == "list")
    assert setting.default is None or isinstance(setting.default, TYPES[setting.type])  # type: ignore[arg-type]
    assert not setting.choices or setting.default in (None, *setting.choices)
    assert not (setting.required and setting.default is not None)
    if setting.name.endswith("_seconds"):
        assert setting.unit == "seconds"
    if setting.type in ("int", "float"):
        assert setting.minimum is not None, "a schema needs the bound"
        assert setting.default is None or setting.minimum <= setting.default <= (setting.maximum or setting.default)


def test_names_are_told_apart_and_verbs_exist() -> None:
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)
    for setting in SETTINGS:
        assert setting.verbs
        assert set(setting.verbs) <= set(VERBS)
    assert {path.stem for path in (ROLE / "tasks").glob("*.yml")} - SHARED_TASKS == set(VERBS)


def test_secrets_are_known_as_such() -> None:
    secret = {path for path, setting in EVERYTHING.items() if setting.secret}
    inside = {"password", "private_key", "private_key_passphrase"}
    storages = ("storage", "storage_operator", "copy_storage", "archive", "jobs.storage", "jobs.archive")
    flat = {"%s_%s" % (one, key) for one in ("storage", "storage_operator") for key in inside}
    dictionaries = {"%s.%s" % (one, key) for one in storages for key in inside}
    assert secret == {"password", "password_previous", *dictionaries, *flat}
    assert inside < set(CREDENTIALS) < {key.name for key in STORAGE_KEYS}
    for path, setting in EVERYTHING.items():
        assert setting.secret or "pass" not in setting.name, path


def test_a_secret_of_the_role_is_not_marked_there() -> None:
    """ansible-core 2.16 would refuse one that is sealed in place; the modules' own specs mark them."""
    text = (ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    assert "no_log" not in "".join(line for line in text.splitlines() if not line.startswith("#"))


def all_tasks(verb: str) -> List[Dict[str, Any]]:
    (entry,) = yaml.safe_load((ROLE / "tasks" / (verb + ".yml")).read_text(encoding="utf-8"))
    found: List[Dict[str, Any]] = entry["block"]
    return found


def tasks(verb: str) -> Iterator[Dict[str, Any]]:
    for task in all_tasks(verb):
        if "plantops.imaging." + MODULE_OF[verb] in task:
            yield dict(task["plantops.imaging." + MODULE_OF[verb]], register=task["register"])


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_the_first_task_of_a_verb_hands_every_setting_to_the_module(verb: str) -> None:
    (given, *dummy_others) = tasks(verb)
    given.pop("register")
    assert set(given) == set(spec_of(MODULES[MODULE_OF[verb]]))
    for setting in settings_of(verb):
        option = setting.as_option().name
        if setting.role_only or (verb in ("storage_check", "retire", "rename") and option == "job"):
            continue
        if option == "storage" and verb in ON_THE_OPERATOR:
            expected = "__imaging_operator_storage"
        else:
            expected = "__imaging_" + setting.name if setting.in_jobs else setting.variable
        assert given[option].strip("{} ").split(" ")[0] == expected, option


def test_the_results_are_those_that_the_tasks_register() -> None:
    registered: Set[str] = {task["register"] for verb in VERBS for task in all_tasks(verb) if "register" in task}
    for_people = {name for name in registered if not name.startswith("__")}
    assert for_people | {"imaging_run_result"} == set(RESULTS)


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_entry_point_leaves_a_result_however_it_ends(verb: str) -> None:
    (entry,) = yaml.safe_load((ROLE / "tasks" / (verb + ".yml")).read_text(encoding="utf-8"))
    assert entry["vars"]["__imaging_verb"] == verb
    assert entry["block"][0]["ansible.builtin.import_tasks"] == "begin.yml"
    assert entry["always"][-1]["ansible.builtin.import_tasks"] == "end.yml"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_what_a_module_documents_is_what_it_takes(module: str) -> None:
    """The fragments that it names together hold exactly its options; none is left in its own documentation."""
    tree = ast.parse((ROOT / "plugins" / "modules" / (module + ".py")).read_text(encoding="utf-8"))
    texts = {node.targets[0].id: node.value.value for node in tree.body if isinstance(node, ast.Assign)}  # type: ignore[attr-defined]
    document = yaml.safe_load(texts["DOCUMENTATION"])
    assert "options" not in document
    prefix = "plantops.imaging.options."
    names = [one[len(prefix) :] for one in document["extends_documentation_fragment"] if one.startswith(prefix)]
    documented: Dict[str, Any] = {}
    for name in names:
        documented.update(fragments()[name]["options"])
    assert without_words(documented) == without_secrecy(spec_of(MODULES[module]))
    shared = {name for name, options in SHARED.items() if all(option in MODULES[module] for option in options)}
    assert set(SHARED) & set(names) == shared


def test_no_part_has_the_name_of_a_file_of_fragments() -> None:
    """Ansible would load the file in place of the part, without a word."""
    assert not set(fragments()) & {path.stem for path in (ROOT / "plugins" / "doc_fragments").glob("*.py")}


def fragments() -> Dict[str, Any]:
    tree = ast.parse((ROOT / "plugins" / "doc_fragments" / "options.py").read_text(encoding="utf-8"))
    (cls,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
    assigned = [node for node in cls.body if isinstance(node, ast.Assign)]
    return {node.targets[0].id.lower(): yaml.safe_load(node.value.value) for node in assigned}  # type: ignore[attr-defined]


def without_words(options: Dict[str, Any]) -> Dict[str, Any]:
    found = {}
    for name, option in options.items():
        fields = {key: value for key, value in option.items() if key not in ("description", "suboptions")}
        if "suboptions" in option:
            fields["options"] = without_words(option["suboptions"])
        found[name] = fields
    return found


def without_secrecy(spec: Dict[str, Any]) -> Dict[str, Any]:
    found = {}
    for name, option in spec.items():
        fields = {key: value for key, value in option.items() if key != "no_log"}
        if "options" in option:
            fields["options"] = without_secrecy(option["options"])
        found[name] = fields
    return found


def test_a_job_may_say_each_setting_that_the_table_lets_it() -> None:
    jobs = EVERYTHING["jobs"]
    assert {key.name for key in jobs.options} == {"name", "schedule"} | {one.name for one in SETTINGS if one.in_jobs}
    for key in (one for one in jobs.options if one.name in EVERYTHING):
        if key.name == "name":
            continue
        assert key.default is None
        assert (key.type, key.choices) == (EVERYTHING[key.name].type, EVERYTHING[key.name].choices)


def test_markup_names_settings_that_exist() -> None:
    known = {PREFIX + path for path in EVERYTHING}
    specs = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    found = set()
    for entry in specs.values():
        for option in entry["options"].values():
            found |= {
                word.rstrip(")") for word in option["description"].split("C(")[1:] for word in word.split(")")[:1]
            }
    assert {name for name in found if name.startswith(PREFIX) and name != PREFIX} <= known
