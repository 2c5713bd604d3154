# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hooks of a site: what the hook before stopped runs again after each end of the play, and the result tells what failed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
from support import plain_disks
from support.agent_runs import wait_until
from support.plain_disks import PASSWORD
from support.playbooks import Site


class Plant(Site):
    """A local device with an application: a process that a hook stops, and that the device starts again."""

    def __init__(self, folder: Path) -> None:
        plain_disks.make_disk(folder / "disk.raw", 12, noise_mib=3, seed=5)
        self.pid_file = folder / "application.pid"
        self.application = ["/bin/sh", "-c", 'sleep 600 & echo $! > "$1"', "sh", str(self.pid_file)]
        super().__init__(
            folder,
            imaging_drives=[str(folder / "disk.raw")],
            imaging_password=PASSWORD,
            imaging_results_directory=str(folder / "results"),
            imaging_agent_directory=str(folder / "base" / "agent"),
            imaging_hooks={
                "before": "before.yml",
                "after": "after.yml",
                "failed": str(folder / "failed.yml"),
                "device": {"after": self.application, "time_limit_seconds": 30},
            },
        )
        (folder / "base").mkdir(mode=0o700)
        self.hook("before", "kill $(cat %s); echo before >> %s" % (self.pid_file, self.log))
        for name in ("after", "failed"):
            self.hook(name, "echo %s {{ imaging_run_result.document.state }} >> %s" % (name, self.log))
        subprocess.run(self.application, check=True)

    @property
    def spool(self) -> Path:
        return self.folder / "base" / "agent" / "spool"

    @property
    def log(self) -> Path:
        return self.folder / "hooks.log"

    def hook(self, name: str, command: str) -> None:
        task = [{"name": "Work of %s" % name, "ansible.builtin.shell": command}]
        (self.folder / ("%s.yml" % name)).write_text(json.dumps(task), encoding="utf-8")

    def ran(self) -> List[str]:
        return self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []

    def is_running(self) -> bool:
        """Whether its process works; one that has ended stays in the list until the first process of the machine asks for it."""
        try:
            pid = int(self.pid_file.read_text(encoding="ascii"))
            state = Path("/proc/%d/stat" % pid).read_text(encoding="ascii").rpartition(")")[2].split()[0]
        except (OSError, ValueError):
            return False
        return state != "Z"

    def documents(self) -> List[Dict[str, Any]]:
        paths = sorted((self.folder / "results" / "t_pc-1").glob("*.json"))
        return [json.loads(path.read_text(encoding="utf-8")) for path in paths]

    def stop(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(self.pid_file.read_text(encoding="ascii")), signal.SIGKILL)


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    tmp_path.chmod(0o700)
    one = Plant(tmp_path)
    yield one
    one.stop()


def test_the_application_runs_again_after_success_and_failure(plant: Plant) -> None:
    first = int(plant.pid_file.read_text(encoding="ascii"))
    checked = plant.play("image", "--check", "--diff")
    assert checked.status == 0, checked.output
    assert (plant.ran(), plant.documents(), plant.is_running()) == ([], [], True)
    played = plant.play("image")
    assert played.status == 0, played.output
    assert plant.is_running()
    assert int(plant.pid_file.read_text(encoding="ascii")) != first, "it was stopped and started"
    assert plant.ran() == ["before", "after ok"]
    plant.settings["imaging_drives"] = [str(plant.folder / "missing.raw")]
    assert plant.play("image").status == 2
    assert plant.is_running()
    assert plant.ran()[2:] == ["before", "after failed", "failed failed"]
    assert [one["state"] for one in plant.documents()] == ["ok", "failed"]


def test_a_hook_before_that_fails_ends_the_run_before_anything_is_read(plant: Plant) -> None:
    plant.hook("before", "kill $(cat %s); echo before >> %s; exit 5" % (plant.pid_file, plant.log))
    played = plant.play("image")
    assert played.status == 2
    assert not plant.device.exists(), "no image was begun"
    assert plant.is_running()
    assert plant.ran() == ["before", "after failed", "failed failed"]
    (document,) = plant.documents()
    assert (document["state"], document["error_code"], document["image"]) == ("failed", "J183", None)
    assert "Work of before" in document["message"]  # sentence: it names the task of the site that failed


def test_a_hook_after_that_fails_and_a_command_that_fails_are_in_the_result(plant: Plant) -> None:
    plant.hook("after", "exit 7")
    assert plant.play("image").status == 2
    (document,) = plant.documents()
    assert (document["state"], document["error_code"]) == ("failed", "J183")
    assert document["image"] is not None
    assert plant.is_running()
    plant.hook("after", "true")
    plant.settings["imaging_hooks"]["device"]["after"] = ["/bin/sh", "-c", "echo it is broken; exit 3"]
    plant.settings["imaging_hooks"]["before"] = ""
    assert plant.play("image").status == 2
    document = plant.documents()[-1]
    assert (document["state"], document["error_code"]) == ("failed", "A352")
    assert "it is broken" in document["message"]  # sentence: the words of the site's own command


def test_the_hooks_run_when_the_result_cannot_be_written(plant: Plant) -> None:
    plant.settings["imaging_results_directory"] = str(plant.folder / "missing" / "results")
    played = plant.play("image")
    assert played.status == 2, played.output
    assert played.result("Leave the result")["error_code"] == "J180"
    assert plant.is_running()
    assert plant.ran() == ["before", "after ok"]


def test_the_hooks_after_and_failed_run_for_a_device_that_is_lost_after_before(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hooks work on the operator; the first question to the device finds it off."""
    away = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    monkeypatch.setattr(plant, "inventory", lambda: {"all": {"hosts": {"pc-1": away}, "vars": plant.settings}})
    del plant.settings["imaging_hooks"]["device"]
    for name in ("before", "after", "failed"):
        task = {"name": "Work of %s" % name, "delegate_to": "localhost"}
        task["ansible.builtin.shell"] = "echo %s >> %s" % (name, plant.log)
        (plant.folder / ("%s.yml" % name)).write_text(json.dumps([task]), encoding="utf-8")
    played = plant.play("image")
    assert played.status == 2, played.output
    assert plant.ran() == ["before", "after", "failed"]
    (document,) = plant.documents()
    assert (document["state"], document["error_code"]) == ("failed", "J181")
    plant.settings["imaging_hooks"] = {}
    assert plant.play("image").status == 4, "without hooks it is Ansible's own unreachable"


@pytest.mark.parametrize("moment", ["in the hook before", "in the run"])
def test_the_application_runs_again_when_the_controller_is_killed(plant: Plant, moment: str) -> None:
    if moment == "in the run":
        plant.settings["imaging_limit_read_rate"] = "2"
    else:
        plant.hook("before", "kill $(cat %s); echo before >> %s; sleep 60" % (plant.pid_file, plant.log))
        plant.settings["imaging_hooks"]["device"]["start_within_seconds"] = 25
    process = plant.begin()
    wait_until(lambda: plant.ran() == ["before"], 120)
    wait_until(lambda: not plant.is_running())
    if moment == "in the run":
        wait_until(lambda: any(plant.spool.glob("image-*/runner.json")), 60)
        time.sleep(1)
        assert not plant.is_running(), "the run is in progress"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    wait_until(plant.is_running, 90)


def under_way(plant: Plant) -> subprocess.Popen[bytes]:
    """A play whose run reads the disk, slowly; the application is stopped."""
    plant.settings["imaging_limit_read_rate"] = "0.1"
    process = plant.begin()
    wait_until(lambda: plant.ran() == ["before"], 300)
    wait_until(lambda: any(plant.spool.glob("image-*/runner.json")), 300)
    assert not plant.is_running(), "the run is in progress"
    return process


def kill_the_run(plant: Plant) -> None:
    (path,) = plant.spool.glob("image-*/runner.json")
    os.kill(int(json.loads(path.read_text(encoding="ascii"))["pid"]), signal.SIGKILL)


def cancel_by_another_play(plant: Plant) -> None:
    (path,) = plant.spool.glob("image-*/runner.json")
    words = ["-e", "imaging_cancel=true", "-e", "imaging_run=%s" % path.parent.name, "-e", '{"imaging_hooks": {}}']
    plant.play("image", *words)


@pytest.mark.parametrize(
    ("end", "after", "state"),
    [
        (kill_the_run, ["after failed", "failed failed"], "failed"),
        (cancel_by_another_play, ["after cancelled", "failed cancelled"], "cancelled"),
    ],
    ids=["killed", "cancelled"],
)
def test_the_application_runs_again_however_the_run_ends(
    plant: Plant, end: Callable[[Plant], None], after: List[str], state: str
) -> None:
    process = under_way(plant)
    end(plant)
    assert process.wait(timeout=300) != 0
    wait_until(plant.is_running, 120)
    assert plant.ran()[1:] == after
    assert [one["state"] for one in plant.documents()][:1] == [state]


def runs_of(plant: Plant) -> List[str]:
    return [path.name for path in plant.spool.glob("image-*")]


def test_a_play_that_only_starts_the_run_leaves_the_hooks_to_the_one_that_follows_it(plant: Plant) -> None:
    """The device starts its application at the end of the run, and the play that follows stops nothing again."""
    assert plant.play("image", "-e", "imaging_wait=false").status == 0
    (run,) = runs_of(plant)
    wait_until(plant.is_running, 120)
    started = plant.pid_file.read_text(encoding="ascii")
    assert (plant.ran(), plant.documents()) == (["before"], [])
    followed = plant.play("image", "-e", "imaging_run=%s" % run)
    assert followed.status == 0, followed.output
    assert plant.ran() == ["before", "after ok"]
    assert plant.pid_file.read_text(encoding="ascii") == started, "it was not stopped again"
    (document,) = plant.documents()
    assert (document["run"], document["state"]) == (run, "ok")
    assert not [one for one in document["warnings"] if run in one], "its hooks ran"


def test_a_play_that_cancels_a_run_runs_the_hooks_that_follow_it(plant: Plant) -> None:
    plant.settings["imaging_limit_read_rate"] = "0.1"
    assert plant.play("image", "-e", "imaging_wait=false").status == 0
    (run,) = runs_of(plant)
    looked = plant.play("image", "-e", "imaging_wait=false", "-e", "imaging_run=%s" % run)
    assert looked.status == 0, looked.output
    assert (plant.ran(), plant.is_running()) == (["before"], False), "the run is in progress"
    cancelled = plant.play("image", "-e", "imaging_cancel=true", "-e", "imaging_run=%s" % run)
    assert cancelled.status == 0, cancelled.output
    wait_until(plant.is_running, 120)
    assert plant.ran() == ["before", "after cancelled", "failed cancelled"]


@pytest.mark.parametrize("cancels", [True, pytest.param(False, marks=pytest.mark.long)], ids=["cancelled", "continued"])
def test_an_interrupted_play_leaves_the_application_to_the_device_and_the_next_play_names_the_hooks(
    plant: Plant, cancels: bool
) -> None:
    """Ansible ends a play at Ctrl-C without its hooks after and failed."""
    plant.settings["imaging_cancel_on_interrupt"] = cancels
    plant.settings["imaging_limit_read_rate"] = "0.1" if cancels else "1"
    process = plant.begin()
    wait_until(lambda: plant.ran() == ["before"], 300)
    wait_until(lambda: any(plant.spool.glob("image-*/runner.json")), 300)
    time.sleep(2)
    assert not plant.is_running(), "the run is in progress"
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=120) != 0
    wait_until(plant.is_running, 120)
    assert plant.ran() == ["before"]
    (run,) = runs_of(plant)
    del plant.settings["imaging_limit_read_rate"]
    played = plant.play("image")
    assert played.status == 0, played.output
    assert plant.ran() == ["before", "before", "after ok"]
    (early,) = (one for one in plant.documents() if one["run"] == run)
    assert early["state"] == ("cancelled" if cancels else "ok")
    (told,) = (one for one in early["warnings"] if run in one)
    assert told in played.output
    assert ("failed" in told) is cancels  # sentence: it names the hooks that were due
