# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks on devices behind a real SSH server, with sudo and with a sudo password: installed, imaged, interrupted, removed."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest
from engine.errors import DeviceLinkLost, DiskAccessDenied, PythonNotFound, RunLost
from support.device_plays import (
    TRAFFIC_BYTES,
    PlayUnderWay,
    Watch,
    changed_paths,
    hold,
    leave_nothing,
    make_disk,
    make_plant,
    one_image_more,
    read_back,
    release,
    result_of,
    signal_runner,
    statuses,
    traffic,
    wait_until,
)
from support.devices import SUDO_PASSWORD, Device, Plant, pythons
from support.paths import ROOT
from support.plain_disks import MIB, PASSWORD
from support.playbooks import Played
from support.sftp_server import SftpServer

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    server = SftpServer(tmp_path_factory.mktemp("sftp"))
    server.root.mkdir(exist_ok=True)
    with server:
        yield server


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory, need: Callable[..., None]) -> Iterator[List[Device]]:
    """Two for the whole file: one with a sudo password and the oldest Python of pyenv, one with the system's Python."""
    need("unshare", "nsenter", "ip", "sshd", "sudo", "ssh", "openssl", "hostname")
    folder = tmp_path_factory.mktemp("devices")
    first = Device(folder, "press-1", sudo_password=True, python_home=next(iter(pythons()), None))
    second = Device(folder, "press-2")
    with first, second:
        yield [first, second]


@pytest.fixture
def plant(tmp_path: Path, server: SftpServer, devices: List[Device]) -> Iterator[Plant]:
    for device in devices:
        make_disk(device.data / "disk.raw")
    plant = make_plant(tmp_path, server, devices)
    yield plant
    plant.close()
    for device in devices:
        leave_nothing(device)


def one_slow_device(plant: Plant) -> Tuple[Device, List[str]]:
    """Leave the plant one device, which reads slowly; return it with the names of its images."""
    plant.settings["imaging_limit_read_rate"] = "4"
    plant.devices = plant.devices[:1]
    return plant.devices[0], plant.image_names(plant.devices[0])


def test_one_run_installs_and_images_and_the_next_one_sends_nothing_of_the_agent(
    plant: Plant, server: SftpServer, tmp_path: Path
) -> None:
    plant.play("agent", "-e", "imaging_agent_state=absent")
    before = {device.name: traffic(device) for device in plant.devices}
    first = plant.play("image")
    assert first.status == 0, first.output
    for device in plant.devices:
        made = result_of(first, device)
        assert made["agent"]["changed"] is True
        assert made["bytes_in_use"] == 16 * MIB
        assert read_back(server, device, tmp_path) == (device.data / "disk.raw").read_bytes()
        assert statuses(device) == {}, "a run that was reported leaves nothing"
        assert (device.base.stat().st_uid, device.base.stat().st_mode & 0o777) == (0, 0o700)
        assert traffic(device) - before[device.name] > TRAFFIC_BYTES, "else nothing is counted"

    before = {device.name: traffic(device) for device in plant.devices}
    second = plant.play("image")
    assert second.status == 0, second.output
    for device in plant.devices:
        made = result_of(second, device)
        assert (made["agent"]["changed"], made["agent"]["sent_bytes"]) == (False, 0)
        assert made["bytes_stored"] < 100_000
        assert traffic(device) - before[device.name] < TRAFFIC_BYTES
        assert not any("agent.py" in command for command in device.processes().values()), "nothing runs without work"


def test_a_killed_play_leaves_the_run_and_the_next_one_follows_it(
    plant: Plant, server: SftpServer, tmp_path: Path
) -> None:
    device, images = one_slow_device(plant)
    with PlayUnderWay(plant) as play:
        run = hold(device)
        play.kill()
    with PlayUnderWay(plant) as play:
        play.wait_for("is already in progress")
        release(device, run)
        again = play.finish()
    assert again.status == 0, again.output
    made = result_of(again, device)
    assert (made["attached"], made["run"]) == (True, run)
    assert made["image"] == one_image_more(plant, device, images)
    assert read_back(server, device, tmp_path) == (device.data / "disk.raw").read_bytes()


def test_a_play_killed_before_the_secrets_were_sent_is_no_lost_run(plant: Plant) -> None:
    plant.devices = plant.devices[1:]
    device = plant.devices[0]
    images = plant.image_names(device)
    with PlayUnderWay(plant) as play:
        wait_until(lambda: [one for one in statuses(device).values() if one["state"] == "waiting"])
        play.kill()
    again = plant.play("image")
    assert again.status == 0, again.output
    one_image_more(plant, device, images)
    assert statuses(device) == {}


def test_a_restarted_ssh_server_is_waited_for(plant: Plant) -> None:
    device, images = one_slow_device(plant)
    with PlayUnderWay(plant) as play:
        run = hold(device)
        device.kill_server()
        play.wait_for("the connection was lost; retrying")
        device.start_server()
        release(device, run)
        played = play.finish()
    assert played.status == 0, played.output
    made = result_of(played, device)
    assert (made["run"], made["image"]) == (run, one_image_more(plant, device, images))
    assert "the connection is restored" in played.output


def test_a_connection_that_stays_away_is_one_error_and_the_run_goes_on(plant: Plant) -> None:
    plant.settings.update(imaging_limit_read_rate="4", imaging_reconnect_seconds=2)
    plant.devices = plant.devices[:1]
    device = plant.devices[0]
    images = plant.image_names(device)
    assert device.proxy is not None
    with PlayUnderWay(plant) as play:
        run = hold(device)
        device.proxy.cut()
        played = play.finish()
    device.proxy.mend()
    assert played.status != 0
    failed = result_of(played, device)
    assert failed["error_code"] == DeviceLinkLost.code
    assert (failed["run"], failed["changed"]) == (run, True), "with the handle it can be asked for"
    del plant.settings["imaging_reconnect_seconds"]  # on a busy machine two seconds are soon over
    with PlayUnderWay(plant) as play:
        play.wait_for("is already in progress")
        release(device, run)
        again = play.finish()
    assert again.status == 0, again.output
    assert result_of(again, device)["run"] == run
    one_image_more(plant, device, images)


def test_a_killed_runner_is_one_clear_error_and_the_next_run_succeeds(plant: Plant) -> None:
    device, images = one_slow_device(plant)
    plant.settings["imaging_limit_read_rate"] = "1"  # it lives until it is killed, however late that comes
    with PlayUnderWay(plant) as play:
        signal_runner(device, hold(device), "KILL")
        played = play.finish()
    assert played.status != 0
    failed = result_of(played, device)
    assert "killed" in failed["msg"], failed
    assert failed["error_code"] == RunLost.code
    assert plant.image_names(device) == images
    plant.settings["imaging_limit_read_rate"] = "0"
    again = plant.play("image")
    assert again.status == 0, again.output
    one_image_more(plant, device, images)


def test_an_interrupt_cancels_the_run_only_if_asked(plant: Plant) -> None:
    device, images = one_slow_device(plant)
    with PlayUnderWay(plant) as play:
        run = hold(device)
        play.process.send_signal(signal.SIGINT)
        played = play.finish()
    assert played.status == 99
    assert statuses(device)[run]["state"] == "running"
    assert told_of_interrupt(played, device) == [run]
    with PlayUnderWay(plant, "-e", "imaging_cancel_on_interrupt=true") as play:
        play.wait_for("is already in progress")
        play.process.send_signal(signal.SIGINT)
        played = play.finish()
    assert played.status == 99
    (told,) = (line for line in played.output.splitlines() if "play was interrupted" in line)
    assert run in told
    assert "cancelled" in told
    release(device, run)
    wait_until(lambda: statuses(device)[run]["state"] == "cancelled")
    assert plant.image_names(device) == images


def test_ctrl_c_says_of_each_device_that_its_run_continues_and_the_same_command_follows_it(plant: Plant) -> None:
    plant.settings["imaging_limit_read_rate"] = "4"
    before = {device.name: plant.image_names(device) for device in plant.devices}
    with PlayUnderWay(plant) as play:
        runs = {device.name: hold(device) for device in plant.devices}
        os.killpg(play.process.pid, signal.SIGINT)  # as a terminal does
        played = play.finish()
    assert played.status == 99
    for device in plant.devices:
        assert told_of_interrupt(played, device) == [runs[device.name]]
    assert "The same command" in played.output.splitlines()[-1]
    with PlayUnderWay(plant) as play:
        for device in plant.devices:
            play.wait_for("%s: the run %s is already in progress" % (device.name, runs[device.name]))
            release(device, runs[device.name])
        again = play.finish()
    assert again.status == 0, again.output
    assert "interrupted" not in again.output
    for device in plant.devices:
        assert result_of(again, device)["run"] == runs[device.name]
        one_image_more(plant, device, before[device.name])


def told_of_interrupt(played: Played, device: Device) -> List[str]:
    """The runs that the end of an interrupted play says to continue on a device."""
    said = r"%s: the play was interrupted; .*imaging_run=(\S+) -e imaging_cancel=true" % re.escape(device.name)
    return re.findall(said, played.output)


def test_a_handle_is_followed_looked_at_and_cancelled(plant: Plant) -> None:
    device, images = one_slow_device(plant)
    run = result_of(plant.play("image", "-e", "imaging_wait=false"), device)["run"]
    assert hold(device) == run
    seen = result_of(plant.play("image", "-e", "imaging_wait=false", "-e", "imaging_run=%s" % run), device)
    assert (seen["changed"], seen["status"]["run"]) == (False, run)
    other = plant.play("image", "-e", "imaging_keep=3")
    assert other.status != 0, "another job's run lives"
    assert run in result_of(other, device)["msg"]
    release(device, run)
    followed = result_of(plant.play("image", "-e", "imaging_run=%s" % run), device)
    assert followed["image"] == one_image_more(plant, device, images)

    make_disk(device.data / "disk.raw", 400)
    run = result_of(plant.play("image", "-e", "imaging_wait=false"), device)["run"]
    ended = plant.play("image", "-e", "imaging_run=%s" % run, "-e", "imaging_cancel=true")
    assert ended.status == 0, ended.output
    assert result_of(ended, device)["state"] == "cancelled"
    late = result_of(plant.play("image", "-e", "imaging_run=%s" % run, "-e", "imaging_cancel=true"), device)
    assert (late["state"], late["changed"]) == ("cancelled", False), "it had ended"
    assert len(plant.image_names(device)) == len(images) + 1
    gone = plant.play("image", "-e", "imaging_run=image-that-was-never-there")
    assert gone.status != 0
    assert "image-that-was-never-there" in result_of(gone, device)["msg"]


def test_check_mode_changes_nothing_and_tells_what_it_knows(plant: Plant, server: SftpServer) -> None:
    plant.devices = plant.devices[1:]
    assert plant.play("agent", "-e", "imaging_agent_state=absent").status == 0
    before = [device.contents() for device in plant.devices]
    stored = sorted(str(path) for path in server.root.rglob("*"))
    checked = plant.play("image", "--check")
    assert checked.status == 0, checked.output
    asked = plant.play("device_info", "--check")
    assert asked.status == 0, asked.output
    planned = plant.play("agent", "--check", "--diff")
    assert planned.status == 0, planned.output
    for device in plant.devices:
        assert result_of(checked, device)["agent"]["sent_bytes"] > MIB
        assert "On %s the agent " % device.name in checked.output
        assert result_of(asked, device, "Ask the device")["information"] is None
        told = result_of(planned, device, "Bring the agent into the wanted state")
        assert told["changed"] is True
        assert "-none\n+%s\n" % told["installed"] in planned.output
    for device, contents in zip(plant.devices, before):
        assert changed_paths(contents, device.contents()) == []

    assert plant.play("agent").status == 0
    again = plant.play("agent", "--check", "--diff")
    assert result_of(again, plant.devices[0], "Bring the agent into the wanted state")["changed"] is False
    checked = plant.play("image", "--check")
    assert checked.status == 0, checked.output
    for device in plant.devices:
        assert result_of(checked, device)["bytes_in_use"] == 16 * MIB
        assert result_of(checked, device)["image"] is None
    assert sorted(str(path) for path in server.root.rglob("*")) == stored


def test_an_absent_agent_leaves_the_file_system_as_before(plant: Plant) -> None:
    assert plant.play("agent", "-e", "imaging_agent_state=absent").status == 0
    before = [device.contents() for device in plant.devices]
    assert plant.play("agent", "-e", "imaging_agent_state=present").status == 0
    assert plant.play("image").status == 0
    assert plant.play("agent", "--check", "-e", "imaging_agent_state=absent").status == 0
    assert all(device.base.exists() for device in plant.devices)
    gone = plant.play("agent", "-e", "imaging_agent_state=absent")
    assert gone.status == 0, gone.output
    for device, contents in zip(plant.devices, before):
        assert result_of(gone, device, "Bring the agent into the wanted state")["changed"] is True
        assert changed_paths(contents, device.contents()) == []
    again = plant.play("agent", "-e", "imaging_agent_state=absent")
    assert not any(result_of(again, device, "wanted state")["changed"] for device in plant.devices)


def test_a_device_tells_what_it_is(plant: Plant) -> None:
    played = plant.play("device_info")
    assert played.status == 0, played.output
    for device in plant.devices:
        information = result_of(played, device, "Ask the device")["information"]
        assert information["version"] >= 1
        assert information["operating_system"]


def test_an_image_is_restored_on_the_device(plant: Plant) -> None:
    assert plant.play("image").status == 0
    restored = plant.play("restore")
    assert restored.status == 0, restored.output
    for device in plant.devices:
        assert (device.data / "restored.raw").read_bytes() == (device.data / "disk.raw").read_bytes()
        (device.data / "restored.raw").unlink()
        assert statuses(device) == {}


def test_what_does_not_work_is_named(plant: Plant) -> None:
    device = plant.devices[1]
    plant.devices = [device]
    missing = plant.play("image", "-e", "ansible_python_interpreter=/opt/no/python3")
    failed = result_of(missing, device)
    assert failed["error_code"] == PythonNotFound.code
    assert "/opt/no/python3" in failed["msg"]
    wrong = plant.play("image", "-e", "imaging_password=another-password")
    assert result_of(wrong, device)["error_code"] == "K100"
    assert statuses(device) == {}, "a failure that was reported leaves nothing"


def test_no_secret_is_seen_anywhere(plant: Plant, server: SftpServer) -> None:
    key = server.key.read_text(encoding="utf-8").splitlines()[2]
    secrets = [PASSWORD.encode(), key.encode(), SUDO_PASSWORD.encode()]
    plant.settings["imaging_limit_read_rate"] = "8"
    watch = Watch(plant.devices, secrets)
    with PlayUnderWay(plant, "-vvvv", "--diff") as play:
        while play.process.poll() is None:
            watch.look()
        played = play.finish()
    assert played.status == 0, played.output[-3000:]
    assert watch.found == []
    for kind in ("command line", "environment", "job.json", "sealed.json", "spool job.json", "spool status.json"):
        assert watch.seen.get(kind), "%s was never looked at: %s" % (kind, watch.seen)
    for secret in secrets:
        assert secret.decode() not in played.output
        assert secret.decode() not in json.dumps(played.results)
        for device in plant.devices:
            assert device.holds(secret) == []


def test_an_ordinary_user_images_what_he_may_read(plant: Plant) -> None:
    plant.devices = plant.devices[1:]
    device = plant.devices[0]
    images = plant.image_names(device)
    home = device.changes / "home" / "tech"
    played = plant.play("image", "-e", "ansible_become=false")
    assert played.status == 0, played.output
    one_image_more(plant, device, images)
    assert (home / ".local" / "share" / "plantops-imaging").stat().st_uid == home.stat().st_uid
    (device.data / "disk.raw").chmod(0o600)
    refused = plant.play("image", "-e", "ansible_become=false")
    (device.data / "disk.raw").chmod(0o644)
    assert result_of(refused, device)["error_code"] == DiskAccessDenied.code
    assert plant.play("agent", "-e", "ansible_become=false", "-e", "imaging_agent_state=absent").status == 0
    assert not (home / ".local").exists(), "directories that it had to make go with it"


@pytest.mark.long
def test_becoming_a_user_without_rights_works_where_the_device_has_access_lists(
    plant: Plant, need: Callable[..., None]
) -> None:
    need("setfacl")
    plant.devices = plant.devices[1:]
    device = plant.devices[0]
    device.run("useradd", "--create-home", "recorder")
    images = plant.image_names(device)
    played = plant.play("image", "-e", "ansible_become_user=recorder")
    assert played.status == 0, played.output
    one_image_more(plant, device, images)
    assert (device.changes / "home" / "recorder" / ".local" / "share" / "plantops-imaging" / "current").exists()


@pytest.mark.long
def test_a_link_that_falls_silent_is_noticed(plant: Plant) -> None:
    plant.settings["imaging_limit_read_rate"] = "1"
    plant.devices = plant.devices[:1]
    device = plant.devices[0]
    images = plant.image_names(device)
    assert device.proxy is not None
    with PlayUnderWay(plant) as play:
        run = hold(device)
        device.proxy.silence()
        play.wait_for("the connection was lost")
        device.proxy.cut()
        device.proxy.speak()
        device.proxy.mend()
        release(device, run)
        played = play.finish()
    assert played.status == 0, played.output
    assert result_of(played, device)["run"] == run
    one_image_more(plant, device, images)


def test_a_local_device_uses_the_agent_for_what_outlives_the_play(tmp_path: Path, need: Callable[..., None]) -> None:
    need("unshare", "nsenter")
    with Device(tmp_path, "press-3") as device:
        make_disk(device.data / "disk.raw", 200)
        (device.data / "storage").mkdir()
        settings = {
            "imaging_storage": {"url": "/data/storage"},
            "imaging_drives": ["/data/disk.raw"],
            "imaging_limit_read_rate": "1",
            "imaging_password": PASSWORD,
        }
        inventory = {"all": {"hosts": {device.name: {"ansible_connection": "local"}}, "vars": settings}}
        (device.data / "hosts.yml").write_text(json.dumps(inventory), encoding="utf-8")

        def play(*arguments: str) -> Dict[str, Any]:
            environment = {
                "ANSIBLE_HOME": "/data/home",
                "HOME": "/data/home",
                "XDG_CACHE_HOME": str(Path.home() / ".cache"),
                "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "tests" / "support" / "callbacks"),
                "ANSIBLE_CALLBACKS_ENABLED": "record_results",
                "RECORD_RESULTS": "/data/results.jsonl",
            }
            program = str(Path(sys.executable).parent / "ansible-playbook")
            words = ["%s=%s" % pair for pair in environment.items()]
            device.run("env", *words, program, "-i", "/data/hosts.yml", "plantops.imaging.image", *arguments)
            lines = (device.data / "results.jsonl").read_text(encoding="utf-8").splitlines()
            # The tasks that leave the result of the run come after the image.
            return [
                dict(one["result"])
                for one in map(json.loads, lines)
                if "images" in one["result"] or "run" in one["result"]
            ][-1]

        assert play("-e", "imaging_limit_read_rate=0")["image"]
        assert not device.base.exists(), "a process of the controller needs no agent"
        started = play("-e", "imaging_wait=false")
        assert device.base.exists()
        again = play("-e", "imaging_wait=false")
        assert (again["run"], again["attached"]) == (started["run"], True)
        ended = play("-e", "imaging_run=%s" % again["run"], "-e", "imaging_cancel=true")
        assert ended["state"] == "cancelled"
