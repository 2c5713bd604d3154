# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks on a device that offers nothing but SMB: agent installed and updated, a disk imaged to servers, a play killed and
started again, the agent removed; what crosses the line, and what is on the device meanwhile.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Iterator, Set, Tuple

import pytest
from support.device_plays import PlayUnderWay, wait_until
from support.filled import check_volume
from support.imaging import PASSWORD, restore, verify
from support.proxy import Proxy
from support.samba_server import SambaServer, samba
from support.sftp_server import SftpServer
from support.whole_disks import WholeDisk
from support.windows.admin_device import AdminShareDevice
from support.windows.kinds import WINDOWS_7, WINDOWS_10
from support.windows.plays import (
    MAKE,
    STORAGE,
    Recorder,
    SmbSite,
    Watch,
    changed_bundle,
    device_with,
    hold,
    left_behind,
    ok,
    release,
    run_at_work,
)

# Each test builds a bundle or finds it built, and runs several playbooks.
pytestmark = pytest.mark.long
LIMIT_MEGABYTES = 2  # in a second
STORAGE_PASSWORD = "Unc-door 4711"
SERVICE = "plantops-imaging"


@pytest.fixture(params=[WINDOWS_7, WINDOWS_10], ids=lambda kind: str(kind.name))
def device(request: pytest.FixtureRequest, tmp_path: Path, disk: WholeDisk) -> Iterator[AdminShareDevice]:
    yield from device_with(disk, tmp_path, request.param)


@pytest.fixture
def sftp(tmp_path: Path) -> Iterator[SftpServer]:
    with SftpServer(tmp_path / "sftp") as server:
        yield server


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[SambaServer]:
    with samba(tmp_path / "samba") as server:
        server.set_password("backup", STORAGE_PASSWORD)
        yield server


@contextlib.contextmanager
def recorded(device: AdminShareDevice) -> Iterator[Tuple[Recorder, int]]:
    recorder = Recorder()
    with Proxy(device.port, see=recorder.data.extend) as proxy:
        yield recorder, proxy.port


def files_of(device: AdminShareDevice) -> Set[str]:
    """Every name on the drive but those of the double itself and of what programs of Windows keep."""
    found = {str(path.relative_to(device.drive)) for path in device.drive.rglob("*")}
    return {name for name in found if not name.startswith(("agent/", "windows/", "users/", "ProgramData/"))}


def check_image(disk: WholeDisk, storage: Path, folder: Path) -> None:
    """Every file of the disk is in the image, which holds the password nowhere in clear."""
    assert verify(storage, device="pc")["ok"]
    assert not any(PASSWORD.encode() in path.read_bytes() for path in storage.rglob("*") if path.is_file())
    folder.mkdir()
    restored = folder / "restored.raw"
    restore(storage, restored, device="pc")
    for placed in disk.parts:
        check_volume(placed.part.kind, disk.volume(placed, restored, folder))
    restored.unlink()


def kept_its_limit(result: Any) -> bool:
    return float(result["bytes_in_use"] / result["seconds"]) < LIMIT_MEGABYTES * 1.1e6


def test_a_device_is_imaged_to_servers_and_left_as_it_was(
    device: AdminShareDevice, disk: WholeDisk, sftp: SftpServer, shared: SambaServer, tmp_path: Path
) -> None:
    before = files_of(device)
    key = sftp.key.read_text(encoding="utf-8")
    secrets = [PASSWORD, STORAGE_PASSWORD, device.password, *key.splitlines()[1:-1]]
    with recorded(device) as (recorder, port), Watch(device, secrets) as watch:
        site = SmbSite(tmp_path / "site", device, ansible_port=port)
        site.settings["imaging_limit_read_rate"] = str(LIMIT_MEGABYTES)
        site.use(sftp.settings(private_key_file=None, private_key=key), sftp.root)
        # The run goes on without its play, which is killed with all its processes; the next one follows it.
        with PlayUnderWay(site) as play:
            run = str(wait_until(lambda: run_at_work(device), 600))
            held = hold(run)
            play.kill()
        try:
            with PlayUnderWay(site) as play:
                play.wait_for("the run %s is already in progress" % run)
                release(held)
                first = ok(play.finish()).result(MAKE)
        finally:
            release(held)
        assert (first["run"], first["attached"], first["agent"]["changed"]) == (run, True, False)
        assert kept_its_limit(first)

        # The next run updates the agent.
        site.use(dict(shared.settings, password=STORAGE_PASSWORD, own_ntlm=True), shared.root / shared.below)
        bundles = changed_bundle(first["agent"]["platform"], tmp_path / "bundles")
        site.settings["imaging_bundle_directory"] = str(bundles)
        second = ok(site.play("image")).result(MAKE)
        assert (second["agent"]["changed"], second["agent"]["replaced"]) == (True, first["agent"]["id"])
        assert kept_its_limit(second)
        # What the killed play left is sealed; a later task deletes its folder after a day.
        ok(site.play("agent", "-e", "imaging_agent_state=absent"))
    assert files_of(device) == before
    assert device.manager.call("open", SERVICE)[0] == 1060, "the service is still registered"
    if device.is_old:
        assert recorder.holds(SERVICE), "SMB 2.1 has no encryption: the names of files can be seen"
    assert [secret for secret in secrets if recorder.holds(secret)] == []
    assert watch.found == []
    assert min(watch.seen.values()) > 5
    device.switch_off()  # which writes the registry
    assert SERVICE not in (device.prefix / "system.reg").read_text(errors="replace")
    check_image(disk, sftp.root, tmp_path / "from-sftp")
    check_image(disk, shared.root / shared.below, tmp_path / "from-share")


@pytest.mark.parametrize("device", [WINDOWS_10], indirect=True)
@pytest.mark.parametrize("given", ["", r"C:\KRC\share"])
def test_a_share_that_is_not_the_root_of_a_drive(
    device: AdminShareDevice, disk: WholeDisk, tmp_path: Path, given: str
) -> None:
    """The device is asked for the folder behind the share, or the site names it."""
    before = files_of(device)
    site = SmbSite(tmp_path / "site", device, ansible_admin_share="KRC", ansible_admin_share_path=given)
    made = ok(site.play("image")).result(MAKE)
    assert made["agent"]["changed"]
    assert device.base == device.host_path(r"C:\KRC\share\plantops-imaging")
    assert left_behind(device) == []
    ok(site.play("agent", "-e", "imaging_agent_state=absent"))
    assert {name for name in files_of(device) if not name.startswith("storage/")} == before
    check_image(disk, device.host_path(STORAGE), tmp_path / "restored")
