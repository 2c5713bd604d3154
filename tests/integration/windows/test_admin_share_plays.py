# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks on a device that offers nothing but SMB: agent installed, disk imaged, agent removed; what crosses the line."""

from __future__ import annotations

import base64
import contextlib
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from support.filled import check_volume
from support.imaging import PASSWORD, restore, verify
from support.playbooks import Played, Site
from support.proxy import Proxy
from support.whole_disks import WholeDisk
from support.windows.admin_device import AdminShareDevice
from support.windows.kinds import WINDOWS_7

# Each test builds a bundle or finds it built, and runs several playbooks.
pytestmark = pytest.mark.long
MAKE = "Make an image"
BASE = r"C:\Program Files\plantops-imaging"


class SmbSite(Site):
    """An inventory of one device behind ``admin_share``."""

    def __init__(self, folder: Path, device: AdminShareDevice, port: int, **variables: Any) -> None:
        self.device_there = device
        self.variables: Dict[str, Any] = {
            "ansible_connection": "plantops.imaging.admin_share",
            "ansible_host": "127.0.0.1",
            "ansible_port": port,
            "ansible_user": device.username,
            "ansible_password": device.password,
            **variables,
        }
        settings: Dict[str, Any] = {"imaging_drives": [r"C:\disk.raw"], "imaging_password": PASSWORD}
        settings.update(imaging_storage={"url": r"C:\storage"}, imaging_limit_read_rate="0")
        settings["imaging_storage_operator"] = {"url": str(device.host_path(r"C:\storage"))}
        super().__init__(folder, imaging_device_alias="", **settings)

    def inventory(self) -> Dict[str, Any]:
        return {"all": {"hosts": {"pc": self.variables}, "vars": self.settings}}


class Recorder:
    """Keeps what goes through a proxy."""

    def __init__(self) -> None:
        self.data = bytearray()

    def holds(self, secret: str) -> bool:
        forms: List[bytes] = [secret.encode("utf-8"), secret.encode("utf-16-le")]
        forms.append(base64.b64encode(secret.encode("utf-8"))[:-4])
        return any(form in self.data for form in forms)


@pytest.fixture
def device(tmp_path: Path, disk: WholeDisk) -> Iterator[AdminShareDevice]:
    with AdminShareDevice(tmp_path / "prefix", WINDOWS_7) as made:
        made.host_path(r"C:\disk.raw").write_bytes(disk.path.read_bytes())
        made.host_path(r"C:\storage").mkdir()
        yield made
        assert not made.faults


@contextlib.contextmanager
def recorded(device: AdminShareDevice) -> Iterator[Any]:
    recorder = Recorder()
    with Proxy(device.port, see=recorder.data.extend) as proxy:
        yield recorder, proxy.port


def ok(played: Played) -> Played:
    assert played.status == 0, played.output[-4000:]
    return played


def test_a_device_is_imaged_and_left_as_it_was(device: AdminShareDevice, disk: WholeDisk, tmp_path: Path) -> None:
    before = {path.name for path in device.host_path(r"C:\Program Files").iterdir()}
    with recorded(device) as (recorder, port):
        site = SmbSite(tmp_path / "site", device, port)
        first = ok(site.play("image")).result(MAKE)
        assert first["agent"]["changed"]
        second = ok(site.play("image")).result(MAKE)
        assert not second["agent"]["changed"]
        assert second["bytes_stored"] < first["bytes_stored"] / 4
        held = [path for path in device.host_path(BASE).rglob("*") if path.is_file()]
        assert not [path for path in held if PASSWORD.encode() in path.read_bytes()]
        ok(site.play("agent", "-e", "imaging_agent_state=absent"))
    assert {path.name for path in device.host_path(r"C:\Program Files").iterdir()} == before
    assert ("delete", "plantops-imaging") in device.manager.calls
    if device.is_old:
        assert recorder.holds("plantops-imaging"), "SMB 2.1 has no encryption: the names of files can be seen"
    assert not recorder.holds(PASSWORD)
    assert not recorder.holds(device.password)
    storage = device.host_path(r"C:\storage")
    assert verify(storage, device="pc")["ok"]
    restored = tmp_path / "restored.raw"
    restore(storage, restored, device="pc")
    for placed in disk.parts:
        check_volume(placed.part.kind, disk.volume(placed, restored, tmp_path))
