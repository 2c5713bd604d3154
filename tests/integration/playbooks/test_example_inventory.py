# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory that users begin from: it opens, its secrets decrypt, and every variable in it is one of the role's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import yaml
from support.paths import ROOT

EXAMPLE = ROOT / "inventories" / "example"


def run(tmp_path: Path, program: str, *arguments: str) -> str:
    """Run one of Ansible's programs on the example, with the password that its comments name."""
    password = tmp_path / "vault-password"
    password.write_text("example", encoding="utf-8")
    command = [str(Path(sys.executable).parent / program), "-i", str(EXAMPLE), *arguments]
    command += ["--vault-password-file", str(password)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=str(ROOT)).stdout


def host_variables(tmp_path: Path) -> Dict[str, Any]:
    return dict(json.loads(run(tmp_path, "ansible-inventory", "--list"))["_meta"]["hostvars"])


def known_options() -> Dict[str, Dict[str, Any]]:
    text = (ROOT / "roles" / "imaging" / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    found: Dict[str, Dict[str, Any]] = {}
    for entry in yaml.safe_load(text)["argument_specs"].values():
        found.update(entry["options"])
    return found


def test_every_variable_is_one_of_the_role(tmp_path: Path) -> None:
    options = known_options()
    hosts = host_variables(tmp_path)
    assert len(hosts) == 8
    for host, variables in hosts.items():
        for name, value in variables.items():
            if name.startswith("imaging_"):
                assert name in options, "%s of %s" % (name, host)
                assert set(value if isinstance(value, dict) else []) <= set(options[name].get("options", {}))
        jobs = options["imaging_jobs"]["options"]
        assert all(set(job) <= set(jobs) for job in variables["imaging_jobs"])


def test_lines_and_hosts_override_the_site(tmp_path: Path) -> None:
    hosts = host_variables(tmp_path)
    assert hosts["press-11"]["imaging_device_alias"] == "line1"
    assert (hosts["press-11"]["imaging_limit_io_rate"], hosts["robot-21"]["imaging_limit_io_rate"]) == (20, 2)
    assert (hosts["press-11"]["imaging_keep"], hosts["oven-31"]["imaging_keep"]) == (7, 14)


def test_secrets_are_in_a_vault(tmp_path: Path) -> None:
    shown = run(tmp_path, "ansible", "press-11", "-m", "ansible.builtin.debug", "-a", "var=imaging_password")
    assert "make a long one of your own" in shown
    text = "".join(path.read_text(encoding="utf-8") for path in EXAMPLE.rglob("*.yml"))
    for name in ("vault_imaging_password", "vault_sudo_password", "vault_imaging_storage_key"):
        assert "%s: !vault" % name in text
    assert "make a long one of your own" not in text
