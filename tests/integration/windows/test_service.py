# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service of a Windows device: installed by hand, takes commands and runs, and none of them ends with it."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Iterator, List

import pytest
from engine.agent.sealing import Recipient
from engine.errors import CommandRefused
from support.imaging import PASSWORD, verify
from support.whole_disks import WholeDisk
from support.windows.device import WindowsDevice
from support.windows.service import PLANTED, InstalledService

SLOW = 1  # megabyte in a second: a run of many seconds
SECRET = "Maintenance-door-4711"


@pytest.fixture(scope="module")
def device(one_device: WindowsDevice) -> WindowsDevice:
    return one_device


@pytest.fixture
def service(device: WindowsDevice, disk: WholeDisk) -> Iterator[InstalledService]:
    device.host_path(r"C:\disk.raw").write_bytes(disk.path.read_bytes())
    device.host_path(r"C:\storage").mkdir(exist_ok=True)
    with device.switched_on():
        made = InstalledService(device)
        (device.host_path(r"C:\agent") / "python" / PLANTED).write_bytes(b"MZ")
        answer = made.install()
        assert answer["ok"], answer
        assert not list(made.base.rglob(PLANTED)), "what the bundle does not name was installed"
        yield made
        answer = made.ask_installer("remove")
        assert answer["ok"], (answer, made.log())
        assert not made.base.exists()


def holders(folder: Path, words: bytes) -> List[str]:
    """The files below the folder that contain the words."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and words in path.read_bytes()]


def test_it_works_from_its_installation_to_its_removal(service: InstalledService) -> None:
    """One test for make test: commands, a run that outlives service and controller, a crash, the end."""
    answer = service.command('cmd.exe /d /c "echo %USERNAME%& exit 3"')
    assert (answer.exit_status, answer.stdout.strip() != b"", answer.timed_out) == (3, True, False)
    echo = service.python(
        '-c "import sys; sys.stdout.write(sys.stdin.read()); sys.stderr.write(sys.argv[1])" ' + SECRET
    )
    answer = service.command(echo, SECRET.encode() * 1000)
    assert (answer.stdout, answer.stderr) == (SECRET.encode() * 1000, SECRET.encode())
    assert service.command("no-such-program.exe").exit_status != 0

    runs = service.runs()
    runs.begin("run-1", limit_read_rate=SLOW)
    service.stop()
    assert service.files.read_state()["state"] == "stopped"
    status = json.loads((service.base / "spool" / "run-1" / "status.json").read_text())
    assert status["state"] == "running", "the run ended with the service"
    late = service.send("cmd.exe /c ver")
    service.start()
    with pytest.raises(CommandRefused) as refused:
        service.answer(late)
    assert refused.value.code == "A380", "it was sealed for the key of the service before"
    assert runs.end("run-1")["state"] == "done"
    assert verify(service.device.host_path(r"C:\storage"), device="pc")["ok"]
    for word in (SECRET, PASSWORD):
        assert holders(service.base, word.encode()) == []
    assert list(service.base.glob("service/taken/*")) == []


@pytest.mark.long
def test_a_killed_service_takes_up_what_it_left(service: InstalledService) -> None:
    runs = service.runs()
    runs.begin("run-1", limit_read_rate=SLOW)
    sleeping = service.send('cmd.exe /d /c "ping -n 8 127.0.0.1 >nul & echo done"')
    while not list(service.base.glob("service/taken/*.begun")):
        time.sleep(0.05)
    service.kill()
    state = service.files.read_state()
    assert state["state"] == "running", "it was killed without a word"
    service.start_again()
    assert service.answer(sleeping).stdout.strip() == b"done", "the command went on without the service"
    assert runs.end("run-1")["state"] == "done"


@pytest.mark.long
def test_a_loss_of_power_in_a_command_is_told(service: InstalledService) -> None:
    waiting = service.send('cmd.exe /d /c "ping -n 60 127.0.0.1 >nul"')
    while not list(service.base.glob("service/taken/*.begun")):
        time.sleep(0.05)
    before = service.hello()
    service.device.switch_off()
    with service.device.switched_on():
        service.start(before)
        with pytest.raises(Exception, match="lost power") as told:
            service.answer(waiting)
        assert getattr(told.value, "code", "") == "A381"
        assert service.command("cmd.exe /c ver").exit_status == 0


@pytest.mark.long
def test_a_command_for_another_key_is_refused(service: InstalledService) -> None:
    with pytest.raises(CommandRefused):
        service.answer(service.send("cmd.exe /c ver", hello=Recipient("service").hello()))


@pytest.mark.long
def test_an_update_that_does_not_work_leaves_the_one_before(service: InstalledService) -> None:
    before = (service.base / "current").read_text()
    refused = service.install("0.9.1", damaged=True)
    assert (refused["ok"], refused["code"]) in ((False, "A215"), (False, "A385"))
    assert (service.base / "current").read_text() == before
    assert service.command("cmd.exe /c ver").exit_status == 0
    updated = service.install("0.9.2")
    assert (updated["ok"], updated["replaced"]) == (True, before)
    assert service.files.read_state()["installation"] == updated["installed"]
    assert service.install("0.9.2")["changed"] is False
    assert service.command("cmd.exe /c ver").exit_status == 0


@pytest.mark.long
def test_a_run_goes_on_through_an_update(service: InstalledService) -> None:
    """The old code ends it, the new code collects it, and the old installation stays until then."""
    before = (service.base / "current").read_text()
    runs = service.runs()
    runs.begin("run-1", limit_read_rate=SLOW)
    updated = service.install("0.9.3")
    assert (updated["ok"], updated["replaced"]) == (True, before)
    status = json.loads((service.base / "spool" / "run-1" / "status.json").read_text())
    assert status["state"] == "running", "the run ended with the update"
    assert (service.base / before / "python" / "python.exe").exists()
    assert runs.end("run-1")["state"] == "done"
    assert verify(service.device.host_path(r"C:\storage"), device="pc")["ok"]
    assert service.command("cmd.exe /c ver").exit_status == 0


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_loss_of_power_in_an_update_leaves_an_agent_that_works(service: InstalledService, seed: int) -> None:
    """Wherever the moment falls: in the copy, the trial, between the two services, or after the end."""
    chance = random.Random(seed)
    whole = service.timed_install("0.9.4")
    version = "0.9.5"
    service.begin_install(version)
    time.sleep(chance.uniform(0.1, 1.1) * whole)
    before = service.hello()
    service.device.switch_off()
    with service.device.switched_on():
        service.start(before)
        assert service.command("cmd.exe /c ver").exit_status == 0
        updated = service.install(version)
        assert updated["ok"], (updated, service.log())
        assert service.files.read_state()["installation"] == updated["installed"]
        assert service.command("cmd.exe /c ver").exit_status == 0
        assert not list(service.base.glob(".new-*")), "an unfinished copy stays for ever"


@pytest.mark.long
def test_the_deletion_that_outlives_the_installer_ends_with_the_folder(device: WindowsDevice) -> None:
    folder = device.host_path(r"C:\Program Files\gone")
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_bytes(b"x")
    (folder / "removing").touch()
    program = (
        "import os, subprocess\n"
        "from engine.agent.windows_install import deletion_line\n"
        "from engine.host.windows_calls import system_folder\n"
        "line = deletion_line('C:\\\\Program Files\\\\gone', ['deep', 'deeper'], system_folder())\n"
        "subprocess.run(line, cwd=system_folder(), timeout=25, check=False)\n"
    )
    device.drive.joinpath("delete.py").write_text(program)
    with device.switched_on():
        ran = device.python(r"C:\delete.py")
    assert ran.status == 0, ran.errors  # it has ended, far from its 30 rounds
    assert not folder.exists()
