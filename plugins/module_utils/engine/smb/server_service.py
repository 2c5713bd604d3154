# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server service of a Windows machine over its pipe [MS-SRVS]: where a share lies, which version answers."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from .ndr import NdrReader, NdrWriter
from .rpc import CallRefused, Interface, Pipe, RpcClient

# [MS-SRVS 1.9]
SERVER_SERVICE = Interface("srvsvc", UUID("4b324fc8-1670-01d3-1278-5a47bf6ee188"), 3)
_SHARE_INFO, _SERVER_INFO = 16, 21  # [MS-SRVS 3.1.4.10, 3.1.4.17]
_WITH_PATH = 2  # SHARE_INFO_2 [MS-SRVS 2.2.4.24]
_WITH_VERSION = 101  # SERVER_INFO_101 [MS-DTYP 2.3.12]
_MAJOR_MASK = 0xF  # the high nibble of the version tells the kind of server [MS-DTYP 2.3.12]
UNKNOWN_SHARE = 2310  # NERR_NetNameNotFound [MS-ERREF 2.2]


class ServerVersion(NamedTuple):
    """The version of Windows: 6.1 is Windows 7 and Server 2008 R2, 10.0 everything since Windows 10."""

    major: int
    minor: int


class ServerService:
    """The server service at the other end of a pipe."""

    def __init__(self, pipe: Pipe) -> None:
        self._rpc = RpcClient(pipe, SERVER_SERVICE)

    def path_of_share(self, share: str) -> str:
        """Return the folder behind a share, as the device names it. Windows reports it to administrators only.

        :raises CallRefused: UNKNOWN_SHARE, 5 (access denied).
        """
        operation = "asking for the folder behind the share %s" % share
        stub = NdrWriter().optional_string(None).string(share).numbers(_WITH_PATH).bytes()
        answer = NdrReader(self._rpc.call(_SHARE_INFO, stub, operation))
        level, pointer = answer.numbers(2)
        if not pointer:
            raise CallRefused(operation, answer.number())
        if level != _WITH_PATH:
            raise answer.invalid("level %d of a share's information" % level)
        name, dummy, remark, dummy, dummy, dummy, path, password = answer.numbers(8)
        texts = [answer.string() if given else "" for given in (name, remark, path, password)]
        code = answer.number()
        if code:
            raise CallRefused(operation, code)
        return texts[2]

    def version(self) -> ServerVersion:
        """Return the version of Windows there. :raises CallRefused:"""
        operation = "asking for the version of Windows"
        answer = NdrReader(
            self._rpc.call(_SERVER_INFO, NdrWriter().optional_string(None).numbers(_WITH_VERSION).bytes(), operation)
        )
        level, pointer = answer.numbers(2)
        if not pointer:
            raise CallRefused(operation, answer.number())
        if level != _WITH_VERSION:
            raise answer.invalid("level %d of a server's information" % level)
        dummy, name, major, minor, dummy, comment = answer.numbers(6)
        for given in (name, comment):
            if given:
                answer.string()
        code = answer.number()
        if code:
            raise CallRefused(operation, code)
        return ServerVersion(major & _MAJOR_MASK, minor)
