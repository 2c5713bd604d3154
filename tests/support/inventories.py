# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventories to validate: a good one, and what breaks it by one change."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple

_PLUGINS = "ansible_collections.plantops.imaging.plugins.plugin_utils._inventory."
check, finding, sources = (import_module(_PLUGINS + name) for name in ("check", "finding", "sources"))

ALL, LINE, HOST, HOSTS = "group_vars/all/settings.yml", "group_vars/line1.yml", "host_vars/press-11.yml", "hosts.yml"
SEALED = "!vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6333\n"
SECRET = "correct-horse-battery-staple"
GOOD = {
    ALL: """---
imaging_storage:
  url: sftp://192.0.2.2/images
  username: imaging
  password: "{{ vault_storage }}"
imaging_password: "{{ vault_password }}"
imaging_keep: 7
imaging_jobs:
  - name: daily
    schedule: {at: "22:00", every: day}
  - name: monthly
    keep: 12
    schedule: {at: "23:00", every: month}
"""
    + "vault_storage: "
    + SEALED
    + "vault_password: "
    + SEALED,
    LINE: "---\nimaging_device_alias: line1\n",
    HOST: "---\nimaging_drives: [/dev/sda]\n",
    HOSTS: "---\nline1:\n  hosts:\n    press-11: {}\n    press-12: {}\n",
}


def written(folder: Path, **changes: str) -> Path:
    for name, text in {**GOOD, **changes}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def checked(folder: Path, awx: bool = False) -> List[Any]:
    return list(check.findings(sources.read([str(folder)]), awx=awx))


class Broken(NamedTuple):
    """A line that is added to a file, or put in the place of another text."""

    error: Any  # a class of the catalogue
    key: str
    file: str
    new: str
    old: str = ""
    host: str = "press-11"


def of_host(error: Any, key: str, new: str) -> Broken:
    return Broken(error, key, HOST, new)


STORAGE = "imaging_storage: {url: '%s', username: imaging%s}"


def changed(broken: Broken) -> Tuple[Dict[str, str], int]:
    """Return the files that differ from the good ones, and the line of the change."""
    good = GOOD[broken.file]
    if broken.old:
        assert broken.old in good
        line = good[: good.index(broken.old)].count("\n") + 1
        return {broken.file: good.replace(broken.old, broken.new, 1)}, line
    if broken.new.startswith("imaging_drives"):
        good = "---\n"
    return {broken.file: good + broken.new + "\n"}, good.count("\n") + 1


def assert_told(broken: Broken, folder: Path) -> None:
    """The fault is an error with its code, host, key, file and line; no secret is shown."""
    files, line = changed(broken)
    found = checked(written(folder, **files))
    (one, *dummy_others) = [one for one in found if (one.code, one.host) == (broken.error.code, broken.host)]
    assert (one.level, one.key, one.file) == (finding.ERROR, broken.key, str(folder / broken.file))
    assert line <= one.line <= line + broken.new.count("\n")
    assert SECRET not in str(found)
    assert SECRET not in finding.as_junit(found, ["press-11"])
