# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A named pipe without a network: the server's side of remote calls in the same process."""

from __future__ import annotations

from typing import Callable, List

from support.windows.rpc_server import RpcServer, Served


class LocalPipe:
    """``twist`` changes each packet that the server sends, as a hostile one would."""

    def __init__(self, served: Served, fragment_bytes: int = 4280, twist: Callable[[bytes], bytes] = bytes) -> None:
        self._server = RpcServer(served, fragment_bytes)
        self._twist = twist
        self._answers: List[bytes] = []

    def write(self, message: bytes) -> None:
        self._answers += self._server.take(message)

    def transceive(self, message: bytes) -> bytes:
        self.write(message)
        return self.read()

    def read(self) -> bytes:
        return self._twist(self._answers.pop(0)) if self._answers else b""
