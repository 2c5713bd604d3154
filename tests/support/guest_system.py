# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is compared between a guest whose system is imaged while it works and the machine that its restored disk makes."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

from .guest import Guest

_LOAD = Path(__file__).parent / "guest_load.py"
_QUIET = "/etc /usr/bin /usr/sbin /usr/lib/python3.11 /root/quiet /boot/efi"
_DATABASES = {"/var/lib/facts.db": "/run/root.count", "/data/facts.db": "/run/data.count"}
_ASK = (
    'import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); print(*c.execute("select count(*), max(number) from facts").fetchone(),'
    ' c.execute("select total from sums").fetchone()[0], c.execute("pragma integrity_check").fetchone()[0])'
)


def snapshots(guest: Guest) -> List[str]:
    """The names of the snapshots that runs have made."""
    names = guest.run("lvs --noheadings -o lv_name").split()
    return [name for name in names if name.startswith("plantops_")]


def wait_for_snapshots(guest: Guest, goes_on: Callable[[], bool], count: int = 2, seconds: float = 600) -> List[str]:
    """Wait until a run has its snapshots and reads."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and goes_on():
        found = snapshots(guest)
        if len(found) == count:
            return found
    raise AssertionError("the run made no snapshots")


class SystemUnderLoad:
    """A guest with two databases that grow all the time, one on each of its volumes, and files that stand still."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._loads: List[subprocess.Popen[bytes]] = []
        self.hashes = ""
        self.machine_id = ""
        self.before: Dict[str, int] = {}
        self.after: Dict[str, int] = {}

    def start(self) -> None:
        self._guest.put(_LOAD, "/run")
        self._guest.run(
            "mkdir -p /root/quiet; for n in 1 2 3; do head -c 1000000 /dev/urandom > /root/quiet/$n; done; sync"
        )
        for database, count in _DATABASES.items():
            words = "echo $$ >> /run/loads; exec python3 /run/guest_load.py %s %s %s.load" % (database, count, database)
            self._loads.append(self._guest.popen(words))
        deadline = time.monotonic() + 60
        while self._guest.run("ls %s 2>/dev/null || true" % " ".join(_DATABASES.values())).count("\n") < 2:
            assert time.monotonic() < deadline, "the load does not begin"

    def counts(self) -> Dict[str, int]:
        return {name: int(self._guest.run("cat " + name)) for name in _DATABASES.values()}

    def note_quiet_files(self) -> None:
        """Hash what stands still. /etc/lvm/backup is LVM's own: any of its tools, and every boot, may write it anew."""
        find = "find %s -type f -not -path '/etc/lvm/backup/*' -print0" % _QUIET
        self.hashes = self._guest.run("sync; %s | sort -z | xargs -0 sha256sum" % find)
        assert self.hashes.count("\n") > 1000
        self.machine_id = self._guest.run("cat /etc/machine-id")
        self.before = self.counts()

    def note_moment_after_the_snapshots(self) -> None:
        self.after = self.counts()

    def is_at_work(self) -> bool:
        """Whether both databases grew since the snapshots."""
        return all(self.after[name] < now for name, now in self.counts().items())

    def stop(self) -> None:
        for load in self._loads:
            load.kill()
            load.wait()
        self._guest.run("kill $(cat /run/loads); rm /run/loads")

    def assert_is(self, again: Guest) -> None:
        """The machine that booted from the restored disk is this one at the moment of the snapshots."""
        assert "login:" in again.console_text()
        assert again.run("cat /etc/machine-id") == self.machine_id
        again.run("cat > /run/hashes", data=self.hashes.encode())
        assert again.run("sha256sum --quiet -c /run/hashes 2>&1", check=False) == ""
        assert not snapshots(again)
        for database, count in _DATABASES.items():
            answer: Any = again.run("python3 -c '%s' %s" % (_ASK, database)).split()
            rows, highest, total, whole = answer
            assert whole == "ok"
            assert rows == highest
            assert int(total) == int(rows) * (int(rows) + 1) // 2
            assert self.before[count] <= int(rows) <= self.after[count] + 1
