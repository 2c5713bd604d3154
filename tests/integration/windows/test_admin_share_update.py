# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An update over the share: tried before the switch, refused when it is damaged, undone when it was interrupted."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.windows.bundle import WindowsBundle
from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share.commands import Commands
from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share.installing import ShareInstaller
from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share.share import DeviceShare, Login
from engine.errors import InstallationBroken
from engine.install.bundle import build_bundle
from support.bundles import WHEEL_CACHE
from support.windows import parts
from support.windows.admin_device import AdminShareDevice
from support.windows.kinds import WINDOWS_7

pytestmark = pytest.mark.long
BASE = r"C:\Program Files\plantops-imaging"


@pytest.fixture
def device(tmp_path: Path) -> Iterator[AdminShareDevice]:
    with AdminShareDevice(tmp_path / "prefix", WINDOWS_7) as made:
        yield made
        assert not made.faults


@pytest.fixture
def share(device: AdminShareDevice) -> Iterator[DeviceShare]:
    login = Login("pc-1", "127.0.0.1", device.port, device.username, device.password, "C$", "", False)
    with contextlib.closing(DeviceShare(login)) as opened:
        yield opened


def bundle(folder: Path, version: str) -> WindowsBundle:
    built = build_bundle(parts.WINDOWS_7, str(folder), version=version, cache_folder=str(WHEEL_CACHE))
    return WindowsBundle(built.path)


def accept_correction(installation: Path) -> None:
    """Let the document follow the file that the double corrects in each installation (support/windows/access_lists.py)."""
    name = "code/engine/host/windows_security.py"
    content = (installation / name).read_bytes()
    document = json.loads((installation / "bundle.json").read_text())
    for file in document["files"]:
        if file["name"] == name:
            file.update(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
    (installation / "bundle.json").write_text(json.dumps(document))


def switch(share: DeviceShare, present: str, wanted: str) -> Dict[str, Any]:
    """Let the present installation switch, as the controller does."""
    program = '"%s\\%s\\python\\python.exe" -I -m engine.agent.windows_install' % (BASE, present)
    answer = Commands(share).run('%s switch --base "%s" --to %s' % (program, BASE, wanted))
    return dict(json.loads(answer.stdout.decode().splitlines()[-1]))


def test_an_update_that_is_damaged_or_interrupted_costs_no_agent(
    device: AdminShareDevice, share: DeviceShare, tmp_path: Path
) -> None:
    base = device.host_path(BASE)
    one = ShareInstaller(share)
    with bundle(tmp_path, "0.9.8") as old, bundle(tmp_path, "0.9.9") as new:
        one.install(old)
        assert one.copy(new) > 0

        damaged = base / new.identity / "code" / "engine" / "verbs" / "dispatch.py"  # the trial does not load it
        damaged.write_bytes(bytes(damaged.stat().st_size))
        refused = switch(share, old.identity, new.identity)
        assert (refused["ok"], refused["code"]) == (False, InstallationBroken.code)
        assert one.look()["current"] == old.identity
        assert Commands(share).run("cmd.exe /c ver").status == 0

        assert one.copy(new) > 0, "a damaged copy was kept"
        # The one that switched was killed after its change, and the new service does not start.
        (base / new.identity / "python" / "python38.dll").rename(base / "away.dll")
        one.service.stop()
        one.service.ensure(one.look()["service"].replace(old.identity, new.identity))
        assert one.go_back()
        assert Commands(share).run("cmd.exe /c ver").status == 0
        assert one.look()["current"] == old.identity
        (base / "away.dll").rename(base / new.identity / "python" / "python38.dll")

        accept_correction(base / new.identity)
        switched = switch(share, old.identity, new.identity)
        assert switched["ok"], switched["message"]
        assert switched["replaced"] == old.identity
        assert one.look()["current"] == new.identity
        state = Commands(share).state() or {}
        assert (state["installation"], state["state"]) == (new.identity, "running")
        assert Commands(share).run("cmd.exe /c ver").status == 0
        assert one.remove()
    assert not base.exists()
