# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook that checks an inventory: exit status, reports, and no password of a vault."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from xml.etree import ElementTree

from support.paths import ROOT
from support.playbooks import Played, Site

SECRET = "correct-horse-battery-staple"
SEALED_FILE = "$ANSIBLE_VAULT;1.1;AES256\n63333066\n"


def validate(tmp_path: Path, inventory: Path, *arguments: str) -> Played:
    site = Site(tmp_path / "site")
    done = subprocess.run(
        [str(site.programs / "ansible-playbook"), "-i", str(inventory), "plantops.imaging.validate", *arguments],
        cwd=str(ROOT),
        env=site.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Played(done.returncode, done.stdout, [])


def plant(folder: Path, settings: str) -> Path:
    (folder / "group_vars" / "all").mkdir(parents=True)
    (folder / "hosts").write_text("[line1]\npress-[11:12]\n", encoding="utf-8")
    (folder / "group_vars" / "all" / "settings.yml").write_text(settings, encoding="utf-8")
    (folder / "group_vars" / "all" / "vault.yml").write_text(SEALED_FILE, encoding="utf-8")
    return folder


def test_the_example_is_valid_without_the_password_of_its_vault(tmp_path: Path) -> None:
    played = validate(tmp_path, ROOT / "inventories" / "example")
    assert played.status == 0, played.output
    assert "0 errors, 0 warnings" in played.output


def test_a_vaulted_file_is_named_and_no_error(tmp_path: Path) -> None:
    folder = plant(tmp_path / "plant", "imaging_storage: {url: /images}\nimaging_password: '{{ vault_password }}'\n")
    played = validate(tmp_path, folder)
    assert played.status == 0, played.output
    assert str(folder / "group_vars" / "all" / "vault.yml") in played.output
    assert "0 errors, 1 warnings" in played.output


def test_errors_end_with_a_status_and_both_reports(tmp_path: Path) -> None:
    text = "imaging_storage: {url: /images}\nimaging_kep: 7\nimaging_password: %s\n" % SECRET
    folder = plant(tmp_path / "plant", text)
    report = tmp_path / "report"
    played = validate(tmp_path, folder, "-e", "imaging_validate_report=%s" % report)
    assert played.status != 0
    found = json.loads(Path(str(report) + ".json").read_text(encoding="utf-8"))
    assert set(found[0]) == {"level", "code", "host", "job", "key", "file", "line", "message"}
    wrong = {(one["host"], one["key"], one["line"]) for one in found if one["level"] == "error"}
    assert wrong == {
        (host, key, line)
        for host in ("press-11", "press-12")
        for key, line in (("imaging_kep", 2), ("imaging_password", 3))
    }
    junit = Path(str(report) + ".xml").read_text(encoding="utf-8")
    suite = next(ElementTree.fromstring(junit).iter("testsuite"))
    assert (suite.get("tests"), suite.get("failures")) == ("3", "2")
    for shown in (played.output, junit, json.dumps(found)):
        assert SECRET not in shown
