# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that go from a Windows device to a server: OpenSSH and Samba take them, and Linux restores them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest
from support.filled import check_volume
from support.imaging import PASSWORD, restore
from support.samba_server import PASSWORD as SHARE_PASSWORD
from support.samba_server import samba
from support.sftp_server import SftpServer
from support.whole_disks import WholeDisk
from support.windows.device import WindowsDevice

LIMIT_MEGABYTES = 4  # in a second


@pytest.fixture(scope="module")
def device(one_device: WindowsDevice) -> WindowsDevice:
    return one_device


def image(device: WindowsDevice, disk: WholeDisk, storage: Dict[str, Any], **more: Any) -> Dict[str, Any]:
    device.host_path(r"C:\disk.raw").write_bytes(disk.path.read_bytes())
    return device.image(storage=dict(storage, time_limit_seconds=20), **more)


def check_restored(disk: WholeDisk, folder: Path, tmp_path: Path) -> None:
    """The image in the server's directory holds every file of the disk."""
    assert not any(PASSWORD.encode() in path.read_bytes() for path in folder.rglob("*") if path.is_file())
    restored = tmp_path / "restored.raw"
    restore(folder, restored, device="pc")
    for placed in disk.parts:
        check_volume(placed.part.kind, disk.volume(placed, restored, tmp_path))


@pytest.mark.long
def test_over_sftp(device: WindowsDevice, disk: WholeDisk, tmp_path: Path) -> None:
    with SftpServer(tmp_path / "server") as server:
        storage = server.settings(private_key_file=None, private_key=server.key.read_text())
        made = image(device, disk, storage, limit_read_rate=LIMIT_MEGABYTES)
        assert made["event"] == "result", made
        assert made["bytes_in_use"] / made["seconds"] < LIMIT_MEGABYTES * 1.1e6, "the limit of reads was not kept"
        check_restored(disk, server.root, tmp_path)


def test_over_a_share(device: WindowsDevice, disk: WholeDisk, tmp_path: Path) -> None:
    """Wine has no SSPI, so the login is the engine's own; it is used because the setting says so, and for no other reason."""
    with samba(tmp_path / "server") as server:
        made = image(device, disk, dict(server.settings, own_ntlm=True), limit_read_rate=LIMIT_MEGABYTES)
        assert made["event"] == "result", made
        assert made["bytes_in_use"] / made["seconds"] < LIMIT_MEGABYTES * 1.1e6, "the limit of reads was not kept"
        check_restored(disk, server.root / server.below, tmp_path)


@pytest.mark.long
def test_a_wrong_password_is_told(device: WindowsDevice, disk: WholeDisk, tmp_path: Path) -> None:
    with samba(tmp_path / "server") as server:
        wrong = image(device, disk, dict(server.settings, own_ntlm=True, password="not-" + SHARE_PASSWORD))
        assert (wrong["event"], wrong["code"][:1]) == ("error", "S"), wrong
        assert not (server.root / server.below / "pc").exists()
