# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A setting that names another variable is checked with the value of that one, at its place; what is not certain is not told."""

from __future__ import annotations

from pathlib import Path
from typing import List, Tuple

import pytest
from support.inventories import GOOD, HOST, HOSTS, LINE, SEALED, SECRET, checked, finding, written

JOBS = "imaging_jobs: '{{ jobs_of_line }}'\n"


def told(folder: Path, own: str, line: str = "", hosts: str = "") -> List[Tuple[str, str, str, str, int]]:
    """The errors of an inventory with this text in the file of press-11, and this one in that of its group."""
    files = {HOST: own + "\n", LINE: GOOD[LINE] + line + "\n", HOSTS: GOOD[HOSTS] + hosts}
    found = checked(written(folder, **files))
    assert SECRET not in str(found)
    return [
        (one.code, one.host, one.key, str(Path(one.file).relative_to(folder)), one.line)
        for one in found
        if one.level == finding.ERROR
    ]


@pytest.mark.parametrize(
    ("own", "line", "expected"),
    [
        (JOBS, "jobs_of_line:\n  - {name: a, kep: 3}", ("J141", "press-11", "imaging_jobs[0].kep", LINE, 4)),
        (JOBS, "jobs_of_line: {a: {keep: 3}}", ("J142", "press-11", "imaging_jobs", LINE, 3)),
        (JOBS, "jobs_of_line:\n  - {name: a}\n  - {name: a}", ("J121", "press-11", "imaging_jobs[1].name", LINE, 5)),
        (JOBS, "jobs_of_line: '{{ base }}'\nbase: [{name: a, keep: 0}]", ("J143", "press-11", "imaging_jobs[0].keep", LINE, 4)),
        ("imaging_jobs:\n  - '{{ daily }}'", "daily: {name: a, drives: sda}", ("J160", "press-11", "imaging_jobs[0].drives", LINE, 3)),
        ("imaging_jobs: [{name: a, keep: '{{ number }}'}]", "number: seven", ("J142", "press-11", "imaging_jobs[0].keep", LINE, 3)),
        ("imaging_keep: '{{ site.keep }}'", "site: {keep: 0}", ("J143", "press-11", "imaging_keep", LINE, 3)),
        ("imaging_keep: \"{{ site['keep'][1] }}\"", "site: {keep: [7, 0]}", ("J143", "press-11", "imaging_keep", LINE, 3)),
        ("imaging_limit_io_rate: '{{ rate }}'", "rate: 20 MB/s", ("J145", "press-11", "imaging_limit_io_rate", LINE, 3)),
        ("imaging_storage: '{{ storages.main }}'", "storages: {main: {username: x}}", ("J146", "press-11", "imaging_storage.url", LINE, 3)),
        ("imaging_storage: '{{ main }}'", "main: {url: smb://server/x}", ("J156", "press-11", "imaging_storage.url", LINE, 3)),
        ("imaging_hooks: '{{ hooks }}'", "hooks: {before: missing.yml}", ("J208", "press-11", "imaging_hooks.before", LINE, 3)),
        ("imaging_exclude: ['{{ pattern }}']", "pattern: /a/../b", ("D130", "press-11", "imaging_exclude[0]", LINE, 3)),
    ],
)  # fmt: skip
def test_it_is_told_at_the_place_of_the_variable(
    own: str, line: str, expected: Tuple[str, str, str, str, int], tmp_path: Path
) -> None:
    found = told(tmp_path, own, line)
    assert expected in found
    assert {one[0] for one in found} <= {expected[0], "J146"}, "a job without its storage may be told, too"


@pytest.mark.parametrize(
    ("own", "line"),
    [
        (JOBS, "jobs_of_line: [{name: a, keep: 3}]"),
        ("imaging_keep: '{{ number | default(7) }}'", "number: 0"),
        ("imaging_keep: '{{ number if later else 7 }}'", "number: 0"),
        ("imaging_keep: '{{ number | int + 1 }}'", "number: 0"),
        ("imaging_keep: \"{{ hostvars['press-12'].number }}\"", "number: 0"),
        ("imaging_keep: '{{ numbers[site] }}'", "numbers: {a: 0}"),
        ("imaging_exclude: '{{ patterns.keys() }}'", "patterns: {a: b}"),
        ("imaging_exclude: '{{ patterns.keys }}'", "patterns: {keys: 7}"),
        ("imaging_keep: '{{ elsewhere }}'", ""),
        ("imaging_password: '{{ secret }}'", "secret: " + SEALED.rstrip()),
        ("imaging_device_name: '{{ inventory_hostname }}'", ""),
        ("imaging_keep: '{{ ansible_facts.x }}'", ""),
        ("imaging_adopt: '{{ nothing }}'", "nothing:"),
    ],
)
def test_what_is_right_or_not_certain_is_not_told(own: str, line: str, tmp_path: Path) -> None:
    assert told(tmp_path, own, line) == []


def test_two_devices_with_one_directory_by_a_named_storage(tmp_path: Path) -> None:
    own = "imaging_device_name: '{{ called }}'\ncalled: PRESS-12\nimaging_storage: '{{ main }}'"
    line = "main: {url: sftp://192.0.2.2/images, username: imaging}"
    found = told(tmp_path, own, line)
    assert ("J149", "press-11", "imaging_device_name", HOST, 2) in found


def test_a_variable_of_another_group_does_not_count(tmp_path: Path) -> None:
    """The hosts of each line have the variable of their own line."""
    hosts = "line2:\n  hosts:\n    press-21: {imaging_keep: '{{ number }}', number: 7}\n"
    assert told(tmp_path, "imaging_keep: '{{ number }}'", "number: 0", hosts) == [
        ("J143", "press-11", "imaging_keep", LINE, 3)
    ]


def test_a_circle_and_a_secret_are_told_by_their_own_rules(tmp_path: Path) -> None:
    found = told(tmp_path, "imaging_keep: '{{ one }}'\none: '{{ two }}'\ntwo: '{{ one }}'")
    assert {one[0] for one in found} == {"J200"}
    found = told(
        tmp_path, "imaging_storage: '{{ main }}'", "main: {url: sftp://s/x, username: u, password: %s}" % SECRET
    )
    assert [one[0] for one in found] == ["J152"]
