# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ten devices of every Python and of three Debian releases in one play, and plays disturbed at random moments."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, List

import pytest
from engine.errors import AgentAnswerInvalid, DeviceLinkLost, RunLost
from support.debian import debian_root
from support.device_plays import (
    TRAFFIC_BYTES,
    PlayUnderWay,
    changed_paths,
    make_disk,
    make_plant,
    read_back,
    result_of,
    run_at_work,
    signal_runner,
    statuses,
    traffic,
)
from support.devices import Device, Plant, pythons
from support.imaging import run_verb
from support.plain_disks import PASSWORD
from support.sftp_server import SftpServer

pytestmark = [pytest.mark.root, pytest.mark.long]
DISTURBANCES = 25
# The run was killed; the link stayed away; a verb or the installer was killed before it could answer.
CLEAR = (RunLost.code, DeviceLinkLost.code, AgentAnswerInvalid.code)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    server = SftpServer(tmp_path_factory.mktemp("sftp"))
    server.root.mkdir(exist_ok=True)
    with server:
        yield server


def cells(folder: Path) -> List[Device]:
    """Ten devices, every other one with a sudo password."""
    homes = pythons()
    names = [home.name.rsplit(".", 1)[0] for home in homes]
    assert names == ["3.%d" % minor for minor in range(8, 14)], "pyenv has other Pythons than 3.8 to 3.13"
    made = [Device(folder, "cell-%d" % number, bool(number % 2), home) for number, home in enumerate(homes)]
    made += [Device(folder, "cell-6", False, system=debian_root("bullseye"))]
    made += [Device(folder, "cell-7", True, system=debian_root("trixie"))]
    return [*made, Device(folder, "cell-8"), Device(folder, "cell-9", True)]


def test_ten_devices_of_every_python_in_one_run(tmp_path: Path, server: SftpServer, need: Callable[..., None]) -> None:
    need("debootstrap")
    devices = cells(tmp_path)
    try:
        for device in devices:
            make_disk(device.data / "disk.raw")
            device.start()
        plant = make_plant(tmp_path, server, devices)
        first = plant.play("image")
        assert first.status == 0, first.output
        before = {device.name: traffic(device) for device in devices}
        second = plant.play("image")
        assert second.status == 0, second.output
        used = {}
        for device in devices:
            made = result_of(second, device)
            assert made["agent"]["sent_bytes"] == 0
            used[device.name] = traffic(device) - before[device.name]
            assert len(plant.image_names(device)) == 2
            assert read_back(server, device, tmp_path) == (device.data / "disk.raw").read_bytes()
        assert max(used.values()) < TRAFFIC_BYTES, used
        print("bytes between controller and device in a run:", sorted(used.values()))
        platforms = [result_of(first, device)["agent"]["platform"] for device in devices]
        assert [one.rsplit("-", 1)[1] for one in platforms[:8]] == [
            *("cp38", "cp39", "cp310", "cp311", "cp312", "cp313"),
            *("cp39", "cp313"),
        ]
        gone = plant.play("agent", "-e", "imaging_agent_state=absent")
        assert gone.status == 0, gone.output
        assert not any(device.base.exists() for device in devices)
        plant.close()
    finally:
        for device in devices:
            device.stop()


@pytest.fixture
def plant(tmp_path: Path, server: SftpServer) -> Iterator[Plant]:
    device = Device(tmp_path / "devices", "press-7", sudo_password=True)
    make_disk(device.data / "disk.raw")
    with device:
        plant = make_plant(tmp_path, server, [device], imaging_reconnect_seconds=3, imaging_limit_read_rate="4")
        yield plant
        plant.close()


def restart_server(device: Device, dummy_play: PlayUnderWay, chance: random.Random) -> None:
    device.kill_server()
    time.sleep(chance.uniform(0, 1.5))
    device.start_server()


def cut_the_link(device: Device, dummy_play: PlayUnderWay, chance: random.Random) -> None:
    assert device.proxy is not None
    device.proxy.cut()
    time.sleep(chance.uniform(0, 6))  # the controller waits for three
    device.proxy.mend()


def kill_the_runner(device: Device, dummy_play: PlayUnderWay, dummy_chance: random.Random) -> None:
    run = run_at_work(device)
    if run:
        signal_runner(device, run, "KILL")


def kill_all_of_the_agent(device: Device, dummy_play: PlayUnderWay, dummy_chance: random.Random) -> None:
    """An installer in the middle of its work as well."""
    for pid, command in device.processes().items():
        if "plantops-imaging" in command or "installer.pyz" in command:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def kill_the_play(dummy_device: Device, play: PlayUnderWay, dummy_chance: random.Random) -> None:
    play.kill()


ENDED = {"done", "lost", "failed", "cancelled"}
KINDS: Dict[str, Callable[[Device, PlayUnderWay, random.Random], None]] = {
    "kill the play": kill_the_play,
    "restart sshd": restart_server,
    "kill the runner": kill_the_runner,
    "kill all of the agent": kill_all_of_the_agent,
    "cut the link": cut_the_link,
}


def test_whatever_is_disturbed_ends_in_an_image_or_one_clear_error(
    plant: Plant, server: SftpServer, tmp_path: Path
) -> None:
    """Also while the agent is installed: every third play begins without one."""
    chance = random.Random(20261125)
    (device,) = plant.devices
    assert plant.play("image").status == 0
    began = time.monotonic()
    assert plant.play("image").status == 0
    usual_seconds = time.monotonic() - began
    assert plant.play("agent", "-e", "imaging_agent_state=absent").status == 0
    before = device.contents()
    outcomes: List[str] = []
    for number in range(DISTURBANCES):
        if number % 3 == 0:
            assert plant.play("agent", "-e", "imaging_agent_state=absent").status == 0
        name = list(KINDS)[number % len(KINDS)]
        with PlayUnderWay(plant) as play:
            time.sleep(chance.uniform(0.1, 1.2) * usual_seconds)
            if play.process.poll() is None:
                KINDS[name](device, play, chance)
            how = "killed" if name == "kill the play" else outcome(play, device)
        # A run may end by itself before the next play asks for it, which then makes another image.
        under_way = any(one["state"] not in ENDED for one in statuses(device).values())
        images = len(plant.image_names(device))
        again = plant.play("image")
        assert again.status == 0, (name, again.output)
        made = result_of(again, device)
        outcomes.append("%s: %s, then %s" % (name, how, "followed" if made["attached"] else "begun anew"))
        assert made["image"] in plant.image_names(device)[-1:]
        assert made["attached"] or len(plant.image_names(device)) - images in ((1, 2) if under_way else (1,))
        assert {one["state"] for one in statuses(device).values()} <= ENDED
        left = [path for path in device.contents() if "/.ansible/tmp/" in path]
        assert left == [], "what killed plays put there goes with the next"
    print("\n".join(outcomes))
    assert read_back(server, device, tmp_path) == (device.data / "disk.raw").read_bytes()
    report = run_verb(server.root, "verify", device=device.name, secrets={"password": PASSWORD}, level="full")
    assert report["ok"], report
    assert plant.play("agent", "-e", "imaging_agent_state=absent").status == 0
    assert changed_paths(before, device.contents()) == [], "nothing is left behind"
    assert not any("plantops" in command for command in device.processes().values())


def outcome(play: PlayUnderWay, device: Device) -> str:
    """How a play that was disturbed but not killed ended: in an image, or in one error that says what happened."""
    played = play.finish()
    if played.status == 0:
        return str(result_of(played, device)["image"])
    if "unreachable=1" in played.output:
        return "unreachable"
    failed = result_of(played, device)
    assert failed.get("error_code") in CLEAR, played.output
    assert failed["hint"]
    return str(failed["error_code"])
