# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One night over five devices, started by the guide's line for cron: the mail says who has no image, why, and what to do."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
from support import imaging, plain_disks
from support.paths import ROOT
from support.plain_disks import MIB, PASSWORD
from support.playbooks import Site

pytestmark = pytest.mark.root
GUIDE = (ROOT / "docs" / "guide_first_image.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "guide_output_of_the_night.md").read_text(encoding="utf-8")
EARLIER = "2026-01-02_22-00-00"
PLANT = "/home/imaging/plant"
CODES = {"press-02": "K100", "press-03": "D100", "press-04": "S103"}
_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ")


def block(marker: str, text: str = GUIDE) -> str:
    """The block of a document whose first line is ``marker``."""
    found = re.search(r"```\w*\n(%s\n.*?)```\n" % re.escape(marker), text, re.DOTALL)
    assert found is not None, marker
    return found.group(1)


def cron_command(playbook: str, folder: Path) -> str:
    """The command of the guide's crontab as cron hands it to the shell."""
    (line,) = (line for line in block("# crontab -e").splitlines() if "plantops.imaging.%s" % playbook in line)
    command = line.split(None, 5)[5]
    assert "%" not in command, "cron makes a line break of it"
    return command.replace(PLANT, str(folder))


class Night(Site):
    """Five devices of this machine: one is fine, and each of the others lacks something."""

    def __init__(self, folder: Path, full: Path) -> None:
        super().__init__(folder, imaging_password=PASSWORD, imaging_device_alias="", imaging_limit_read_rate="0")
        self.full = full
        for number in range(1, 5):
            noise = 14 if number == 4 else 1
            plain_disks.make_disk(folder / ("press-0%d.raw" % number), noise + 6, noise_mib=noise, seed=number)
        (folder / "press-03.raw").unlink()
        imaging.run_verb(self.storage, "image", device="press-02", drives=[str(folder / "press-02.raw")])
        self.settings["imaging_drives"] = ["%s/{{ inventory_hostname }}.raw" % folder]
        self.settings["imaging_results_directory"] = str(folder / "results")

    def inventory(self) -> Dict[str, Any]:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        here = {"ansible_connection": "local"}
        hosts = {
            "press-01": here,
            "press-02": dict(here, imaging_password="not-the-one-of-the-images"),
            "press-03": here,
            "press-04": dict(here, imaging_storage={"url": str(self.full)}),
            "press-05": {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": port},
        }
        return {"all": {"hosts": hosts, "vars": self.settings}}

    def prepare(self) -> None:
        """The controller's folder as the guide makes it."""
        settings = block("# ansible.cfg").replace("inventory = site", "inventory = hosts.yml")
        lines = [line for line in settings.splitlines() if not line.startswith("vault_password_file")]
        (self.folder / "ansible.cfg").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (self.folder / ".venv" / "bin").mkdir(parents=True)
        (self.folder / ".venv" / "bin" / "ansible-playbook").symlink_to(self.programs / "ansible-playbook")
        self.command("image")
        for device in ("press-02", "press-05"):  # what earlier nights left
            folder = self.folder / "results" / device
            folder.mkdir(parents=True)
            ended = time.time() - 26 * 3600
            document = {"image": EARLIER, "ended": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ended))}
            (folder / ("%s-image.json" % EARLIER)).write_text(json.dumps(document), encoding="utf-8")

    def cron(self, playbook: str) -> str:
        """Run the guide's line; return the mail, nothing where cron would send none."""
        environment = self.environment({"ANSIBLE_CALLBACKS_ENABLED": ""})
        for name in ("ANSIBLE_CALLBACKS_ENABLED", "ANSIBLE_NOCOLOR"):
            del environment[name]
        done = subprocess.run(
            ["sh", "-c", cron_command(playbook, self.folder)],
            cwd="/",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.stdout

    def documents(self) -> Dict[str, Dict[str, Any]]:
        found = {}
        for path in (self.folder / "results").glob("*/*-image.json"):
            if path.name.startswith(EARLIER):
                continue
            found[path.parent.name] = json.loads(path.read_text(encoding="utf-8"))
        return found


@pytest.fixture
def night(tmp_path: Path, need: Callable[..., None]) -> Iterator[Night]:
    need("mount", "ssh")
    full = tmp_path / "full"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(full)], check=True)
    try:
        yield Night(tmp_path / "plant", full)
    finally:
        subprocess.run(["umount", "-l", str(full)], check=True)


def summary_of(text: str) -> List[str]:
    lines = text.splitlines()
    return lines[lines.index("IMAGING SUMMARY") + 1 :]


def lists_of(lines: List[str]) -> Dict[str, str]:
    """The lists below the rows: a title and its devices."""
    return dict(line.split(": ", 1) for line in lines if re.match(r"[a-z][a-z A-Z0-9]*: ", line))


def rows_of(lines: List[str]) -> Dict[str, List[str]]:
    """The lines of each device: how it ended, and what to do."""
    rows: Dict[str, List[str]] = {}
    device = ""
    for line in lines:
        if line.startswith("press-"):
            device = line.split()[0]
            rows[device] = [line]
        elif device and line.startswith(" "):
            rows[device].append(line.strip())
    return rows


def test_the_mail_of_a_night_says_who_has_no_image_and_why_and_what_to_do(night: Night) -> None:
    night.prepare()
    mail = night.cron("image")
    documents = night.documents()
    assert {name: one["error_code"] for name, one in documents.items()} == dict(CODES, **{"press-01": None})
    assert documents["press-01"]["image"]
    lines = summary_of(mail)
    rows, lists = rows_of(lines), lists_of(lines)
    assert list(rows) == ["press-01", "press-02", "press-03", "press-04", "press-05"]
    assert lists["imaged"] == "1 (press-01)"
    assert lists["not reached"] == "1 (press-05)"
    assert lists["changed disks"] == "none"
    assert set(re.findall(r"press-0\d", lists["no new image"])) == {*CODES, "press-05"}
    for device, code in CODES.items():
        assert "failed %s: " % code in rows[device][0]
        assert lists["failed %s" % code] == "1 (%s)" % device
        assert rows[device][1] == "to do: %s" % documents[device]["hint"]
    assert "Connection refused" in rows["press-05"][0]
    assert rows["press-05"][1].startswith("to do: ")
    known = {
        device for device, row in rows.items() if any(line == "last image: %s, 26 h ago" % EARLIER for line in row)
    }
    assert known == {"press-02", "press-05"}
    assert lists["repeat"] == "ansible-playbook plantops.imaging.image --limit press-02,press-03,press-04,press-05"
    for warning in documents["press-01"]["warnings"]:
        assert "warning of press-01: %s" % warning[:300] in lines
    assert re.search(r"\(exit status 4\)\s*$", mail), "some were not reached, which hides that others failed"
    assert "\x1b" not in mail
    log = (night.folder / "imaging.log").read_text(encoding="utf-8").splitlines()
    for said in ("PLAY [", "TASK [", "press-01: ", *lines[:3], lines[-2]):
        found = [line for line in log if said in line]
        assert found, said
        assert all(_LINE.match(line) for line in found), "what is said has a time"

    # The page of the documentation shows this night: the same devices, ends and lists.
    shown = summary_of(block("# a mail of cron", PAGE))
    assert lists_of(shown) == lists
    for device, (row, *more) in rows_of(shown).items():
        assert len(more) == len(rows[device]) - 1, device
        assert row.split(":")[0] == rows[device][0].split(":")[0] or device == "press-01"


@pytest.mark.long
def test_a_night_without_failures_sends_no_mail(night: Night) -> None:
    night.prepare()
    command = night.command("image")
    inventory = json.loads(Path(command[2]).read_text(encoding="utf-8"))
    inventory["all"]["hosts"] = {"press-01": inventory["all"]["hosts"]["press-01"]}
    Path(command[2]).write_text(json.dumps(inventory), encoding="utf-8")
    assert night.cron("image") == ""
    assert night.documents()["press-01"]["image"]
    assert sum(path.stat().st_size for path in (night.storage / "press-01").rglob("*") if path.is_file()) > MIB


def test_the_units_of_systemd_are_valid(tmp_path: Path, need: Callable[..., None]) -> None:
    need("systemd-analyze")
    names = []
    for name in ("imaging.service", "imaging.timer", "imaging-failed.service"):
        text = block("# /etc/systemd/system/%s" % name)
        text = text.replace("%s/.venv/bin/ansible-playbook" % PLANT, "/bin/true").replace(PLANT, str(tmp_path))
        (tmp_path / name).write_text(text, encoding="utf-8")
        names.append(str(tmp_path / name))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *names],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    ours = [line for line in done.stdout.splitlines() if "imaging" in line]
    assert not ours, done.stdout
    assert done.returncode == 0, done.stdout
