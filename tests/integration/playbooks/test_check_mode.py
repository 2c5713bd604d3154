# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every module with --check --diff, on a local device and over SSH: it says what would be, and nothing at all changes."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest
from engine.install.wheel_lock import locked_platform
from engine.install.wheel_store import default_cache, fetch_wheels
from support import plain_disks
from support.device_plays import changed_paths, make_disk, make_plant, result_of
from support.devices import Device, Plant
from support.plain_disks import MIB, PASSWORD
from support.playbooks import Played, Site
from support.sftp_server import SftpServer

PLATFORM = "linux-x86_64-glibc-cp311"
# Every module once: by the role's entry points, and by itself where the role has none.
EVERYTHING: List[Dict[str, Any]] = [
    {
        "name": "Run every module",
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            *(
                {"ansible.builtin.import_role": {"name": "plantops.imaging.imaging", "tasks_from": entry}}
                for entry in ("agent", "device_info", "storage_check", "image", "verify", "copy", "rollover", "restore")
            ),
            {
                "name": "List the images",
                "plantops.imaging.image_info": {
                    "storage": "{{ imaging_storage }}",
                    "device_name": "{{ inventory_hostname }}",
                    "device_alias": "{{ imaging_device_alias }}",
                },
                "delegate_to": "localhost",
            },
            {
                "name": "Build a bundle",
                "plantops.imaging.agent_bundle": {
                    "platforms": [PLATFORM],
                    "destination": "{{ bundle_folder }}/out",
                    "cache_folder": "{{ bundle_folder }}/cache",
                },
            },
            {
                "name": "Build the program",
                "plantops.imaging.recovery_program": {
                    "destination": "{{ bundle_folder }}/out",
                    "cache_folder": "{{ bundle_folder }}/cache",
                },
            },
        ],
    }
]


# The one trace of a question in check mode: the lock that keeps two runs apart names the last one that held it.
LOCK = "opt/plantops-imaging/run.lock"


def tree(folder: Path) -> Dict[str, Tuple[int, int, str]]:
    """Everything below ``folder`` with mode, time of the last change, and content: also what came and went is seen."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        state = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path)] = (state.st_mode, state.st_mtime_ns, content)
    return found


def check_everything(site: Site, *arguments: str) -> Played:
    playbook = site.folder / "everything.yml"
    playbook.write_text(json.dumps(EVERYTHING), encoding="utf-8")
    copied = ("-e", "imaging_copy_directory={{ bundle_folder }}/copy")
    return site.play_file(playbook, "--check", "--diff", *copied, *arguments)


def expect_what_would_be(played: Played, names: List[str]) -> None:
    """``names`` are the device's images; one remains, of one more."""
    assert played.status == 0, played.output
    image = played.result("Make an image")
    assert (image["changed"], image["image"], image["images"]) == (True, None, names)
    assert image["bytes_in_use"] == 16 * MIB
    assert 0 < image["bytes_to_send"] < 16 * MIB
    assert image["rollover"] == {"dry_run": True, "deleted": names, "spared": {}}
    assert "-%s\n-%s\n+a new image: 16.8 MB in use, about " % tuple(names) in played.output
    assert "and then delete: %s" % ", ".join(names) in played.output

    rolled = played.result("Delete the oldest images")
    assert (rolled["changed"], rolled["deleted"], rolled["images"]) == (True, names[:1], names[1:])
    restored = played.result("Restore an image")
    assert (restored["changed"], restored["disks"]) == (True, [])
    assert "-no file\n+disk0 of %s, 16.8 MB\n" % names[-1] in played.output
    verified = played.result("Verify an image")
    assert (verified["changed"], verified["ok"], verified["image"]) == (False, True, names[-1])
    checked = played.result("Check the storage")
    assert (checked["changed"], checked["images"], checked["has_key"]) == (False, 2, True)
    assert "may_delete" not in checked
    listed = played.result("List the images")
    assert (listed["changed"], [one["image"] for one in listed["images"]]) == (False, names)
    built = played.result("Build a bundle")
    assert (built["changed"], built["bundles"][0]["sha256"]) == (True, None)
    copied = played.result("Copy an image with all that a recovery needs")
    assert (copied["changed"], copied["image"], copied["authenticated"]) == (True, names[-1], True)
    assert copied["packs_to_copy"] == copied["packs"] > 0
    program = played.result("Build the program")
    assert (program["changed"], program["sha256"]) == (True, None)
    assert "-none\n+not built yet: its packages must be downloaded first\n" in played.output


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "data").mkdir()
    plain_disks.make_disk(tmp_path / "data" / "disk.raw", 16, noise_mib=3, seed=5)
    return Site(
        tmp_path,
        imaging_drives=[str(tmp_path / "data" / "disk.raw")],
        imaging_password=PASSWORD,
        imaging_restore_map={"disk0": str(tmp_path / "data" / "restored.raw")},
        bundle_folder=str(tmp_path / "data"),
    )


def test_on_a_local_device(site: Site) -> None:
    base = Path("/opt/plantops-imaging")
    agent = tree(base) if os.access(base, os.R_OK) else None
    names = [site.play("image").result("Make an image")["image"] for dummy in range(2)]
    before = tree(site.folder / "data"), tree(site.storage)
    played = check_everything(site, "-e", "imaging_keep=1")
    expect_what_would_be(played, names)
    assert (tree(site.folder / "data"), tree(site.storage)) == before
    assert (tree(base) if os.access(base, os.R_OK) else None) == agent


def test_what_a_run_would_refuse_is_refused(site: Site) -> None:
    site.play("image")
    before = tree(site.storage)
    for arguments, code in (
        (("-e", "imaging_password=another-password"), "K100"),
        (("-e", "imaging_password="), "K101"),
        (("-e", '{"imaging_drives": ["/dev/there-is-no-such-disk"]}'), "D100"),
    ):
        assert site.play("image", "--check", *arguments).result("Make an image")["error_code"] == code
    pack = sorted(site.device.glob("packs/*/*"))[0]
    content = pack.read_bytes()
    pack.unlink()
    lacking = site.play("restore", "--check").result("Restore an image")
    assert lacking["error_code"] in ("I101", "I103"), lacking  # a pack of chunks, or one that holds the index as well
    pack.write_bytes(content)
    identity = site.device / "device-id.json"
    document = json.loads(identity.read_text(encoding="utf-8"))
    mine = dict(document)
    document.update(machine_id="0" * 31 + "1", smbios_uuid="11111111-2222-3333-4444-555555555555")
    identity.write_text(json.dumps(document), encoding="utf-8")
    assert site.play("image", "--check").result("Make an image")["error_code"] == "I110"
    identity.write_text(json.dumps(mine), encoding="utf-8")
    assert set(tree(site.storage)) == set(before)


@pytest.fixture
def plant(tmp_path: Path, need: Callable[..., None]) -> Iterator[Plant]:
    need("unshare", "nsenter", "sshd", "sudo", "ssh", "openssl", "hostname")
    with SftpServer(tmp_path / "sftp") as server, Device(tmp_path, "press-1") as device:
        device.reach(server.port)
        server.root.mkdir(exist_ok=True)
        make_disk(device.data / "disk.raw")
        (tmp_path / "bundles").mkdir()
        plant = make_plant(tmp_path, server, [device], bundle_folder=str(tmp_path / "bundles"))
        yield plant
        plant.close()


@pytest.mark.long
@pytest.mark.root
def test_over_ssh(plant: Plant) -> None:
    device = plant.devices[0]
    assert plant.play("agent", "-e", "imaging_agent_state=absent").status == 0

    # What would be installed is not known before its packages were downloaded once, and a look downloads nothing.
    nothing = {"XDG_CACHE_HOME": str(plant.folder / "nothing-yet")}
    unknown = plant.play("image", "--check", "--diff", env=nothing)
    assert unknown.status == 0, unknown.output
    agent = result_of(unknown, device)["agent"]
    assert (agent["changed"], agent["id"], agent["sent_bytes"]) == (True, None, None)
    assert "-none\n+not built yet\n" in unknown.output
    assert not (plant.folder / "nothing-yet").exists()

    # Without an agent: what would be installed, and nothing can be known of the rest.
    fetch_wheels(locked_platform(agent["platform"]), default_cache())
    before = device.contents(), tree(device.data), tree(plant.storage), tree(plant.folder / "bundles")
    installing = plant.play("image", "--check", "--diff")
    assert installing.status == 0, installing.output
    agent = result_of(installing, device)["agent"]
    assert agent["changed"] is True
    assert "-none\n+%s\n" % agent["id"] in installing.output
    asked = plant.play("device_info", "--check", "--diff")
    assert "-none\n+%s\n" % agent["id"] in asked.output
    assert changed_paths(before[0], device.contents()) == []
    assert (tree(device.data), tree(plant.storage)) == before[1:3]

    names = [result_of(plant.play("image"), device)["image"] for dummy in range(2)]
    before = device.contents(), tree(device.data), tree(plant.storage), tree(plant.folder / "bundles")
    played = check_everything(plant, "-e", "imaging_keep=1")
    expect_what_would_be(played, names)
    assert played.result("Bring the agent into the wanted state")["changed"] is False
    assert played.result("Ask the device")["information"]["version"] >= 1
    assert set(changed_paths(before[0], device.contents())) <= {LOCK}
    assert (tree(device.data), tree(plant.storage), tree(plant.folder / "bundles")) == before[1:]

    leaving = plant.play("agent", "--check", "--diff", "-e", "imaging_agent_state=absent")
    assert "-%s\n+none\n" % agent["id"] in leaving.output
    assert set(changed_paths(before[0], device.contents())) <= {LOCK}
