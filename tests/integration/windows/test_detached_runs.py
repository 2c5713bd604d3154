# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run on a Windows device is a process of its own, with the documents and verbs of every system."""

from __future__ import annotations

import shutil
import threading
from typing import Iterator

import pytest
from support.imaging import PASSWORD, verify
from support.whole_disks import WholeDisk
from support.windows.device import WindowsDevice
from support.windows.runs import BASE, Runs, direct

SLOW = 2  # megabytes in a second: a run of many seconds


@pytest.fixture(scope="module")
def device(one_device: WindowsDevice) -> WindowsDevice:
    return one_device


@pytest.fixture
def runs(device: WindowsDevice, disk: WholeDisk) -> Iterator[Runs]:
    device.host_path(r"C:\disk.raw").write_bytes(disk.path.read_bytes())
    device.host_path(r"C:\storage").mkdir(exist_ok=True)
    with device.switched_on():
        yield direct(device)
    shutil.rmtree(device.host_path(r"C:\storage"))
    shutil.rmtree(device.host_path(BASE))


@pytest.mark.long
def test_a_run_outlives_the_program_that_started_it(runs: Runs) -> None:
    started = runs.start("run-1")
    assert started["ok"], started
    assert runs.start("run-1")["created"] is False, "the same id twice is the same run"
    assert runs.status("run-1")["state"] == "waiting"
    runs.deliver(started, {"secrets": {"password": PASSWORD}})
    status = runs.end("run-1")
    assert status["state"] == "done", status
    assert verify(runs.device.host_path(r"C:\storage"), device="pc")["ok"]
    folder = runs.device.host_path(BASE) / "spool" / "run-1"
    assert not (folder / "sealed.json").exists()
    for file in folder.iterdir():
        assert PASSWORD.encode() not in file.read_bytes(), file.name


@pytest.mark.long
def test_a_cancelled_run_ends(runs: Runs) -> None:
    runs.begin("run-1", limit_read_rate=SLOW)
    assert runs.call("cancel", "run-1")["ok"]
    status = runs.end("run-1")
    assert (status["state"], status["error"]["code"]) == ("cancelled", "J101")
    assert runs.call("forget", "run-1")["changed"]


@pytest.mark.long
def test_a_killed_run_is_lost_and_the_next_one_begins(runs: Runs) -> None:
    runs.begin("run-1", limit_read_rate=SLOW)
    refused = runs.start("run-2")
    assert (refused["ok"], refused["code"]) == (False, "A312")
    runs.device.switch_off()
    status = runs.status("run-1")
    assert (status["state"], status["error"]["code"]) == ("lost", "A315")
    runs.begin("run-2")
    assert runs.end("run-2")["state"] == "done"


@pytest.mark.long
def test_many_looks_end_no_run_and_no_status(runs: Runs) -> None:
    """Windows refuses to replace a file that is open: the run and those who look go on all the same."""
    runs.begin("run-1", limit_read_rate=SLOW)
    path = runs.device.host_path(BASE) / "spool" / "run-1" / "status.json"
    states = []

    def look() -> None:
        for dummy in range(4):
            states.append(runs.status("run-1")["state"])

    threads = [threading.Thread(target=look) for dummy in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(states) <= {"running", "done"}
    assert path.exists()
    runs.call("cancel", "run-1")
    assert runs.end("run-1")["state"] in ("cancelled", "done")
