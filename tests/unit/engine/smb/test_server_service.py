# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls to a server service: bytes as impacket 0.13.1 makes and reads them, and refusals."""

from __future__ import annotations

import struct
from typing import Dict

import pytest
from engine.smb.errors import Failure, SmbError
from engine.smb.rpc import CallRefused
from engine.smb.server_service import UNKNOWN_SHARE, ServerService
from support.windows.local_pipe import LocalPipe
from support.windows.rpc_server import Served
from support.windows.server_service_pipe import UUID_OF_SRVSVC, ServerServicePipe

SHARE_REQUEST = "0000000003000000000000000300000043002400000000000" + "2000000"
SERVER_REQUEST = "0000000065000000"
SHARE_ANSWER = (
    "0200000023b20000829b00000000008025c3000000000000ffffffff0100000065c40000000000000300000000000000030000004300240000"
    "00abab0e000000000000000e000000440065006600610075006c007400200073006800610072006500000004000000000000000400000043003a"
    "005c00000000000000"
)
SERVER_ANSWER = (
    "65000000b7b80000f4010000057200000600000001000000039000002f440000030000000000000003000000500043000000abab0700000000000000"
    "070000006c0069006e006500200033000000bfbf00000000"
)


def service(answers: Dict[int, bytes]) -> ServerService:
    asked = {16: SHARE_REQUEST, 21: SERVER_REQUEST}

    def operation(number: int) -> bytes:
        return answers[number]

    def checked(number: int, stub: bytes) -> bytes:
        assert stub.hex() == asked[number]
        return operation(number)

    operations = {16: lambda stub: checked(16, stub), 21: lambda stub: checked(21, stub)}
    return ServerService(LocalPipe(Served(UUID_OF_SRVSVC, 3, operations)))


def test_answers_of_the_specification_are_read() -> None:
    asked = service({16: bytes.fromhex(SHARE_ANSWER), 21: bytes.fromhex(SERVER_ANSWER)})
    assert asked.path_of_share("C$") == "C:\\"
    assert asked.version() == (6, 1)


@pytest.mark.parametrize("length", [0, 7, 30, 60, 100, 116])
def test_a_cut_answer_is_refused(length: int) -> None:
    asked = service({16: bytes.fromhex(SHARE_ANSWER)[:length], 21: bytes.fromhex(SERVER_ANSWER)[: length // 2]})
    for ask in (lambda: asked.path_of_share("C$"), asked.version):
        with pytest.raises(SmbError) as caught:
            ask()  # type: ignore[operator]
        assert caught.value.failure is Failure.ANSWER_INVALID


def test_a_share_that_is_not_there_has_its_number() -> None:
    asked = ServerService(LocalPipe(ServerServicePipe({"C$": "C:\\"}, (10, 0)).served()))
    assert asked.path_of_share("c$") == "C:\\"
    assert asked.version() == (10, 0)
    with pytest.raises(CallRefused) as caught:
        asked.path_of_share("D$")
    assert caught.value.code == UNKNOWN_SHARE


def test_another_level_than_asked_for_is_refused() -> None:
    answer = struct.pack("<II", 1, 0x20000) + bytes(60)
    with pytest.raises(SmbError) as caught:
        service({16: answer}).path_of_share("C$")
    assert caught.value.failure is Failure.ANSWER_INVALID
