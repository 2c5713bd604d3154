# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection to a Windows device that offers nothing but SMB."""

from __future__ import annotations

DOCUMENTATION = r"""
name: admin_share
author: plantops.imaging contributors (@plantops)
short_description: Reach Windows devices over their administrative share
version_added: 0.2.0
description:
  - Puts and fetches files through the administrative share of a Windows device, and runs commands through the service of
    this collection's agent. Windows 7 SP1 and Server 2008 R2 and newer offer this without any preparation but an open
    firewall (File and Printer Sharing, TCP 445).
  - The agent's service is installed by this collection's own actions, such as the playbook C(plantops.imaging.agent).
    Until it is there, files can be put and fetched, and commands fail.
  - Every session is signed, and encrypted where the device offers it (SMB 3). Windows 7 has no SMB encryption, so commands
    and their output are sealed to a key of the service on every device.
options:
  remote_addr:
    description: The address of the device.
    type: str
    default: inventory_hostname
    vars:
      - name: inventory_hostname
      - name: ansible_host
      - name: ansible_admin_share_host
  port:
    description: The TCP port of SMB on the device.
    type: int
    default: 445
    vars:
      - name: ansible_port
      - name: ansible_admin_share_port
    keyword:
      - name: port
  remote_user:
    description:
      - The user to log in as, an administrator of the device, as C(domain\user), C(computer\user) or C(user@domain).
      - Windows filters the rights of local administrators over the network (remote UAC), except those of the built-in
        account Administrator (RID 500). A domain account that is a member of the local group Administrators is not filtered.
        For another local account set C(LocalAccountTokenFilterPolicy) to 1 on the device.
    type: str
    vars:
      - name: ansible_user
      - name: ansible_admin_share_user
    keyword:
      - name: remote_user
  remote_password:
    description:
      - The password of O(remote_user). A refused login is not repeated in a play, so that no account is locked; that
        of an account of a domain on no device of the play.
      - The password is used for NTLM, unless O(kerberos) is set. Without a password Kerberos is used, with a ticket that
        the controller has.
    type: str
    aliases: [password]
    vars:
      - name: ansible_password
      - name: ansible_admin_share_password
  admin_share:
    description:
      - The administrative share. It must be one that only administrators may write to.
      - The agent lives in C(Program Files\plantops-imaging) of a share that is a whole drive, or in C(plantops-imaging)
        directly in a share that is a folder.
    type: str
    default: C$
    vars:
      - name: ansible_admin_share
  admin_share_path:
    description:
      - The folder behind O(admin_share) as the device names it, for instance V(C:\\).
      - The device is asked for it unless this is set. It is proved with a marker file when the agent is installed.
    type: str
    default: ""
    vars:
      - name: ansible_admin_share_path
  require_encryption:
    description: Refuse devices that do not offer SMB encryption, such as Windows 7.
    type: bool
    default: false
    vars:
      - name: ansible_admin_share_require_encryption
  kerberos:
    description:
      - Use O(remote_password) for Kerberos, and never for NTLM. The device must then be addressed by its full name.
      - A password is used for one of both only. A wrong one would otherwise count as two or more failed logins, and lock the
        account sooner.
    type: bool
    default: false
    vars:
      - name: ansible_admin_share_kerberos
requirements:
  - The Python packages smbprotocol and cryptography on the controller; for Kerberos smbprotocol[kerberos], too.
notes:
  - C(become) has no effect. Commands run as SYSTEM.
  - Modules that need PowerShell have not been tried over this connection; the modules of this collection do not need it.
"""

import hashlib
import os
from typing import Any, Optional, Tuple

from ansible import constants
from ansible.errors import AnsibleError, AnsibleFileNotFound
from ansible.plugins.connection import ConnectionBase
from ansible.utils.display import Display
from ansible_collections.plantops.imaging.plugins.module_utils.engine.agent.service_client import LIMIT_SECONDS
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import DeviceLoginFailed, EngineError

from ..plugin_utils._admin_share.commands import CommandAnswer, Commands
from ..plugin_utils._admin_share.raising import LOGIN_ERRORS, ansible_error
from ..plugin_utils._admin_share.refused_logins import RefusedLogins
from ..plugin_utils._admin_share.share import DeviceShare, Login

display = Display()


class Connection(ConnectionBase):  # type: ignore[misc]
    """Files through the share, commands through the agent's service."""

    transport = "plantops.imaging.admin_share"
    has_pipelining = True
    has_native_async = False
    allow_executable = False
    module_implementation_preferences = (".ps1", ".exe", "")

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._shell_type = "cmd"
        self._share: Optional[DeviceShare] = None
        super().__init__(*arguments, **named)

    def share(self) -> DeviceShare:
        """Return the open share; log in where that has not happened, or the link was lost.

        :raises DeviceSmbError:
        """
        if self._share is None or self._share.is_dead:
            self._share = None
            self._share = self._log_in()
            self._connected = True
        return self._share

    def run_program(self, line: str, data: bytes = b"", seconds: int = LIMIT_SECONDS) -> CommandAnswer:
        """Have the device carry out a command line, without a shell. :raises DeviceSmbError:"""
        return Commands(self.share()).run(line, data, seconds)

    def exec_command(
        self, cmd: str, in_data: Optional[bytes] = None, sudoable: bool = True
    ) -> Tuple[int, bytes, bytes]:
        """Run a command in the device's command prompt, as SYSTEM."""
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        line = 'cmd.exe /d /s /c "%s"' % cmd
        try:
            answer = self.run_program(line, in_data or b"")
        except EngineError as error:
            raise ansible_error(error) from None
        return answer.status, answer.stdout, answer.stderr

    def put_file(self, in_path: str, out_path: str) -> None:
        """Send a file to a folder that exists, and compare what the device holds with it."""
        super().put_file(in_path, out_path)
        if not os.path.isfile(in_path):
            raise AnsibleFileNotFound("%s is not a file of the controller." % in_path)
        try:
            share = self.share()
            share.put(in_path, self._in_share(share, out_path))
        except EngineError as error:
            raise ansible_error(error) from None

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Fetch a file, and compare it with what a second reading gives."""
        super().fetch_file(in_path, out_path)
        try:
            share = self.share()
            path = self._in_share(share, in_path)
            digest = hashlib.sha256()
            with open(out_path, "wb") as file:
                for piece in share.pieces(path):
                    digest.update(piece)
                    file.write(piece)
            share.check(path, digest.hexdigest())
        except EngineError as error:
            raise ansible_error(error) from None

    def reset(self) -> None:
        """Log in again."""
        self.close()
        self._connect()

    def close(self) -> None:
        share, self._share = self._share, None
        self._connected = False
        if share is not None:
            share.close()

    def _connect(self) -> Connection:
        try:
            self.share()
        except EngineError as error:
            raise ansible_error(error) from None
        return self

    def _log_in(self) -> DeviceShare:
        login = self._login()
        where = (login.address, login.port, login.username)
        refused = RefusedLogins(constants.DEFAULT_LOCAL_TMP)
        with refused.turn(login.address, login.username):
            if refused.has(*where):
                raise DeviceLoginFailed(
                    device=login.device, username=login.username, reason="it was refused earlier in this play"
                )
            display.vvv(
                "SMB %s: log in as %s, share %s" % (login.address, login.username, login.share), host=login.device
            )
            try:
                return DeviceShare(login)
            except LOGIN_ERRORS as error:
                refused.add(*where, error)
                raise

    def _login(self) -> Login:
        address = str(self.get_option("remote_addr"))
        return Login(
            device=address,
            address=address,
            port=int(self.get_option("port")),
            username=str(self.get_option("remote_user") or ""),
            password=str(self.get_option("remote_password") or ""),
            share=str(self.get_option("admin_share")),
            folder=str(self.get_option("admin_share_path") or ""),
            must_encrypt=bool(self.get_option("require_encryption")),
            kerberos=bool(self.get_option("kerberos")),
        )

    @staticmethod
    def _in_share(share: DeviceShare, name: str) -> str:
        try:
            return share.place.in_share(name)
        except ValueError as error:
            raise AnsibleError("The file %s can't be reached over the share: %s." % (name, error)) from None
