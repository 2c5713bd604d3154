# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hooks of the example inventory as they are: their application runs again after each end, and the mail tells a failure.

A stand-in takes the place of systemd, which a container does not have, and another one that of sendmail.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path
from typing import Dict, List, Optional

import pytest
import yaml
from support import plain_disks
from support.agent_runs import wait_until
from support.paths import ROOT
from support.plain_disks import PASSWORD
from support.playbooks import Played, Site

EXAMPLE = ROOT / "inventories" / "example"
SYSTEMCTL = """#!/bin/sh
# What ansible.builtin.systemd and the device ask of systemd: the state of one unit, kept in a file.
folder=%s
for word; do case $word in -*) shift;; *) break;; esac; done
echo "$*" >> "$folder/asked"
case $1 in
  start) echo active > "$folder/$2" ;;
  stop) echo inactive > "$folder/$2" ;;
  is-active) cat "$folder/$2" ;;
  show) printf 'Id=%%s\\nLoadState=loaded\\nActiveState=%%s\\nSubState=x\\n' "$2" "$(cat "$folder/$2")" ;;
esac
"""
# A machine without systemd would be asked for a service of its own kind.
PLAY = """---
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.set_fact: {ansible_service_mgr: systemd, cacheable: true}
- import_playbook: plantops.imaging.image
"""


class Plant(Site):
    """A local device with the application and the hooks of the line 1 of the example."""

    def __init__(self, folder: Path) -> None:
        plain_disks.make_disk(folder / "disk.raw", 12, noise_mib=3, seed=5)
        line = yaml.safe_load((EXAMPLE / "group_vars" / "line1.yml").read_text(encoding="utf-8"))
        hooks = dict(line["imaging_hooks"])
        for name in ("before", "failed"):
            hooks[name] = str((EXAMPLE / hooks[name]).resolve())
        self.unit, self.state = line["application_service"], folder / "units"
        mail = Path(hooks["failed"]).read_text(encoding="utf-8")
        assert "/usr/sbin/sendmail" in mail
        (folder / "send_mail.yml").write_text(mail.replace("/usr/sbin/sendmail", str(folder / "bin/sendmail")))
        hooks["failed"] = str(folder / "send_mail.yml")
        program, *words = hooks["device"]["after"]
        assert program == "systemctl", "the agent finds it in its own path, in which the stand-in is not"
        hooks["device"] = dict(hooks["device"], after=[str(folder / "bin" / program), *words])
        super().__init__(
            folder,
            imaging_drives=[str(folder / "disk.raw")],
            imaging_password=PASSWORD,
            imaging_agent_directory=str(folder / "base" / "agent"),
            imaging_hooks=hooks,
            application_service=self.unit,
            mail_of_the_maintenance=line["mail_of_the_maintenance"],
        )
        (folder / "base").mkdir(mode=0o700)
        for name in ("bin", "units"):
            (folder / name).mkdir()
        (folder / "play.yml").write_text(PLAY, encoding="utf-8")
        self.program("systemctl", SYSTEMCTL % self.state)
        self.program("sendmail", "#!/bin/sh\ncat > %s/mail\n" % folder)
        (self.state / self.unit).write_text("active\n", encoding="utf-8")

    def program(self, name: str, text: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def environment(self, extra: Optional[Dict[str, str]] = None) -> Dict[str, str]:
        path = "%s:%s" % (self.folder / "bin", os.environ["PATH"])
        return super().environment({"PATH": path, **(extra or {})})

    def runs(self) -> bool:
        return (self.state / self.unit).read_text(encoding="utf-8").strip() == "active"

    def asked(self) -> List[str]:
        """What was done with the application since the last question."""
        path = self.state / "asked"
        words = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        path.write_text("", encoding="utf-8")
        return [one for one in words if one.startswith(("stop", "start"))]

    def mail(self) -> str:
        path = self.folder / "mail"
        return path.read_text(encoding="utf-8") if path.exists() else ""


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    tmp_path.chmod(0o700)
    return Plant(tmp_path)


def played(plant: Plant, status: int) -> Played:
    done = plant.play_file(plant.folder / "play.yml")
    assert done.status == status, done.output
    return done


def test_the_application_runs_again_and_a_failure_is_mailed(plant: Plant) -> None:
    stopped_and_started = ["stop %s" % plant.unit, "start %s" % plant.unit]
    played(plant, 0)
    assert (plant.asked(), plant.runs(), plant.mail()) == (stopped_and_started, True, "")
    plant.settings["imaging_drives"] = [str(plant.folder / "missing.raw")]
    document = played(plant, 2).result("Leave the result")["document"]
    assert (plant.asked(), plant.runs()) == (stopped_and_started, True)
    head, *dummy_rest, hint = plant.mail().strip().splitlines()
    assert head == "To: maintenance@example.com"
    assert "No image of pc-1: %s" % document["error_code"] in plant.mail()
    assert hint == document["hint"]


def test_the_application_runs_again_after_the_controller_is_killed(plant: Plant) -> None:
    plant.settings["imaging_limit_read_rate"] = "2"
    process = plant.begin(plant.folder / "play.yml")
    spool = plant.folder / "base" / "agent" / "spool"
    try:
        wait_until(lambda: any(plant.device.glob("2*")), 300)  # before it has its secrets a run ends with its play
        assert not plant.runs(), "the run is in progress"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    wait_until(plant.runs, 120)
    (run,) = spool.glob("image-*")
    assert json.loads((run / "status.json").read_text(encoding="ascii"))["state"] == "done"
