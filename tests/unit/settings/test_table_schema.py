# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON Schema of the settings, with an independent validator: the example passes, broken files do not."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from settings.table import SETTINGS
from support.paths import ROOT

SCHEMA = ROOT / "docs" / "schemas" / "settings.json"
EXAMPLE = ROOT / "inventories" / "example"
FILES = sorted([*EXAMPLE.glob("group_vars/**/*.yml"), *EXAMPLE.glob("host_vars/*.yml")])


class Loader(yaml.SafeLoader):
    """Takes what is sealed as the text that it will be."""


Loader.add_constructor("!vault", lambda loader, node: str(node.value))


def validate(document: Any) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.Draft7Validator(schema).validate(document)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_example_passes_and_names_the_schema(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    validate(yaml.load(text, Loader=Loader))
    named = re.search(r"^# yaml-language-server: \$schema=(\S+)$", text, re.MULTILINE)
    assert named
    assert (path.parent / named.group(1)).resolve() == SCHEMA


def test_every_setting_may_have_its_default() -> None:
    validate({setting.variable: setting.default for setting in SETTINGS if setting.default is not None})


@pytest.mark.parametrize(
    "text",
    [
        "imaging_pasword: x",
        "imaging_kep: 7",
        "imaging_storage: {url: /x, user: y}",
        "imaging_storage: sftp://server/x",
        "imaging_storage: {url: /x, port: 70000}",
        "imaging_storage_operator: {pasword: '{{ x }}'}",
        "imaging_keep: seven",
        "imaging_keep: 7.5",
        "imaging_keep: 0",
        "imaging_keep: [7]",
        "imaging_keep: true",
        "imaging_limit_io_rate: -1",
        "imaging_limit_io_rate: 20 MB/s",
        "imaging_limit_read_rate: automatic",
        "imaging_compression_level: 22",
        "imaging_snapshot: require",
        "imaging_adopt: maybe",
        "imaging_password: 123",
        "imaging_drives: []",
        "imaging_drives: {a: b}",
        "imaging_exclude: {a: b}",
        "imaging_restore_map: /dev/sdb",
        "imaging_jobs: daily",
        "imaging_jobs: [daily]",
        "imaging_jobs: [{keep: 3}]",
        "imaging_jobs: [{name: a, kep: 3}]",
        "imaging_jobs: [{name: a, storage: {username: b}}]",
        "imaging_jobs: [{name: a, schedule: {at: 22:00, every: day}}]",
        "imaging_jobs: [{name: a, schedule: {at: '24:00', every: day}}]",
        "imaging_jobs: [{name: a, schedule: {at: '22:00', every: year}}]",
        "imaging_jobs: [{name: a, schedule: {at: '22:00'}}]",
    ],
)
def test_what_is_broken_fails(text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    "text", ["imaging_keep: '{{ x }}'", "imaging_drives: system", "imaging_limit_read_rate: 2.5", "a: 1"]
)
def test_what_is_right_passes(text: str) -> None:
    validate(yaml.safe_load(text))
