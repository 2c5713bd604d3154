# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each fault of a device behind a share in a playbook: an error of its own, and device and storage are clean afterwards."""

from __future__ import annotations

import contextlib
from typing import Callable, Iterator, Type

import pytest
from ansible_collections.plantops.imaging.plugins.module_utils.engine import errors as catalogue
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.windows_layout import REMOVING
from support.device_plays import PlayUnderWay, wait_until
from support.imaging import verify
from support.playbooks import Played
from support.whole_disks import WholeDisk
from support.windows.admin_device import AdminShareDevice
from support.windows.kinds import WINDOWS_7, WINDOWS_10
from support.windows.plays import (
    MAKE,
    STORAGE,
    SmbSite,
    device_with,
    error_of,
    hold,
    left_behind,
    ok,
    release,
    run_at_work,
)
from support.windows.service import InstalledService

pytestmark = pytest.mark.long
SLOW = "1"  # megabyte in a second: a run of many seconds
SERVICE = "plantops-imaging"
NO_SUCH_SERVICE, AUTOMATIC = 1060, 2


@pytest.fixture(scope="module", params=[WINDOWS_7, WINDOWS_10], ids=lambda kind: str(kind.name))
def device(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, disk: WholeDisk
) -> Iterator[AdminShareDevice]:
    yield from device_with(disk, tmp_path_factory.mktemp("device"), request.param)


@pytest.fixture(scope="module")
def site(device: AdminShareDevice, tmp_path_factory: pytest.TempPathFactory) -> SmbSite:
    """A site whose device has the agent."""
    made = SmbSite(tmp_path_factory.mktemp("site") / "site", device)
    ok(made.play("agent"))
    return made


@pytest.fixture(autouse=True)
def clean(device: AdminShareDevice, site: SmbSite) -> Iterator[None]:
    """Whatever happened, the next play makes an image, and nothing is left but what is in use."""
    yield
    site.settings["imaging_limit_read_rate"] = "0"
    made = ok(site.play("image")).result(MAKE)
    assert made["image"]
    assert left_behind(device) == []
    assert run_at_work(device) is None
    checked = verify(device.host_path(STORAGE), device="pc")
    assert checked["ok"]


def images(device: AdminShareDevice) -> int:
    """The number of complete images in the storage."""
    return len(list(device.host_path(STORAGE).glob("pc/*/manifest.json*")))


@contextlib.contextmanager
def without_share(device: AdminShareDevice) -> Iterator[None]:
    device.take_share_away()
    yield
    device.give_share_back()


@contextlib.contextmanager
def with_filtered_rights(device: AdminShareDevice) -> Iterator[None]:
    device.filter_tokens()
    yield
    device.leave_tokens()


@contextlib.contextmanager
def switched_off(device: AdminShareDevice) -> Iterator[None]:
    device.switch_off()
    yield
    device.switch_on()


@contextlib.contextmanager
def with_a_policy_against_it(device: AdminShareDevice) -> Iterator[None]:
    device.manager.call("stop", SERVICE)
    device.block_starts()
    yield
    device.manager.start_code = 0


Fault = Callable[[AdminShareDevice], contextlib.AbstractContextManager[None]]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (without_share, catalogue.DeviceShareMissing),
        (with_filtered_rights, catalogue.DeviceRightsFiltered),
        (switched_off, catalogue.DeviceSmbClosed),
        (with_a_policy_against_it, catalogue.DeviceServiceBlocked),
    ],
)
def test_a_device_that_can_not_be_used_says_why(
    device: AdminShareDevice, site: SmbSite, fault: Fault, error: Type[catalogue.EngineError]
) -> None:
    before = images(device)
    with fault(device):
        assert error_of(site.play("image")) == error.code
    assert images(device) == before


def test_an_agent_that_a_scanner_deleted_is_installed_again_and_one_that_it_deletes_at_once_is_named(
    device: AdminShareDevice, site: SmbSite
) -> None:
    device.manager.call("stop", SERVICE)
    program = device.base / (device.base / "current").read_text().strip() / "python" / "python.exe"
    program.unlink()
    assert ok(site.play("image")).result(MAKE)["agent"]["changed"]
    assert program.exists()
    device.manager.call("stop", SERVICE)
    program.unlink()
    with device.scanner("python.exe"):
        assert error_of(site.play("image")) == catalogue.DeviceFileFailed.code
    assert [path.name for path in device.base.glob(".new-*")] != [], "the next installation sweeps it"


def test_a_service_that_dies_in_a_run_ends_the_play_but_not_the_run(device: AdminShareDevice, site: SmbSite) -> None:
    site.settings["imaging_limit_read_rate"] = SLOW
    service = InstalledService(device)
    with PlayUnderWay(site) as play:
        run = str(wait_until(lambda: run_at_work(device), 600))
        held = hold(run)
        service.kill()
        device.manager.is_service_dead = True
        device.time_out_starts()
        assert error_of(play.finish()) == catalogue.DeviceServiceFailed.code
    device.manager.is_service_dead = False
    device.manager.start_code = 0
    service.start_again()
    with PlayUnderWay(site) as play:
        play.wait_for("the run %s is already in progress" % run)
        release(held)
        followed = ok(play.finish()).result(MAKE)
    assert (followed["run"], followed["attached"]) == (run, True)


def test_a_reboot_in_a_run_is_told_and_the_next_play_makes_an_image(device: AdminShareDevice, site: SmbSite) -> None:
    site.settings["imaging_limit_read_rate"] = SLOW
    before = images(device)
    with PlayUnderWay(site) as play:
        wait_until(lambda: run_at_work(device), 600)
        device.switch_off()
        device.switch_on()
        assert error_of(play.finish()) == catalogue.RunLost.code
    assert images(device) == before


ABSENT = ("-e", "imaging_agent_state=absent")


def play_that_is_killed_in_a_removal(device: AdminShareDevice, site: SmbSite, call: str) -> None:
    """``call``: the one of the service manager that the device has not carried out when the controller dies."""
    with device.manager.holding(call) as is_held, PlayUnderWay(site, *ABSENT, playbook="agent") as play:
        assert is_held.wait(300)
        play.kill()


def tells_of_the_removal(played: Played) -> bool:
    return "(%s)" % catalogue.RemovalInterrupted.code in played.output


@pytest.mark.parametrize(("call", "state"), [("stop", "present"), ("delete", "present"), ("delete", "absent")])
def test_a_removal_whose_play_was_killed_is_told_and_completed(
    device: AdminShareDevice, site: SmbSite, call: str, state: str
) -> None:
    play_that_is_killed_in_a_removal(device, site, call)
    played = ok(site.play("agent", "-e", "imaging_agent_state=" + state))
    assert tells_of_the_removal(played)
    if state == "absent":
        assert not device.base.exists()
        assert device.manager.call("open", SERVICE)[0] == NO_SUCH_SERVICE
    assert left_behind(device) == []
    assert not tells_of_the_removal(ok(site.play("agent", "-e", "imaging_agent_state=" + state)))


@pytest.mark.parametrize("state", ["absent", "present"])
def test_a_removal_by_hand_that_was_killed_is_told_and_completed(
    device: AdminShareDevice, site: SmbSite, state: str
) -> None:
    """Windows does not start the service any more."""
    device.manager.call("stop", SERVICE)
    (device.base / REMOVING).touch()
    device.manager.call("disable", SERVICE)
    played = ok(site.play("agent", "-e", "imaging_agent_state=" + state))
    assert tells_of_the_removal(played)
    if state == "absent":
        assert not device.base.exists()
        assert device.manager.call("open", SERVICE)[0] == NO_SUCH_SERVICE
    else:
        assert device.manager.call("config", SERVICE)[2]["start"] == AUTOMATIC
    assert left_behind(device) == []
