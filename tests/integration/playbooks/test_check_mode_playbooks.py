# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every playbook with --check --diff: it tells what would be, and storage, device, targets and results stay as they are."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Dict, Tuple

import pytest
from support import plain_disks
from support.paths import ROOT
from support.plain_disks import PASSWORD
from support.playbooks import Site
from support.recovery import stand_in

PLAYBOOKS = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))
# Not in the inventory, where validate would rightly refuse it.
SECRET = ("-e", json.dumps({"imaging_password": PASSWORD}))
# A run that would change something says so in the recap; these only look.
ONLY_LOOK = {"device_info", "show", "storage_check", "validate", "verify"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A device with an image, a change since then, hooks, and a directory for results that has one."""
    folder = tmp_path_factory.mktemp("check")
    plain_disks.make_disk(folder / "disk.raw", 12, noise_mib=3, seed=5)
    for name in ("before", "after", "failed"):
        task = [
            {
                "name": "Hook",
                "ansible.builtin.copy": {"content": name, "dest": str(folder / "hook")},
                "vars": {"ansible_python_interpreter": sys.executable},
            }
        ]
        (folder / ("%s.yml" % name)).write_text(json.dumps(task), encoding="utf-8")
    one = Site(
        folder,
        imaging_drives=[str(folder / "disk.raw")],
        imaging_restore_map={"disk0": str(folder / "restored.raw")},
        imaging_results_directory=str(folder / "results"),
        imaging_copy_directory=str(folder / "copies" / "stick"),
        imaging_copy_program=str(stand_in()),
        imaging_archive={"url": str(folder / "archive")},
    )
    (folder / "copies").mkdir()
    (folder / "archive").mkdir()
    for dummy in range(2):
        assert one.play("image", *SECRET).status == 0
    with open(folder / "disk.raw", "r+b") as disk:
        disk.seek(9 << 20)
        disk.write(b"changed")
    one.settings["imaging_keep"] = 1
    one.settings["imaging_retire"] = one.device.name
    one.settings["imaging_rename_to"] = "pc-2"
    one.settings["imaging_hooks"] = {name: str(folder / ("%s.yml" % name)) for name in ("before", "after", "failed")}
    return one


def state(folder: Path) -> Dict[str, Tuple[int, str]]:
    """Every file and folder but what the test itself and Ansible write there."""
    found: Dict[str, Tuple[int, str]] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if name.split(os.sep, maxsplit=1)[0] in ("ansible-home", "results.jsonl", "hosts.yml"):
            continue
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[name] = (path.lstat().st_mode, content)
    return found


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_check_mode_changes_nothing_and_tells_what_would_be(site: Site, playbook: str) -> None:
    before = state(site.folder)
    assert any(name.startswith("storage/") for name in before)
    assert any(name.startswith("results/") for name in before)
    command = site.command(playbook, "--check", "--diff", *SECRET)
    done = subprocess.run(command, cwd=str(ROOT), env=site.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert state(site.folder) == before
    if playbook not in ONLY_LOOK:
        assert "changed=0" not in done.stdout, done.stdout
        assert "would " in done.stdout or "+++ " in done.stdout, done.stdout
