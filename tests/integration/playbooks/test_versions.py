# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README promises versions: the main job runs with the oldest and the newest of them, its secrets kept as people keep them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict

import pytest
from support import versions
from support.playbooks import ROOT, Site
from support.sftp_server import SftpServer
from support.versions import Environment

VAULT_PASSWORD = "the-password-of-the-vault-12"
PASSWORD = "correct-horse-battery-staple-47"


def sealed(environment: Environment, folder: Path, secret: str) -> str:
    """``secret`` as ``ansible-vault encrypt_string`` writes it into a file of variables."""
    done = subprocess.run(
        [
            str(environment.programs / "ansible-vault"),
            "encrypt_string",
            "--vault-password-file",
            str(folder / "vault"),
            "--stdin-name",
            "x",
        ],
        input=secret,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert lines[0] == "x: !vault |"
    return "\n".join(lines[1:])


class VaultSite(Site):
    """A device whose inventory is YAML, with every secret sealed: in place, or as a variable that a template names."""

    def __init__(self, folder: Path, environment: Environment, server: SftpServer, in_place: bool) -> None:
        super().__init__(folder)
        self.programs = environment.programs
        (folder / "vault").write_text(VAULT_PASSWORD + "\n", encoding="ascii")
        (folder / "disk.raw").write_bytes(bytes(range(256)) * 8192)
        secrets: Dict[str, str] = {
            "password": sealed(environment, folder, PASSWORD),
            "key": sealed(environment, folder, server.key.read_text(encoding="ascii")),
        }
        settings: Dict[str, Any] = server.settings(private_key_file=None)
        lines = ["all:", "  hosts:", "    pc-1: {ansible_connection: local}", "  vars:"]
        if not in_place:
            lines += self._block(4, "vault_key", secrets["key"]) + self._block(4, "vault_password", secrets["password"])
        lines += ["    imaging_storage:", *("      %s: '%s'" % pair for pair in sorted(settings.items()))]
        if in_place:
            lines += self._block(6, "private_key", secrets["key"])
            lines += self._block(4, "imaging_password", secrets["password"])
        else:
            lines += ["      private_key: '{{ vault_key }}'", "    imaging_password: '{{ vault_password }}'"]
        lines += ["    imaging_device_alias: t", "    imaging_drives: ['%s']" % (folder / "disk.raw")]
        lines += ["    imaging_restore_map: {disk0: '%s'}" % (folder / "restored.raw")]
        (folder / "site.yml").write_text("\n".join(lines) + "\n", encoding="utf-8")

    @staticmethod
    def _block(indent: int, name: str, text: str) -> list[str]:
        space = " " * indent
        return [space + name + ": !vault |", *(space + "  " + line for line in text.splitlines())]

    def command(self, playbook: str, *arguments: str) -> list[str]:
        return [
            str(self.programs / "ansible-playbook"),
            "-i",
            str(self.folder / "site.yml"),
            "--vault-password-file",
            str(self.folder / "vault"),
            "plantops.imaging.%s" % playbook,
            *arguments,
        ]


def main_job(folder: Path, environment: Environment, server: SftpServer, in_place: bool) -> None:
    """Image, verify, restore; the disk comes back, and no secret is in anything that was printed."""
    site = VaultSite(folder, environment, server, in_place)
    key = server.key.read_text(encoding="ascii").splitlines()[2]
    for playbook in ("storage_check", "image", "image", "verify", "restore"):
        if playbook == "restore":
            (folder / "disk.raw").rename(folder / "imaged.raw")
        played = site.play(playbook, "-vvv")
        assert played.status == 0, played.output[-4000:]
        for secret in (PASSWORD, key, VAULT_PASSWORD):
            assert secret not in played.output
        warnings = [line for line in played.output.splitlines() if "DEPRECAT" in line]
        assert not [line for line in warnings if "plantops" in line or "imaging" in line], warnings
    assert (folder / "restored.raw").read_bytes() == (folder / "imaged.raw").read_bytes()
    manifests = list((server.root / "t_pc-1").glob("20*/image.json"))
    assert len(manifests) == 2
    assert all('"key_id": ""' not in path.read_text(encoding="ascii") for path in manifests), "an image in clear"


@pytest.mark.parametrize(
    ("environment", "in_place"),
    [
        pytest.param(versions.oldest_environment, True, id="oldest_environment-inline"),
        pytest.param(versions.oldest_environment, False, id="oldest_environment-template", marks=pytest.mark.long),
        pytest.param(versions.newest_environment, True, id="newest_environment-inline", marks=pytest.mark.long),
        pytest.param(versions.newest_environment, False, id="newest_environment-template"),
    ],
)
def test_the_main_job(
    tmp_path: Path, server: SftpServer, environment: Callable[[], Environment], in_place: bool
) -> None:
    main_job(tmp_path / "site", environment(), server, in_place)


@pytest.mark.long
@pytest.mark.parametrize("in_place", [True, False], ids=["inline", "template"])
@pytest.mark.parametrize("minor", range(versions.OLDEST_ANSIBLE[1] + 1, versions.NEWEST_ANSIBLE[1]))
def test_the_main_job_in_between(tmp_path: Path, server: SftpServer, minor: int, in_place: bool) -> None:
    main_job(tmp_path / "site", versions.of_ansible((2, minor)), server, in_place)


PRECEDENCE = """
- hosts: localhost
  gather_facts: false
  vars_files: ["{role}/vars/main.yml"]
  vars:
    imaging_job: daily
    imaging_storage: {{url: /site}}
    imaging_storage_operator: {{}}
    imaging_copy_storage: {{}}
    imaging_jobs:
      - name: daily
        storage:
          url: /daily
          private_key: {sealed}
    operator:
      username: operator
      password: {sealed}
    expected: "{expected}"
  tasks:
    - ansible.builtin.assert:
        that:
          - __imaging_storage.private_key == expected
          - __imaging_operator_storage.private_key == expected
          - __imaging_misspelt_keys == []
      no_log: true
    - ansible.builtin.assert:
        that:
          - __imaging_operator_storage.password == expected
          - __imaging_operator_storage.url == '/site'
          - "'private_key' not in __imaging_operator_storage"
      vars:
        imaging_job: ''
        imaging_storage: {{url: /site, private_key: of the device}}
        imaging_storage_operator: "{{{{ operator }}}}"
      no_log: true
"""


@pytest.mark.parametrize("environment", [versions.oldest_environment, versions.newest_environment])
def test_secrets_that_are_sealed_inside_jobs_and_storages(
    tmp_path: Path, environment: Callable[[], Environment]
) -> None:
    """Whoever decides which value holds hands it on sealed; a task gets it opened, quotes and lines as they were."""
    made = environment()
    (tmp_path / "vault").write_text(VAULT_PASSWORD + "\n", encoding="ascii")
    block = sealed(made, tmp_path, "se'cr\"et\nline two")
    text = PRECEDENCE.format(
        role=ROOT / "roles" / "imaging",
        sealed="!vault |\n" + "\n".join(" " * 12 + line for line in block.splitlines()),
        expected="se'cr\\\"et\\nline two",
    )
    (tmp_path / "play.yml").write_text(text, encoding="utf-8")
    (tmp_path / "group_vars").mkdir()  # the role's defaults, below the play's variables
    shutil.copy(ROOT / "roles" / "imaging" / "defaults" / "main.yml", tmp_path / "group_vars" / "all.yml")
    command = [str(made.programs / "ansible-playbook"), "-i", "localhost,", "-c", "local", str(tmp_path / "play.yml")]
    command += ["--vault-password-file", str(tmp_path / "vault")]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("ok: [localhost]") == 2
