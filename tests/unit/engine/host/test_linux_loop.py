# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loop devices of a kernel that is slow to let go of pages, played by a file and a list of answers."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import List

import pytest
from engine.host import linux_loop

SET_FD, CLR_FD, SET_STATUS64, SET_BLOCK_SIZE, CONFIGURE, GET_FREE = 0x4C00, 0x4C01, 0x4C04, 0x4C09, 0x4C0A, 0x4C82


class Kernel:
    """Answers ioctl calls; the first ``busy`` ones that change a device fail as while a probe has pages of it.

    ``one_call`` is what LOOP_CONFIGURE answers: 0, or the code of an error; a kernel before 5.8 does not know it.
    """

    def __init__(self, busy: int, code: int = errno.EAGAIN, one_call: int = errno.EINVAL) -> None:
        self.busy, self.code, self.one_call = busy, code, one_call
        self.calls: List[int] = []
        self.configured: List[bytes] = []

    def ioctl(self, dummy_descriptor: int, request: int, value: object = 0) -> int:
        self.calls.append(request)
        if request == CONFIGURE:
            if self.one_call:
                raise OSError(self.one_call, os.strerror(self.one_call))
            assert isinstance(value, bytes)
            self.configured.append(value)
        if request in (SET_STATUS64, SET_BLOCK_SIZE) and self.busy:
            self.busy -= 1
            raise OSError(self.code, os.strerror(self.code))
        return 0


def attach(monkeypatch: pytest.MonkeyPatch, folder: Path, kernel: Kernel) -> str:
    loop = folder / "loop"
    loop.touch()
    real = os.open
    system = SimpleNamespace(**dict(vars(os), open=lambda dummy_path, dummy_flags: real(loop, os.O_RDWR)))
    monkeypatch.setattr(linux_loop, "os", system)
    monkeypatch.setattr(linux_loop, "importlib", SimpleNamespace(import_module=lambda dummy_name: kernel))
    monkeypatch.setattr(linux_loop, "_PAUSE_SECONDS", 0.0)
    with linux_loop.attached(0, 1 << 20, 1 << 20, 4096) as path:
        return path


def test_a_probe_of_the_system_is_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kernel = Kernel(3)
    assert attach(monkeypatch, tmp_path, kernel) == "/dev/loop0"
    assert kernel.calls == [GET_FREE, CONFIGURE, SET_FD, *[SET_STATUS64] * 4, SET_BLOCK_SIZE, SET_STATUS64, CLR_FD]


def test_a_kernel_that_can_attaches_in_one_call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No moment at which a killed process would leave a device that nobody clears."""
    kernel = Kernel(0, one_call=0)
    assert attach(monkeypatch, tmp_path, kernel) == "/dev/loop0"
    assert kernel.calls == [GET_FREE, CONFIGURE, CLR_FD]
    (config,) = kernel.configured
    assert len(config) == 304  # struct loop_config
    assert struct.unpack_from("=II", config) == (0, 4096)  # descriptor, bytes of a block
    assert struct.unpack_from("=QQ", config, 8 + 24) == (1 << 20, 1 << 20)  # lo_offset, lo_sizelimit
    assert struct.unpack_from("=I", config, 8 + 52) == (4,)  # lo_flags: LO_FLAGS_AUTOCLEAR


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTTY, errno.ENOSYS])
def test_an_older_kernel_attaches_in_steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int) -> None:
    kernel = Kernel(0, one_call=code)
    attach(monkeypatch, tmp_path, kernel)
    assert kernel.calls == [GET_FREE, CONFIGURE, SET_FD, SET_STATUS64, SET_BLOCK_SIZE, SET_STATUS64, CLR_FD]


def test_a_refusal_of_the_one_call_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kernel = Kernel(0, one_call=errno.EACCES)
    with pytest.raises(OSError) as caught:
        attach(monkeypatch, tmp_path, kernel)
    assert caught.value.errno == errno.EACCES
    assert kernel.calls == [GET_FREE, CONFIGURE]


@pytest.mark.parametrize("there", [True, False])
def test_a_container_without_the_node_can_attach_none(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    """Known before a restore writes, not when it grows the restored volume."""
    nodes = SimpleNamespace(exists=lambda path: there and path == "/dev/loop0")
    real = os.open
    changed = {"path": nodes, "access": lambda *given: True, "geteuid": lambda: 0}
    opened = {"open": lambda dummy_path, dummy_flags: real(os.devnull, os.O_RDWR)}
    monkeypatch.setattr(linux_loop, "os", SimpleNamespace(**{**vars(os), **changed, **opened}))
    monkeypatch.setattr(linux_loop, "importlib", SimpleNamespace(import_module=lambda dummy_name: Kernel(0)))
    assert linux_loop.can_attach() is there


@pytest.mark.parametrize(("busy", "code"), [(1 << 10, errno.EAGAIN), (1, errno.EINVAL)])
def test_a_device_that_is_not_changed_is_let_go(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, busy: int, code: int
) -> None:
    kernel = Kernel(busy, code)
    with pytest.raises(OSError) as caught:
        attach(monkeypatch, tmp_path, kernel)
    assert caught.value.errno == code
    assert kernel.calls[-1] == CLR_FD
