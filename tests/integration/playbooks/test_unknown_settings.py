# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that the role does not know, from every place where Ansible takes variables: refused by playbooks, with the nearest name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import pytest
from support import plain_disks
from support.plain_disks import PASSWORD
from support.playbooks import Played, Site

NAMES = "Check that every setting is known"
KEYS = "Check that every key of a setting is known"


class Hosts(Site):
    """Several local devices; ``wrong`` are the variables of each."""

    def __init__(self, folder: Path, wrong: Dict[str, Dict[str, Any]], **settings: Any) -> None:
        super().__init__(folder, imaging_device_alias="", imaging_drives=[str(folder / "disk")], **settings)
        self.wrong = wrong

    def inventory(self) -> Dict[str, Any]:
        hosts = {name: dict(own, ansible_connection="local") for name, own in self.wrong.items()}
        presses = {name: None for name in hosts if name.startswith("press")}
        return {"all": {"hosts": hosts, "vars": self.settings, "children": {"presses": {"hosts": presses}}}}


def write(path: Path, variables: Dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(variables), encoding="utf-8")


def told(played: Played, task: str) -> Dict[str, str]:
    """The sentences of the hosts that a task of the check refused."""
    found = {}
    for entry in played.results:
        if entry["task"].endswith(task) and entry["status"] == "failed":
            found[entry["host"]] = str(entry["result"]["msg"])
    return found


def test_each_host_is_refused_for_its_own_variables(tmp_path: Path) -> None:
    """One play over hosts whose wrong names come from the inventory, host_vars and group_vars; a right one goes on."""
    plain_disks.make_disk(tmp_path / "disk", 4, noise_mib=1, seed=1)
    site = Hosts(tmp_path, {"pc-right": {}, "pc-own": {}, "press-1": {}, "pc-prefix": {"imagng_keep": 3}})
    write(tmp_path / "host_vars" / "pc-own.yml", {"imaging_encryption_password": PASSWORD})
    write(tmp_path / "group_vars" / "presses.yml", {"imaging_limit_iorate": 5})
    played = site.play("image")
    assert played.status != 0
    refused = told(played, NAMES)
    assert set(refused) == {"pc-own", "press-1", "pc-prefix"}
    assert "imaging_encryption_password. Did you mean imaging_password?" in refused["pc-own"]
    assert "imaging_limit_iorate. Did you mean imaging_limit_io_rate?" in refused["press-1"]
    assert "imagng_keep. Did you mean imaging_keep?" in refused["pc-prefix"]
    assert PASSWORD not in played.output
    assert [path.parent.parent.name for path in site.storage.glob("*/*/image.json")] == ["pc-right"]


@pytest.mark.parametrize("place", ["extra", "play", "group_vars/all", "role parameter"])
def test_a_variable_of_the_whole_play_is_refused(place: str, tmp_path: Path) -> None:
    plain_disks.make_disk(tmp_path / "disk", 4, noise_mib=1, seed=1)
    site = Hosts(tmp_path, {"pc-1": {}, "pc-2": {}})
    wrong = {"imaging_pasword": PASSWORD}
    role: Dict[str, Any] = {"ansible.builtin.import_role": {"name": "plantops.imaging.imaging", "tasks_from": "image"}}
    play: Dict[str, Any] = {"name": "Image", "hosts": "all", "gather_facts": False, "tasks": [role]}
    arguments = ["-e", json.dumps(wrong)] if place == "extra" else []
    if place == "play":
        play["vars"] = wrong
    elif place == "role parameter":
        role["vars"] = wrong
    elif place.startswith("group_vars"):
        write(tmp_path / "group_vars" / "all.yml", wrong)
    (tmp_path / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    played = site.play_file(tmp_path / "play.yml", *arguments)
    assert played.status != 0
    refused = told(played, NAMES)
    assert set(refused) == {"pc-1", "pc-2"}, played.output
    for sentence in refused.values():
        assert "imaging_pasword. Did you mean imaging_password?" in sentence
    assert list(site.storage.iterdir()) == []


def test_a_misspelt_name_of_a_required_setting_is_told_as_what_it_is(tmp_path: Path) -> None:
    """Ansible's own check of the arguments would say that imaging_storage is missing."""
    site = Hosts(tmp_path, {"pc-1": {}})
    site.settings["imaging_storag"] = site.settings.pop("imaging_storage")
    refused = told(site.play("image"), NAMES)
    assert "imaging_storag. Did you mean imaging_storage?" in refused["pc-1"]


def test_a_site_has_names_of_its_own(tmp_path: Path) -> None:
    site = Hosts(tmp_path, {"pc-1": {}}, imaging_contact="the control room", imaging_site_variables=["imaging_contact"])
    played = site.play("storage_check")
    assert played.status == 0, played.output
    assert told(played, NAMES) == {}


def test_keys_of_storages_and_jobs_are_refused_with_the_nearest_one(tmp_path: Path) -> None:
    """For each host its own, before Ansible's check of the arguments, which names all keys that there are; values stay unsaid."""
    url = str(tmp_path / "storage")
    storage = {"url": url, "username": "imaging"}
    site = Hosts(
        tmp_path,
        {
            "pc-right": {"imaging_jobs": [{"name": "daily", "keep": 3, "storage": {"url": url}}]},
            "pc-storage": {"imaging_storage": dict(storage, pasword=PASSWORD)},
            "pc-operator": {"imaging_storage_operator": {"user_name": "rollover"}},
            "pc-job": {"imaging_jobs": [{"name": "daily"}, {"name": "monthly", "kepe": 3}]},
            "pc-deep": {"imaging_jobs": [{"name": "daily", "storage": dict(storage, private_key_fil="/k")}]},
        },
    )
    played = site.play("storage_check")
    assert played.status != 0
    refused = told(played, KEYS)
    assert set(refused) == {"pc-storage", "pc-operator", "pc-job", "pc-deep"}, played.output
    assert "Unknown key pasword in imaging_storage. Did you mean password?" in refused["pc-storage"]
    assert "Unknown key user_name in imaging_storage_operator. Did you mean username?" in refused["pc-operator"]
    assert "Unknown key kepe in imaging_jobs[1]. Did you mean keep?" in refused["pc-job"]
    assert (
        "Unknown key private_key_fil in imaging_jobs[0].storage. Did you mean private_key_file?" in refused["pc-deep"]
    )
    assert PASSWORD not in played.output
    assert played.result("Check the storage")["storage"] == url
