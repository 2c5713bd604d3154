# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipes of a device through a real smbd: its shares, its version, one service from creation to deletion."""

from __future__ import annotations

from typing import Iterator

import pytest
from engine.smb.errors import Failure, SmbError
from engine.smb.link import SmbLink
from engine.smb.login import SmbConnector
from engine.smb.pipes import NamedPipe, link_to_pipes
from engine.smb.rpc import CallRefused
from engine.smb.server_service import UNKNOWN_SHARE, ServerService
from engine.smb.service_control import UNKNOWN_SERVICE, ServiceManager, State
from engine.smb.unc import UncPath
from support.windows.admin_device import AdminShareDevice
from support.windows.kinds import WINDOWS_7, WINDOWS_10

SERVICE = "plantops-imaging"
PROGRAM = r"C:\windows\system32\spoolsv.exe"  # one that Wine itself runs as a service


@pytest.fixture(scope="module", params=[WINDOWS_7, WINDOWS_10], ids=lambda kind: str(kind.name))
def device(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminShareDevice]:
    with AdminShareDevice(tmp_path_factory.mktemp("device") / "prefix", request.param) as made:
        yield made
        assert not made.faults


@pytest.fixture
def pipes(device: AdminShareDevice) -> Iterator[SmbLink]:
    settings = {"port": device.port, "username": device.username, "password": device.password}
    link = SmbConnector(UncPath("127.0.0.1", "C$", ()), settings, 20).connect()
    yield link_to_pipes(link)
    link.log_off()


def test_the_server_tells_its_version_and_where_shares_lie(device: AdminShareDevice, pipes: SmbLink) -> None:
    with NamedPipe(pipes, "srvsvc") as pipe:
        server = ServerService(pipe)
        assert server.version() == ((6, 1) if device.is_old else (10, 0))
        assert server.path_of_share("C$") == "C:\\"
        assert server.path_of_share(device.other_share) == "C:\\KRC\\share"
        with pytest.raises(CallRefused) as caught:
            server.path_of_share("D$")
    assert caught.value.code == UNKNOWN_SHARE


def test_a_service_lives_from_creation_to_deletion(pipes: SmbLink) -> None:
    with NamedPipe(pipes, "svcctl") as pipe:
        manager = ServiceManager(pipe)
        service = manager.create(SERVICE, "Plantops Imaging", r"C:\windows\absent.exe")
        service.set_binary_path(PROGRAM)
        assert service.config()[1:] == (2, PROGRAM, "LocalSystem", "Plantops Imaging")
        service.start()
        assert service.status().state is State.RUNNING
        service.stop()
        assert service.status().state in (State.STOPPED, State.STOP_PENDING)
        service.delete()
        service.close()
        with pytest.raises(CallRefused) as caught:
            manager.open(SERVICE)
        manager.close()
    assert caught.value.code == UNKNOWN_SERVICE


def test_a_pipe_that_nothing_serves_is_not_found(pipes: SmbLink) -> None:
    with pytest.raises(SmbError) as caught:
        NamedPipe(pipes, "no-such-pipe")
    assert caught.value.failure is Failure.NOT_FOUND
