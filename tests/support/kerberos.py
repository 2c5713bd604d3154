# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real key distribution centre (MIT) on loopback, with a realm, users and service keys of its own in a directory."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Dict, Iterator, Optional

from .ports import free_port

REALM = "PLANT.TEST"
USER_PASSWORD = "Kerberos word 5"

_CLIENT = """
[libdefaults]
  default_realm = {realm}
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
  udp_preference_limit = 1
[realms]
  {realm} = {{
    kdc = 127.0.0.1:{port}
  }}
[domain_realm]
  localhost = {realm}
"""
_SERVER = """
[kdcdefaults]
  kdc_listen = 127.0.0.1:{port}
  kdc_tcp_listen = 127.0.0.1:{port}
[realms]
  {realm} = {{
    database_name = {folder}/principal
    key_stash_file = {folder}/stash
    acl_file = {folder}/acl
    max_life = 1h
    disable_pac = true
  }}
"""


class Kdc:
    """``environment`` leads programs, and this process while :meth:`used` lasts, to this realm and to no other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        words = {"realm": REALM, "port": self.port, "folder": folder}
        (folder / "krb5.conf").write_text(_CLIENT.format(**words), encoding="utf-8")
        (folder / "kdc.conf").write_text(_SERVER.format(**words), encoding="utf-8")
        self.tickets = folder / "tickets"
        self.environment: Dict[str, str] = {
            "KRB5_CONFIG": str(folder / "krb5.conf"),
            "KRB5_KDC_PROFILE": str(folder / "kdc.conf"),
            "KRB5CCNAME": "FILE:%s" % self.tickets,
        }
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._run("kdb5_util", "create", "-r", REALM, "-s", "-P", "the master's password")

    def _run(self, *command: str, given: str = "") -> None:
        environment = dict(os.environ, **self.environment)
        done = subprocess.run(
            command,
            env=environment,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise AssertionError("%s: %s" % (command[0], done.stdout))

    def add_user(self, name: str, password: str = USER_PASSWORD) -> None:
        self._run("kadmin.local", "-r", REALM, "addprinc", "-pw", password, name)

    def service_keys(self, principal: str) -> Path:
        """Make a service and return the file of its keys."""
        keys = self.folder / "service.keytab"
        self._run("kadmin.local", "-r", REALM, "addprinc", "-randkey", principal)
        self._run("kadmin.local", "-r", REALM, "ktadd", "-k", str(keys), principal)
        return keys

    def log_in(self, name: str, password: str = USER_PASSWORD, lifetime: str = "1h") -> None:
        self._run("kinit", "-l", lifetime, name, given=password + "\n")

    def log_out(self) -> None:
        self.tickets.unlink(missing_ok=True)

    def start(self) -> None:
        environment = dict(os.environ, **self.environment)
        with open(self.folder / "kdc.log", "ab") as output:
            self._process = subprocess.Popen(
                ["krb5kdc", "-n", "-r", REALM], env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        deadline = time.monotonic() + 20
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise AssertionError((self.folder / "kdc.log").read_text(errors="replace"))
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        """Let this process find the realm and its tickets."""
        before = {name: os.environ.get(name) for name in self.environment}
        os.environ.update(self.environment)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


@contextlib.contextmanager
def kdc(folder: Path) -> Iterator[Kdc]:
    """A running centre, whose realm this process uses meanwhile."""
    centre = Kdc(folder)
    centre.start()
    try:
        with centre.used():
            yield centre
    finally:
        centre.stop()
