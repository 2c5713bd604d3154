# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls to a service manager: bytes as impacket 0.13.1 makes and reads them, states, refusals."""

from __future__ import annotations

import struct
from typing import Any, Dict, List, Tuple

import pytest
from engine.smb.errors import Failure, SmbError
from engine.smb.rpc import CallRefused
from engine.smb.service_control import EXISTS, UNKNOWN_SERVICE, Service, ServiceManager, State
from support.windows.local_pipe import LocalPipe
from support.windows.rpc_server import Served
from support.windows.service_control_pipe import UUID_OF_SVCCTL, ServiceControlPipe

HANDLE = bytes(range(20))
H = HANDLE.hex()
# What impacket's structures give for the same calls; its random pointers and padding are 0x20000 and zero here.
NAME = "0400000000000000040000006f00640064000000"
REQUESTS = {
    15: "000000000000000003000000",
    16: H + NAME + "37000100",
    12: H
    + NAME
    + "0000020009000000000000000900000"
    + "04f006400640020006e0061006d0065000000000037000100100000000200000001000000"
    + "0d000000000000000d00000043003a005c006100200062005c0063002e0065007800650000000000"
    + "00" * 28,
    11: H
    + "ffffffff02000000ffffffff"
    + "0000020009000000000000000900000043003a005c0078002e0065007800650000000000"
    + "00" * 32,
    19: H + "0000000000000000",
    1: H + "01000000",
    17: H + "00200000",
    40: H + "0000000024000000",
    2: H,
    0: H,
}
CONFIG = (
    "1000000002000000010000000000020000000000000000000400020008000200"
    "0c0002000d000000000000000d00000043003a005c006100200062005c0063002e0065007800650000000000"
    "0600000000000000060000005200700063005300730000000c000000000000000c0000004c006f00630061006c00530079007300740065006d00"
    "00000400000000000000040000004f00640064000000" + "0000000000000000"
)


class Recorded:
    """Answers each operation as told and keeps what was asked."""

    def __init__(self, **answers: bytes) -> None:
        self.asked: Dict[int, bytes] = {}
        self._answers = {0: bytes(24), 15: HANDLE + bytes(4), 16: HANDLE + bytes(4), 12: bytes(4) + HANDLE + bytes(4)}
        self._answers.update({1: bytes(32), 2: bytes(4), 11: bytes(8), 19: bytes(4), 17: bytes.fromhex(CONFIG)})
        self._answers[40] = struct.pack("<I9III", 36, 16, 4, 1, 0, 0, 0, 0, 77, 0, 0, 0)
        self._answers.update({int(name[1:]): answer for name, answer in answers.items()})

    def manager(self) -> ServiceManager:
        def operation(number: int) -> Any:
            def answer(stub: bytes) -> bytes:
                self.asked[number] = stub
                return self._answers[number]

            return answer

        return ServiceManager(LocalPipe(Served(UUID_OF_SVCCTL, 2, {one: operation(one) for one in self._answers})))


def test_every_call_is_the_bytes_of_the_specification() -> None:
    recorded = Recorded()
    manager = recorded.manager()
    service = manager.create("odd", "Odd name", "C:\\a b\\c.exe")
    manager.open("odd").set_binary_path("C:\\x.exe")
    service.start()
    service.status()
    config = service.config()
    service.stop()
    service.delete()
    service.close()
    assert {number: stub.hex() for number, stub in recorded.asked.items()} == REQUESTS
    assert (config.binary_path, config.account, config.display_name) == ("C:\\a b\\c.exe", "LocalSystem", "Odd")
    assert (config.service_type, config.start_type) == (16, 2)


def test_a_status_tells_state_process_and_exit() -> None:
    answer = struct.pack("<I9III", 36, 16, 1, 1, 1066, 5, 0, 0, 0, 0, 0, 0)
    status = Recorded(_40=answer).manager().open("odd").status()
    assert (status.state, status.exit_code, status.service_exit_code) == (State.STOPPED, 1066, 5)


def test_each_refusal_keeps_its_number() -> None:
    recorded = Recorded(_16=bytes(20) + struct.pack("<I", 1060), _12=bytes(24) + struct.pack("<I", 1073))
    manager = recorded.manager()
    for call, code in ((manager.open, UNKNOWN_SERVICE), (lambda name: manager.create(name, name, "x"), EXISTS)):
        with pytest.raises(CallRefused) as caught:
            call("odd")  # type: ignore[operator]
        assert caught.value.code == code
    with pytest.raises(CallRefused) as caught:
        Recorded(_15=bytes(20) + struct.pack("<I", 5)).manager()
    assert (caught.value.code, caught.value.failure) == (5, Failure.DENIED)


@pytest.mark.parametrize(
    ("number", "answer", "ask"),
    [
        (40, struct.pack("<I9III", 36, 16, 99, 1, 0, 0, 0, 0, 0, 0, 0, 0), Service.status),
        (40, struct.pack("<I", 0xFFFFFFFF) + bytes(60), Service.status),
        (40, bytes(3), Service.status),
        (17, bytes.fromhex(CONFIG)[:70], Service.config),
        (19, b"", Service.start),
        (1, bytes(28), Service.stop),
    ],
)
def test_an_answer_that_does_not_fit_is_refused(number: int, answer: bytes, ask: Any) -> None:
    service = Recorded(**{"_%d" % number: answer}).manager().open("odd")
    with pytest.raises(SmbError) as caught:
        ask(service)
    assert caught.value.failure is Failure.ANSWER_INVALID


class OneService:
    """A manager with one service, for the double's pipe."""

    def __init__(self) -> None:
        self.path = ""
        self.calls: List[str] = []

    def call(self, do: str, name: str, **more: Any) -> Tuple[int, List[int], Dict[str, Any]]:
        self.calls.append(do)
        self.path = more.get("path", self.path)
        return (0 if self.path else 1060), [16, 4, 1, 0, 0, 0, 0, 12, 0], {"path": self.path, "display": name}


def test_the_pipe_of_the_double_understands_the_client() -> None:
    one = OneService()
    manager = ServiceManager(LocalPipe(ServiceControlPipe(one).served()))
    with pytest.raises(CallRefused):
        manager.open("odd")
    service = manager.create("odd", "Odd name", "C:\\c.exe")
    service.start()
    assert service.config().binary_path == "C:\\c.exe"
    assert service.status().process_id == 12
    service.set_binary_path("C:\\d.exe")
    assert one.path == "C:\\d.exe"
    service.stop()
    service.delete()
    manager.close()
    assert one.calls == ["open", "create", "start", "config", "query", "change", "stop", "delete"]
