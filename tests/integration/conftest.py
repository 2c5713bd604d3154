# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several files share: servers of storages, an SFTP server for images, and the plant of a file's own ``device``."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import pytest
from support.device_plays import make_plant
from support.devices import Device, Plant
from support.sftp_server import SftpServer
from support.storage_factories import SharedServers


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpServer]:
    server = SftpServer(tmp_path / "sftp")
    server.root.mkdir(exist_ok=True)
    with server:
        yield server


@pytest.fixture
def plant(tmp_path: Path, server: SftpServer, device: Device) -> Iterator[Plant]:
    plant = make_plant(tmp_path, server, [device])
    yield plant
    plant.close()


@pytest.fixture(scope="session")
def shared_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedServers]:
    servers = SharedServers(tmp_path_factory.mktemp("servers"))
    yield servers
    servers.stop()
