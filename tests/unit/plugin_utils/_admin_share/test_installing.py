# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An installation through a share alone: every file compared, the service started, the path proved, nothing left behind."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Iterator, List, Optional, Tuple

import pytest
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    DeviceFileChanged,
    DeviceFileFailed,
    DevicePathUnproved,
    DeviceServiceFailed,
    InstallationRunLives,
)
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.windows_layout import REMOVING
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb.server_service import ServerVersion
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb.service_control import ServiceStatus, State
from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share import installing as _installing
from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share.installing import ShareInstaller
from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share.service import AgentService
from support.step_kills import Killed, Steps
from support.windows.folder_share import FolderShare, SmallBundle
from support.windows.stand_in_service import StandInService

BUNDLE: Any = SmallBundle()
OTHER: Any = SmallBundle("0.9.2")


class Device:
    """What answers instead of a service manager: its service is a thread of this process."""

    def __init__(self, share: FolderShare) -> None:
        self.share = share
        self.image = ""
        self.reads_elsewhere = self.dies_at_once = False
        self.calls: List[str] = []
        self.service: Optional[StandInService] = None

    def work(self, line: str, dummy_data: bytes) -> Tuple[int, bytes, bytes]:
        path = line.partition('"')[2].rstrip('"')
        content = b"" if self.reads_elsewhere else self.share.host_path(path[3:]).read_bytes()
        return 0, content + b"\r\n", b""

    def status(self) -> Optional[ServiceStatus]:
        return ServiceStatus(State.RUNNING, 0, 0, 7 if self.service else 0) if self.image else None

    def start(self) -> None:
        self.calls.append("start")
        if not self.dies_at_once:
            identity = self.image.split("\\")[3]
            folder = self.share.host_path(self.share.place.base_in_share) / "service"
            self.service = StandInService(folder, self.work, identity)
            self.service.start()

    def stop(self) -> None:
        self.calls.append("stop")
        if self.service is not None:
            self.service.stop()
            self.service = None

    def delete(self) -> bool:
        self.calls.append("delete")
        self.image, had = "", bool(self.image)
        return had

    def ensure(self, image_path: str) -> None:
        self.calls.append("ensure")
        self.image = image_path


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    made = Device(FolderShare(tmp_path))
    for name in ("status", "start", "stop", "delete"):
        monkeypatch.setattr(AgentService, name, lambda dummy, call=name: getattr(made, call)())
    monkeypatch.setattr(AgentService, "ensure", lambda dummy, image_path: made.ensure(image_path))
    monkeypatch.setattr(AgentService, "image_path", lambda dummy: made.image)
    monkeypatch.setattr(_installing, "_READY_SECONDS", 0.5)
    yield made
    made.stop()


def installer(device: Device) -> ShareInstaller:
    return ShareInstaller(device.share)  # type: ignore[arg-type]


def test_an_installation_is_whole_and_proved(device: Device) -> None:
    one = installer(device)
    assert one.look()["current"] == ""
    base = device.share.host_path(device.share.place.base_in_share)
    base.mkdir()
    (base / ".new-0123").mkdir()  # of one that was killed
    sent_bytes = one.install(BUNDLE)
    found = one.look()
    assert (found["current"], found["versions"], found["exists"]) == (BUNDLE.identity, [BUNDLE.identity], True)
    installed = {
        str(path.relative_to(base / BUNDLE.identity)) for path in (base / BUNDLE.identity).rglob("*") if path.is_file()
    }
    assert set(BUNDLE.names()) == installed
    assert sent_bytes == sum(len(BUNDLE.read(name)) for name in BUNDLE.files) + 2
    assert device.image == (
        '"C:\\Program Files\\plantops-imaging\\%s\\python\\python.exe" -I -m engine.agent.windows_service '
        '"C:\\Program Files\\plantops-imaging"' % BUNDLE.identity
    )
    assert not list(base.glob(".new-*"))
    assert not list(base.glob("service/marker-*"))
    assert one.remove()
    assert not base.exists()
    assert not one.remove()


def test_a_new_version_that_does_not_start_leaves_the_earlier_one(device: Device) -> None:
    """The way without a trial: for a device whose agent the controller does not understand any more."""
    one = installer(device)
    one.install(BUNDLE)
    image = device.image
    device.dies_at_once = True
    with pytest.raises(DeviceServiceFailed):
        one.install(OTHER)
    assert (device.image, one.look()["current"]) == (image, BUNDLE.identity)
    assert device.calls[-3:] == ["stop", "ensure", "start"]
    device.dies_at_once = False
    one.install(OTHER)
    assert one.look()["current"] == OTHER.identity


def test_an_update_that_was_interrupted_goes_back_without_its_code(device: Device) -> None:
    one = installer(device)
    assert not one.go_back(), "nothing is there"
    one.install(BUNDLE)
    assert not one.go_back(), "nothing was interrupted"
    image = device.image
    device.stop()
    device.image = one._image_of(OTHER.identity)  # which does not start; the one that switched was killed
    assert one.go_back()
    assert device.image == image
    assert device.service is not None
    device.image = one._image_of(OTHER.identity)
    base = device.share.host_path(device.share.place.base_in_share)
    (base / BUNDLE.identity / "python" / "python.exe").unlink()
    assert not one.go_back(), "the current one is not there any more"
    assert device.image == one._image_of(OTHER.identity)


def test_a_file_that_a_scanner_changes_stops_the_installation(device: Device) -> None:
    device.share.changes = ("python.exe",)
    with pytest.raises(DeviceFileChanged):
        installer(device).install(BUNDLE)
    assert "start" not in device.calls


def test_an_installation_that_is_whole_is_kept(device: Device) -> None:
    installer(device).install(BUNDLE)
    device.share.held = (BUNDLE.identity,)
    assert installer(device).install(BUNDLE) == 0
    assert installer(device).look()["current"] == BUNDLE.identity


@pytest.mark.parametrize("sign", ["held", "running"])
def test_a_damaged_installation_in_use_is_left_as_it_is(device: Device, sign: str) -> None:
    """The code of a run that lives must not go: neither before nor after Windows has refused."""
    one = installer(device)
    one.install(BUNDLE)
    target = device.share.host_path(device.share.place.base_in_share) / BUNDLE.identity
    (target / "lib" / "a.py").write_bytes(b"damaged")
    setattr(device.share, sign, (BUNDLE.identity, "python.exe"))
    device.calls.clear()
    with pytest.raises(DeviceFileFailed):
        one.install(BUNDLE)
    assert (target / "python" / "python.exe").read_bytes() == b"MZ"
    assert device.calls == ["stop", "start"], "the service that was stopped in vain runs again"
    setattr(device.share, sign, ())
    device.calls.clear()
    assert one.install(BUNDLE) > 0
    assert (target / "lib" / "a.py").read_bytes() == BUNDLE.read("lib/a.py")
    assert device.calls.index("stop") == 0
    assert not list(target.parent.glob(".new-*"))


@pytest.mark.parametrize("sign", ["held", "running"])
def test_a_removal_while_a_run_lives_is_refused(device: Device, sign: str) -> None:
    one = installer(device)
    one.install(BUNDLE)
    base = device.share.host_path(device.share.place.base_in_share)
    (base.parent / (base.name + ".removed-0123")).mkdir()  # of a removal that was killed
    setattr(device.share, sign, ("plantops-imaging", "python.exe"))
    with pytest.raises(InstallationRunLives):
        one.remove()
    assert "delete" not in device.calls
    assert device.calls[-1] == "start"
    assert one.look()["current"] == BUNDLE.identity
    setattr(device.share, sign, ())
    assert one.remove()
    assert list(base.parent.iterdir()) == []


def is_killed_at(device: Device, steps: int) -> bool:
    """Remove the agent; the controller is killed before its step of this number, if it has so many."""
    left = Steps(steps)
    share, delete_tree = device.share, device.share.delete_tree

    def delete_tree_in_two(path: str) -> bool:
        left.step()
        for file in [one for one in sorted(share.host_path(path).rglob("*")) if one.is_file()][:2]:
            file.unlink()
        left.step()
        return delete_tree(path)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("write", "move_aside", "entries", "delete", "check_base"):
            patch.setattr(share, name, left.counted(getattr(share, name)))
        patch.setattr(share, "delete_tree", delete_tree_in_two)
        for name in ("stop", "delete"):
            patch.setattr(device, name, left.counted(getattr(device, name)))
        try:
            installer(device).remove()
        except Killed:
            return True
    return False


@pytest.mark.parametrize("state", ["absent", "present"])
def test_a_removal_that_is_killed_at_any_step_is_completed(device: Device, state: str) -> None:
    above = device.share.host_path(device.share.place.base_in_share).parent
    steps, is_killed = 0, True
    while is_killed:
        installer(device).install(BUNDLE)
        before = sorted(above.rglob("*"))
        is_killed = is_killed_at(device, steps)
        is_untouched = sorted(above.rglob("*")) == before and device.service is not None
        is_over = list(above.iterdir()) == [] and not device.image
        found = installer(device).look()
        is_found = found["is_removing"] or found["has_removed"]
        assert is_found == (not is_untouched and not is_over), "step %d" % steps
        if state == "present":
            installer(device).install(BUNDLE)
            found = installer(device).look()
            told = (found["current"], found["is_removing"], found["has_removed"])
            assert told == (BUNDLE.identity, False, False), "step %d" % steps
            assert [path.name for path in above.iterdir()] == ["plantops-imaging"], "step %d" % steps
            assert device.service is not None
        assert installer(device).remove() or is_over
        assert (list(above.iterdir()), device.image) == ([], ""), "step %d" % steps
        steps += 1
    assert steps > 8, "the steps of a removal were not counted"


def test_a_refused_removal_forgets_its_mark_but_not_that_of_one_before(device: Device) -> None:
    one = installer(device)
    one.install(BUNDLE)
    device.share.held = ("plantops-imaging",)
    for was_removing in (False, True):
        mark = device.share.host_path(device.share.place.base_in_share) / REMOVING
        if was_removing:
            mark.touch()
        with pytest.raises(InstallationRunLives):
            one.remove()
        assert mark.exists() == was_removing


def test_a_share_that_is_another_folder_than_told_is_found_out(device: Device) -> None:
    device.reads_elsewhere = True
    with pytest.raises(DevicePathUnproved):
        installer(device).install(BUNDLE)
    base = device.share.host_path(device.share.place.base_in_share)
    assert not list(base.glob("service/marker-*"))


def test_a_service_that_ends_without_a_word_is_an_error(device: Device) -> None:
    device.dies_at_once = True
    with pytest.raises(DeviceServiceFailed):
        installer(device).install(BUNDLE)


@pytest.mark.parametrize(
    ("version", "machine", "platform"),
    [
        ((6, 1), 0x8664, "windows-7-amd64"),
        ((6, 3), 0x14C, "windows-7-x86"),
        ((10, 0), 0x8664, "windows-amd64"),
        ((10, 0), 0xAA64, "windows-arm64"),
    ],
)
def test_the_platform_is_read_without_running_anything(
    device: Device, version: Tuple[int, int], machine: int, platform: str
) -> None:
    device.share.windows = ServerVersion(*version)
    device.share.system = (
        b"MZ" + bytes(58) + struct.pack("<I", 64) + struct.pack("<4sH", b"PE\0\0", machine) + bytes(99)
    )
    assert installer(device).look()["platform"] == platform


@pytest.mark.parametrize("head", [None, b"", b"MZ", b"MZ" + bytes(58) + b"\xff\xff\xff\xff", bytes(100)])
def test_a_system_file_that_tells_nothing_means_amd64(device: Device, head: Optional[bytes]) -> None:
    device.share.system = head
    assert installer(device).look()["platform"] == "windows-7-amd64"
