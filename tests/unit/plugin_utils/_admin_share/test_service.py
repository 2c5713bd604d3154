# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service that takes no order for a while is asked again, and given up in time."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Iterator, List

import pytest
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import DeviceServiceFailed
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb.rpc import CallRefused
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb.service_control import ServiceStatus, State
from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share import service as _service
from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share.errors import Peer
from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share.service import AgentService

CANNOT_ACCEPT, NOT_RUNNING = 1061, 1062


class Service:
    """Refuses orders to stop with these codes, then stops."""

    def __init__(self, refusals: List[int]) -> None:
        self.refusals = refusals
        self.state = State.START_PENDING
        self.orders = 0

    def stop(self) -> None:
        self.orders += 1
        if self.refusals:
            raise CallRefused("stopping", self.refusals.pop())
        self.state = State.STOPPED

    def status(self) -> ServiceStatus:
        return ServiceStatus(self.state, 0, 0, 7)


def agent_service(service: Service, monkeypatch: pytest.MonkeyPatch) -> AgentService:
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    @contextmanager
    def opened(dummy: Any) -> Iterator[Service]:
        yield service

    monkeypatch.setattr(_service, "time", SimpleNamespace(monotonic=lambda: clock[0], sleep=sleep))
    monkeypatch.setattr(AgentService, "_service", opened)
    share: Any = SimpleNamespace(peer=Peer("pc", "10.0.0.1", "u", "C$"))
    return AgentService(share)


def test_a_service_that_starts_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service([CANNOT_ACCEPT] * 5)
    agent_service(service, monkeypatch).stop()
    assert (service.state, service.orders) == (State.STOPPED, 6)


def test_an_order_that_was_taken_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service([])
    agent_service(service, monkeypatch).stop()
    assert service.orders == 1
    stopped = Service([NOT_RUNNING])
    stopped.state = State.STOPPED
    agent_service(stopped, monkeypatch).stop()
    assert stopped.orders == 1


def test_a_service_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceServiceFailed):
        agent_service(Service([CANNOT_ACCEPT] * 10_000), monkeypatch).stop()
