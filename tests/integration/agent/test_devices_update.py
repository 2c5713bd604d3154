# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device's agent over time: replaced by a newer one, kept when the newer one is broken, mended when it was damaged."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Tuple

import pytest
from engine.errors import InstallationBroken
from engine.install import bundle as bundles
from engine.install.bundle_format import Bundle
from support.bundles import WHEEL_CACHE, zipped
from support.device_plays import changed_paths, make_disk, one_image_more, read_back, result_of
from support.devices import Device, Plant
from support.sftp_server import SftpServer

pytestmark = pytest.mark.root
PLATFORM = "linux-x86_64-glibc-cp311"
MAIN = "engine/agent/main.py"


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory, need: Callable[..., None]) -> Iterator[Device]:
    need("unshare", "nsenter", "ip", "sshd", "sudo", "ssh", "openssl", "hostname")
    with Device(tmp_path_factory.mktemp("devices"), "press-4") as device:
        make_disk(device.data / "disk.raw")
        yield device


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    server = SftpServer(tmp_path_factory.mktemp("sftp"))
    server.root.mkdir(exist_ok=True)
    with server:
        yield server


def carried(folder: Path, monkeypatch: pytest.MonkeyPatch, *changes: Tuple[str, bytes]) -> str:
    """Build the bundle of an engine that differs from this one, as a site carries it; return its installation's id."""
    with zipfile.ZipFile(io.BytesIO(bundles.engine_zip())) as archive:
        sources: Dict[str, Any] = {name: archive.read(name) for name in archive.namelist()}
    sources.update(changes)
    with monkeypatch.context() as patch:
        patch.setattr(bundles, "engine_zip", lambda: zipped(sources.items()))
        built = bundles.build_bundle(PLATFORM, str(folder), cache_folder=str(WHEEL_CACHE))
    with Bundle(built.path) as bundle:
        return bundle.identity


def current(device: Device) -> str:
    return (device.base / "current").read_text(encoding="ascii").strip()


def test_the_next_image_brings_the_newer_agent_and_a_broken_one_is_not_activated(
    plant: Plant, device: Device, server: SftpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = carried(tmp_path / "first", monkeypatch)
    second = carried(tmp_path / "second", monkeypatch, ("engine/agent/new_in_the_next_version.py", b""))
    broken = carried(tmp_path / "broken", monkeypatch, (MAIN, b"def main(:\n"))
    deceptive = carried(
        tmp_path / "deceptive", monkeypatch, (MAIN, b"def main(*dummy):\n    print('{\"ok\": true}')\n    return 0\n")
    )
    plant.settings["imaging_bundle_directory"] = str(tmp_path / "first")
    assert result_of(plant.play("image"), device)["agent"]["id"] == first
    assert current(device) == first

    images = plant.image_names(device)
    plant.settings["imaging_bundle_directory"] = str(tmp_path / "second")
    updated = result_of(plant.play("image"), device)
    assert (updated["agent"]["changed"], updated["agent"]["replaced"]) == (True, first)
    engine_bytes = len(bundles.engine_zip())
    assert updated["agent"]["sent_bytes"] < engine_bytes + 300_000, "the packages, some 12 MB, are there already"
    assert updated["image"] == one_image_more(plant, device, images)
    assert current(device) == second

    before = device.contents()
    for name, identity in (("broken", broken), ("deceptive", deceptive)):
        plant.settings["imaging_bundle_directory"] = str(tmp_path / name)
        failed = result_of(plant.play("image"), device)
        assert failed["error_code"] == InstallationBroken.code
        assert identity in failed["msg"]
        assert changed_paths(before, device.contents()) == []
    images = plant.image_names(device)
    plant.settings["imaging_bundle_directory"] = str(tmp_path / "second")
    again = result_of(plant.play("image"), device)
    assert again["agent"]["changed"] is False
    assert again["image"] == one_image_more(plant, device, images)
    assert read_back(server, device, tmp_path) == (device.data / "disk.raw").read_bytes()


@pytest.mark.parametrize("playbook", ["image", "device_info", "agent"])
def test_an_agent_that_was_damaged_is_installed_anew(playbook: str, plant: Plant, device: Device) -> None:
    assert plant.play("agent", "-e", "imaging_agent_state=latest").status == 0
    whole = device.contents()
    folder = device.base / "versions" / current(device) / "engine" / "agent"
    for path in [folder / "main.py", *folder.glob("__pycache__/main.*")]:
        path.unlink()
    for part in (device.base / "parts").iterdir():
        part.write_bytes(part.read_bytes()[:-1])
    if playbook == "agent":
        foretold = result_of(plant.play(playbook, "--check"), device, "Bring the agent into the wanted state")
        assert foretold["changed"] is True
        assert foretold["sent_bytes"] > 1_000_000
    played = plant.play(playbook)
    assert played.status == 0, played.output
    mended = changed_paths(whole, device.contents())
    assert [path for path in mended if "/versions/" in path] == []
