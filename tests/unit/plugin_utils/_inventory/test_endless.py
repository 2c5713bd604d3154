# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates that refer to themselves or grow: told at once, however much they would take to follow to their end."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest
from ansible_collections.plantops.imaging.plugins.module_utils.engine import errors
from ansible_collections.plantops.imaging.plugins.plugin_utils._inventory import trail
from support.inventories import HOST, SECRET, checked, written

OTHER = "host_vars/press-12.yml"
MOST_FOLLOWED = 5_000  # templates in one inventory of two hosts; the growing ones here have a million copies and more

# The settings of a host; the key of what is told, the variable that it names, and its line.
LOOPS = [
    ("imaging_password: '{{ a }}'\na: \"{{ a ~ a }}\"", "imaging_password", "a", 2),
    ("imaging_password: '{{ imaging_password }}'", "imaging_password", "imaging_password", 1),
    ("imaging_password: '{{ a }}'\na: '{{ b ~ b }}'\nb: '{{ c ~ c }}'\nc: '{{ a ~ a }}'", "imaging_password", "a", 2),
    ("imaging_password: 'x{{ a }}{{ b }}'\na: 'x{{ b }}'\nb: 'x{{ a }}'", "imaging_password", "a", 2),
    ("imaging_password: '{{ vars[a] }}'\na: '{{ a ~ a }}'", "imaging_password", "a", 2),
    ("imaging_password: \"{{ hostvars['press-11'].imaging_password }}\"", "imaging_password", "imaging_password", 1),
    ("imaging_password: \"{{ hostvars[inventory_hostname]['a'] }}\"\na: '{{ a }}'", "imaging_password", "a", 2),
    ("imaging_password: \"{{ lookup('vars', 'imaging_password') }}\"", "imaging_password", "imaging_password", 1),
    ("imaging_password: \"{{ imaging_password | default('') }}\"", "imaging_password", "imaging_password", 1),
    ("imaging_password: '{% if imaging_password %}{{ vault_password }}{% endif %}'",)
    + ("imaging_password", "imaging_password", 1),
    ("imaging_device_name: '{{ a }}'\na: '{{ a }}{{ a }}'", "imaging_device_name", "a", 2),
    ("imaging_keep: '{{ imaging_keep - 1 }}'", "imaging_keep", "imaging_keep", 1),
    ("imaging_storage: {url: 'sftp://server/{{ a }}'}\na: '{{ b }}x'\nb: '{{ a }}x'", "imaging_storage.url", "a", 2),
    ("imaging_jobs: [{name: daily, keep: '{{ k }}'}]\nk: '{{ k }}'", "imaging_jobs[0].keep", "k", 2),
    ("imaging_exclude: '{{ a }}'\na: ['{{ b.c }}']\nb: {c: '{{ imaging_exclude }}'}",)
    + ("imaging_exclude", "imaging_exclude", 1),
    ("ansible_password: '{{ ansible_password }}'", "ansible_password", "ansible_password", 1),
]
FINE = [
    "imaging_password: \"{{ vault_password if inventory_hostname == 'x' else hostvars['press-11'].imaging_password }}\"",
    "imaging_password: '{{ hostvars[unknown].imaging_password }}'",
    "imaging_password: '{% set imaging_password = vault_password %}{{ imaging_password }}'",
    "imaging_password: '{{ vault_password or imaging_password }}'",
    "imaging_password: '{% for a in b %}{{ a }}{% endfor %}'\na: '{{ a }}'",
    "imaging_password: \"{{ groups['all'] | map('extract', hostvars, 'imaging_password') | first }}\"",
    "other: '{{ other }}'",
    "imaging_storage: {url: 'sftp://server/{{ imaging_storage.username }}', username: imaging}",
    "imaging_password: '{{ pws[unknown] }}'\npws: {%s}"
    % ", ".join("a%d: '{{ vault_password }}'" % number for number in range(1000)),
    "imaging_exclude: [%s]\nbase: /var" % ", ".join("'{{ base }}/%d'" % number for number in range(1000)),
    "imaging_password: '{{ v0 }}'\n%s\nv9: '{{ vault_password }}'"
    % "\n".join("v%d: \"{{ v%d | default('') | trim }}\"" % (number, number + 1) for number in range(9)),
]


@pytest.fixture(name="followed", autouse=True)
def count_followed(monkeypatch: pytest.MonkeyPatch) -> List[str]:
    """Every template that is followed; a test that follows too many fails, however fast the machine is."""
    found: List[str] = []
    count = trail.Effort.count

    def counted(self: trail.Effort, node: object, variables: object) -> None:
        found.append(str(node))
        count(self, node, variables)  # type: ignore[arg-type]

    monkeypatch.setattr(trail.Effort, "count", counted)
    return found


@pytest.mark.parametrize(("text", "key", "name", "line"), LOOPS)
def test_a_template_of_itself_is_told_with_its_variable(
    text: str, key: str, name: str, line: int, tmp_path: Path, followed: List[str]
) -> None:
    found = [one for one in checked(written(tmp_path, **{HOST: text + "\n"})) if one.code == "J200"]
    assert {(one.level, one.host, one.key, one.file, one.line) for one in found} == {
        ("error", "press-11", key, str(tmp_path / HOST), line)
    }
    assert errors.TemplateOfItself(key=key, name=name).as_dict()["message"] in found[0].message
    assert len(followed) < MOST_FOLLOWED


def test_two_hosts_that_refer_to_each_other(tmp_path: Path) -> None:
    text = "imaging_password: \"{{ hostvars['%s'].imaging_password }}\"\n"
    found = checked(written(tmp_path, **{HOST: text % "press-12", OTHER: text % "press-11"}))
    assert sorted((one.code, one.host, one.file) for one in found) == [
        ("J200", "press-11", str(tmp_path / HOST)),
        ("J200", "press-12", str(tmp_path / OTHER)),
    ]


@pytest.mark.parametrize("text", FINE)
def test_a_template_that_ends_is_fine(text: str, tmp_path: Path) -> None:
    assert [one for one in checked(written(tmp_path, **{HOST: text + "\n"})) if one.code != "J158"] == []


GROWING = [
    ("imaging_password", "{{ v%d ~ v%d }}"),
    ("imaging_password", "{{ v%d | default('') ~ v%d }}"),
    ("imaging_password", "{{ [v%d, v%d] | join }}"),
    ("imaging_device_name", "{{ v%d }}{{ v%d }}"),
    ("imaging_storage.url", "{{ v%d }}{{ v%d }}"),
    ("imaging_exclude", "{{ v%d + v%d }}"),
    ("imaging_password", "{{ v%d if x else v%d }}"),
]


@pytest.mark.parametrize(("key", "template"), GROWING)
def test_templates_that_double_are_told_with_little_work(
    key: str, template: str, tmp_path: Path, followed: List[str]
) -> None:
    lines = ['v%d: "%s"' % (number, template % (number + 1, number + 1)) for number in range(20)]
    first = key.replace(".url", ": {url") + ": '{{ v0 }}'" + ("}" if "." in key else "")
    text = "\n".join([first, *lines, "v20: '%s'" % SECRET, ""])
    found = checked(written(tmp_path, **{HOST: text}))
    told = [(one.level, one.host, one.key, one.file) for one in found if one.code == errors.TemplateGrows.code]
    assert told == [("error", "press-11", key, str(tmp_path / HOST))]
    assert SECRET not in str(found)
    assert len(followed) < MOST_FOLLOWED


def test_variables_that_all_refer_to_each_other(tmp_path: Path, followed: List[str]) -> None:
    every = " ~ ".join("v%d" % number for number in range(15))
    lines = ["imaging_password: '{{ v0 }}'", *("v%d: '{{ %s }}'" % (number, every) for number in range(15)), ""]
    found = checked(written(tmp_path, **{HOST: "\n".join(lines)}))
    assert [one.code for one in found] == [errors.TemplateOfItself.code]
    assert len(followed) < MOST_FOLLOWED
