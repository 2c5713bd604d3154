# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new setting is written at one place; whatever else mentions it is made, or a test asks for it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Tuple

import pytest
import yaml
from ansible_collections.plantops.imaging.plugins.module_utils import _arguments
from engine.verbs.request import COMMON_KEYS, VERBS
from settings.modules import MODULES, spec_of
from support.paths import ROOT

MADE = (
    "roles/imaging/meta/argument_specs.yml",
    "roles/imaging/defaults/main.yml",
    "roles/imaging/vars/main.yml",
    "roles/imaging/README.md",
    "plugins/doc_fragments/options.py",
)
NEW = """
    Setting(
        "read_ahead",
        "int",
        ("How many chunks are read ahead.", "More of them take more memory."),
        ("image",),
        default=8,
        in_jobs=True,
        minimum=1,
    ),
"""


def a_copy(folder: Path) -> Path:
    for part in ("scripts", "roles", "docs", "plugins/module_utils", "plugins/doc_fragments"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def run(folder: Path, *command: str) -> str:
    environment = {"PYTHONPATH": str(folder / "plugins" / "module_utils"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, *command], cwd=str(folder), env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_all_that_is_made_knows_a_setting_of_the_table(tmp_path: Path) -> None:
    copy = a_copy(tmp_path)
    before = {name: (copy / name).read_text(encoding="utf-8") for name in MADE}
    table = copy / "plugins" / "module_utils" / "settings" / "content.py"
    text = table.read_text(encoding="utf-8")
    mark = "CONTENT: Tuple[Setting, ...] = ("
    assert mark in text
    table.write_text(text.replace(mark, mark + NEW, 1), encoding="utf-8")
    run(copy, "scripts/generate-docs.py")
    run(copy, "scripts/generate-docs.py", "--check")

    changed = [name for name in MADE if (copy / name).read_text(encoding="utf-8") != before[name]]
    assert changed == list(MADE), "each of them is made"
    specs = yaml.safe_load((copy / MADE[0]).read_text(encoding="utf-8"))["argument_specs"]
    expected = {"description": "How many chunks are read ahead.", "type": "int", "default": 8}
    assert specs["image"]["options"]["imaging_read_ahead"] == expected
    assert "imaging_read_ahead" not in specs["verify"]["options"]
    assert "default" not in specs["verify"]["options"]["imaging_jobs"]["options"]["read_ahead"]
    assert yaml.safe_load((copy / MADE[1]).read_text(encoding="utf-8"))["imaging_read_ahead"] == 8
    variables = yaml.safe_load((copy / MADE[2]).read_text(encoding="utf-8"))
    assert "__imaging_read_ahead" in variables
    assert "read_ahead" in variables["__imaging_keys"]["imaging_jobs"]
    assert "imaging_read_ahead" in variables["__imaging_settings"]
    assert "| `imaging_read_ahead` | How many chunks are read ahead. | 8 |" in (copy / MADE[3]).read_text(
        encoding="utf-8"
    )
    assert "More of them take more memory." in (copy / MADE[4]).read_text(encoding="utf-8")
    program = "import json; from settings.modules import *; print(json.dumps(spec_of(MODULES['image'])['read_ahead']))"
    assert json.loads(run(copy, "-c", program)) == {"type": "int", "default": 8}


@pytest.mark.parametrize(
    ("module", "verb"),
    [
        ("device_compare", "compare"),
        ("device_history", "history"),
        ("device_rename", "rename"),
        ("image", "image"),
        ("image_copy", "copy"),
        ("image_info", "list"),
        ("image_pin", "pin"),
        ("image_restore", "restore"),
        ("image_retire", "retire"),
        ("image_rollover", "rollover"),
        ("image_verify", "verify"),
        ("storage_check", "check"),
    ],
)
def test_the_engine_reads_every_option_of_a_module(module: str, verb: str) -> None:
    """A setting that no verb of the engine reads would be accepted and do nothing."""
    arguments: Dict[str, Any] = {name: _some(option) for name, option in spec_of(MODULES[module]).items()}
    document = _arguments.request_of(verb, arguments, False)
    known: Tuple[str, ...] = (*COMMON_KEYS, *VERBS[verb].keys)
    assert set(document) <= set(known)


def _some(option: Dict[str, Any]) -> Any:
    return (
        {name: _some(inner) for name, inner in option["options"].items()}
        if option["type"] == "dict" and "options" in option
        else "x"
    )
