# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remote calls: fragments both ways, and servers that answer something else."""

from __future__ import annotations

import struct
from typing import Callable, List
from uuid import UUID

import pytest
from engine.smb.errors import Failure, SmbError
from engine.smb.rpc import CallRefused, Interface, RpcClient
from hypothesis import given, settings
from hypothesis import strategies as st
from support.windows.local_pipe import LocalPipe
from support.windows.rpc_server import UNKNOWN_OPERATION, Served

ECHO = Interface("echo", UUID("11111111-2222-3333-4444-555555555555"), 1)


def client(fragment_bytes: int = 4280, twist: Callable[[bytes], bytes] = bytes) -> RpcClient:
    served = Served(ECHO.uuid.bytes_le, 1, {3: lambda stub: stub + stub})
    return RpcClient(LocalPipe(served, fragment_bytes, twist), ECHO)


@pytest.mark.parametrize("size_bytes", [0, 1, 1400, 5000, 40000])
def test_an_answer_of_many_fragments_is_put_together(size_bytes: int) -> None:
    stub = bytes(number % 251 for number in range(size_bytes))
    assert client(1432).call(3, stub, "doubling") == stub + stub


def test_a_fault_carries_its_number() -> None:
    with pytest.raises(CallRefused) as caught:
        client().call(9, b"", "doing what is not there")
    assert caught.value.code == UNKNOWN_OPERATION


def test_another_interface_is_refused() -> None:
    served = Served(ECHO.uuid.bytes_le, 2, {})
    with pytest.raises(SmbError) as caught:
        RpcClient(LocalPipe(served), ECHO)
    assert caught.value.failure is Failure.OTHER


def test_an_endless_answer_is_given_up() -> None:
    served = Served(ECHO.uuid.bytes_le, 1, {3: lambda dummy_stub: bytes(3 << 20)})
    rpc = RpcClient(LocalPipe(served), ECHO)
    with pytest.raises(SmbError) as caught:
        rpc.call(3, b"", "asking for too much")
    assert caught.value.failure is Failure.ANSWER_INVALID


@pytest.mark.parametrize(
    "twist",
    [
        lambda packet: packet[:-1],
        lambda packet: packet + b"\0",
        lambda packet: packet[:12] + struct.pack("<I", 77) + packet[16:],
        lambda packet: b"\4" + packet[1:],
        lambda packet: packet[:4] + b"\0" + packet[5:],
        lambda packet: packet[:2] + b"\x0f" + packet[3:],
        lambda packet: packet[:3] + b"\0" + packet[4:],
        lambda packet: packet[:10] + b"\1\0" + packet[12:],
        lambda dummy_packet: b"",
    ],
)
def test_an_answer_of_another_kind_is_refused(twist: Callable[[bytes], bytes]) -> None:
    answers: List[bytes] = []

    def only_the_second(packet: bytes) -> bytes:
        answers.append(packet)
        return packet if len(answers) == 1 else twist(packet)

    rpc = client(twist=only_the_second)
    with pytest.raises(SmbError) as caught:
        rpc.call(3, b"abcd", "doubling")
    assert caught.value.failure is Failure.ANSWER_INVALID


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 90), st.integers(0, 255)), max_size=4), st.booleans())
def test_changed_bytes_give_an_answer_or_an_error_of_the_client(changes: list[tuple[int, int]], cut: bool) -> None:
    def twist(packet: bytes) -> bytes:
        changed = bytearray(packet)
        for place, value in changes:
            if place < len(changed):
                changed[place] = value
        return bytes(changed[: len(changed) // 2 if cut else None])

    try:
        answer = client(twist=twist).call(3, b"abcd", "doubling")
    except SmbError:
        return
    assert isinstance(answer, bytes)
