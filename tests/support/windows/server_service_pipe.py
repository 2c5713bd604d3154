# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pipe of a server service [MS-SRVS] for tests: where shares lie, and which Windows answers."""

from __future__ import annotations

import struct
from typing import Dict, Tuple
from uuid import UUID

from support.windows.rpc_server import Served, Stub, ndr_string

UUID_OF_SRVSVC = UUID("4b324fc8-1670-01d3-1278-5a47bf6ee188").bytes_le
UNKNOWN_SHARE = 2310


class ServerServicePipe:
    """``shares``: the folder on the device behind each; ``refuse_all``: an error for every question."""

    def __init__(self, shares: Dict[str, str], version: Tuple[int, int], refuse_all: int = 0) -> None:
        self._shares = {name.upper(): path for name, path in shares.items()}
        self._version = version
        self._refuse_all = refuse_all

    def served(self) -> Served:
        return Served(UUID_OF_SRVSVC, 3, {16: self._share, 21: self._server})

    def _share(self, data: bytes) -> bytes:
        stub = Stub(data)
        stub.optional_string()
        name, level = stub.string(), stub.number()
        assert level == 2
        path = self._shares.get(name.upper())
        if path is None or self._refuse_all:
            return struct.pack("<III", level, 0, self._refuse_all or UNKNOWN_SHARE)
        pointers = (0x20004, 0x80000000, 0x20008, 0, 0xFFFFFFFF, 1, 0x2000C, 0)
        body = struct.pack("<II8I", level, 0x20000, *pointers)
        return body + ndr_string(name) + ndr_string("") + ndr_string(path) + struct.pack("<I", 0)

    def _server(self, data: bytes) -> bytes:
        stub = Stub(data)
        stub.optional_string()
        level = stub.number()
        assert level == 101
        if self._refuse_all:
            return struct.pack("<III", level, 0, self._refuse_all)
        body = struct.pack("<II6I", level, 0x20000, 500, 0x20004, *self._version, 0x9003, 0x20008)
        return body + ndr_string("PC") + ndr_string("") + struct.pack("<I", 0)
