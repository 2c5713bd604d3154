# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A forgotten --limit: a restore on more than one host of a play needs a yes of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest
from support.plain_disks import PASSWORD, make_disk
from support.playbooks import Site


class TwoHosts(Site):
    """Two local devices; both restore over disks that hold data."""

    def inventory(self) -> Dict[str, Any]:
        hosts = {name: {"ansible_connection": "local"} for name in ("pc-1", "pc-2")}
        return {"all": {"hosts": hosts, "vars": self.settings}}


@pytest.fixture
def site(tmp_path: Path) -> TwoHosts:
    make_disk(tmp_path / "disk.raw", 4, noise_mib=1, seed=5)
    for name in ("pc-1", "pc-2"):
        (tmp_path / ("%s.raw" % name)).write_bytes(b"data of the plant" * 500_000)
    return TwoHosts(
        tmp_path,
        imaging_drives=[str(tmp_path / "disk.raw")],
        imaging_password=PASSWORD,
        imaging_restore_map={"disk0": str(tmp_path / "{{ inventory_hostname }}.raw")},
        imaging_restore_overwrite=True,
    )


def targets(site: Site) -> List[bytes]:
    return [(site.folder / ("%s.raw" % name)).read_bytes() for name in ("pc-1", "pc-2")]


def own_play(site: Site, **more: Any) -> str:
    task: Dict[str, Any] = more.pop("task", None) or {
        "ansible.builtin.import_role": {"name": "plantops.imaging.imaging", "tasks_from": "restore"}
    }
    if more.pop("run_once", False):
        task["run_once"] = True
    play = dict({"hosts": "all", "gather_facts": False, "tasks": [task]}, **more)
    path = site.folder / ("own-%s.yml" % "-".join([*map(str, more), *task]))
    path.write_text(json.dumps([play]), encoding="utf-8")
    return str(path)


def test_more_than_one_host_takes_a_yes(site: TwoHosts, monkeypatch: pytest.MonkeyPatch) -> None:
    assert site.play("image").status == 0
    before = targets(site)
    command = TwoHosts.command

    def run(playbook: str, *arguments: str) -> int:
        words = command(site, "restore", *arguments)
        words[words.index("plantops.imaging.restore")] = playbook
        monkeypatch.setattr(TwoHosts, "command", lambda *dummy: words)
        played = site.play(playbook)
        monkeypatch.setattr(TwoHosts, "command", command)
        if played.status:
            assert "imaging_restore_many" in played.output
            assert "--limit" in played.output
            failed = [entry["result"] for entry in played.results if entry["status"] == "failed"]
            assert {result["error_code"] for result in failed} == {"R121"}
        return played.status

    module: Dict[str, Any] = {
        "plantops.imaging.image_restore": {
            "storage": {"url": "{{ imaging_storage.url }}"},
            "device_name": "{{ inventory_hostname }}",
            "device_alias": "t",
            "image": "latest",
            "map": "{{ imaging_restore_map }}",
            "password": "{{ imaging_password }}",
            "overwrite": True,
        }
    }
    assert run("plantops.imaging.restore") != 0
    assert run(own_play(site, task=module)) != 0
    assert run(own_play(site, task=module, serial=1)) != 0
    assert run(own_play(site, task=module, strategy="free")) != 0
    assert run(own_play(site, serial=1), "--check") != 0
    assert run(own_play(site, run_once=True)) != 0
    assert targets(site) == before
    assert run("plantops.imaging.restore", "--limit", "pc-2") == 0
    disk = (site.folder / "disk.raw").read_bytes()
    assert targets(site)[0] == before[0]
    assert targets(site)[1][: len(disk)] == disk
    assert run(own_play(site, serial=1), "-e", '{"imaging_restore_many": true}') == 0
    assert [one[: len(disk)] for one in targets(site)] == [disk, disk]
    for name in ("pc-1", "pc-2"):
        (site.folder / ("%s.raw" % name)).write_bytes(b"data of the plant" * 500_000)
    module["plantops.imaging.image_restore"]["many"] = True
    assert run(own_play(site, task=module)) == 0
    assert [one[: len(disk)] for one in targets(site)] == [disk, disk]
