# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the playbook validate takes for a large inventory: ``python tests/bench/validating.py [HOSTS]``."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_LINES = 20
_SITE = """---
imaging_storage: {url: "sftp://192.0.2.2/images", username: imaging, password: "{{ vault_storage }}"}
imaging_password: "{{ vault_password }}"
imaging_jobs:
  - {name: daily, schedule: {at: "22:00", every: day}}
  - {name: monthly, keep: 12, schedule: {at: "23:00", every: month}}
"""


def plant(folder: Path, hosts: int) -> None:
    """Write an inventory in which every host has a file of its own."""
    for name in ("group_vars", "host_vars"):
        (folder / name).mkdir()
    (folder / "group_vars" / "all.yml").write_text(_SITE, encoding="utf-8")
    lines = ["---"]
    for line in range(_LINES):
        lines += ["line%d:" % line, "  hosts:"]
        lines += ["    pc-%d: {ansible_host: pc-%d.example}" % (host, host) for host in range(line, hosts, _LINES)]
        text = "---\nimaging_device_alias: line%d\n" % line
        (folder / "group_vars" / ("line%d.yml" % line)).write_text(text, encoding="utf-8")
    (folder / "hosts.yml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for host in range(hosts):
        text = "---\nimaging_keep: %d\nimaging_drives: [/dev/sda]\n" % (host % 9 + 1)
        (folder / "host_vars" / ("pc-%d.yml" % host)).write_text(text, encoding="utf-8")


def main() -> int:
    hosts = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with tempfile.TemporaryDirectory() as folder:
        plant(Path(folder), hosts)
        program = str(Path(sys.executable).parent / "ansible-playbook")
        started = time.monotonic()
        done = subprocess.run([program, "-i", folder, "plantops.imaging.validate"], cwd=str(ROOT), check=False)
        print("%d hosts in %.1f s" % (hosts, time.monotonic() - started))
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
