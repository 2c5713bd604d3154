# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's service on a device, over the service manager's pipe: made, started, watched, stopped, deleted.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import Callable, Iterator, Optional

from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import DeviceServiceFailed
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.windows_layout import DISPLAY, SERVICE
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb.errors import SmbError
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb.rpc import CallRefused
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb.service_control import (
    ALREADY_RUNNING,
    CANNOT_ACCEPT,
    EXISTS,
    MARKED_FOR_DELETE,
    NOT_RUNNING,
    UNKNOWN_SERVICE,
    Service,
    ServiceManager,
    ServiceStatus,
    State,
)

from .errors import manager_error, service_error
from .share import DeviceShare

_START_SECONDS = 60.0  # Windows itself gives a service 30 s to report
_STOP_SECONDS = 60.0
_DELETE_SECONDS = 30.0
_POLL_SECONDS = 0.2


class AgentService:
    """The service of one device. The manager's pipe is opened for each call: nothing keeps a deleted service alive."""

    def __init__(self, share: DeviceShare) -> None:
        self._share = share

    def status(self) -> Optional[ServiceStatus]:
        """Return what the service does, ``None`` where there is none. :raises DeviceSmbError:"""
        with self._service() as service:
            return None if service is None else service.status()

    def image_path(self) -> str:
        """Return what the service manager starts, "" where there is no service."""
        with self._service() as service:
            return "" if service is None else service.config().binary_path

    def ensure(self, image_path: str) -> None:
        """Create the service, or let an existing one start this program."""
        with self._manager() as manager:
            try:
                service = manager.open(SERVICE)
            except CallRefused as refused:
                if refused.code != UNKNOWN_SERVICE:
                    raise
            else:
                service.set_binary_path(image_path)
                return
            self._create(manager, image_path)

    def start(self) -> None:
        """Start it and wait until it runs. :raises DeviceSmbError: with what Windows says, or how it ended."""
        with self._service() as service:
            if service is None:
                raise self.failed("it does not exist")
            try:
                service.start()
            except CallRefused as refused:
                if refused.code != ALREADY_RUNNING:
                    raise
        status = self._wait_for(_is_settled, _START_SECONDS)
        if status is None or status.state is not State.RUNNING:
            code = status.exit_code if status is not None else UNKNOWN_SERVICE
            if code:
                raise service_error(code, self._share.peer, SERVICE, "starting")
            raise self.failed("it ended at its start")

    def stop(self) -> None:
        """Stop it and wait until it has ended; none, or one that does not run, is as good.

        One that starts or stops takes no order: it is asked again.
        """
        end = time.monotonic() + _STOP_SECONDS
        has_taken = self._ask_to_stop()
        while True:
            status = self.status()
            if status is None or status.state is State.STOPPED:
                return
            if time.monotonic() > end:
                raise self.failed("it does not stop")
            time.sleep(_POLL_SECONDS)
            has_taken = has_taken or self._ask_to_stop()

    def _ask_to_stop(self) -> bool:
        """Return whether it has taken the order, or needs none."""
        with self._service() as service:
            if service is None:
                return True
            try:
                service.stop()
            except CallRefused as refused:
                if refused.code not in (NOT_RUNNING, CANNOT_ACCEPT):
                    raise
                return refused.code == NOT_RUNNING
        return True

    def delete(self) -> bool:
        """Delete it; return whether it was there. :raises DeviceServiceFailed: when a program has it open."""
        with self._service() as service:
            if service is None:
                return False
            try:
                service.delete()
            except CallRefused as refused:
                if refused.code != MARKED_FOR_DELETE:
                    raise
        if self._wait_for(lambda status: status is None, _DELETE_SECONDS) is not None:
            raise service_error(MARKED_FOR_DELETE, self._share.peer, SERVICE, "deleting")
        return True

    def _create(self, manager: ServiceManager, image_path: str) -> None:
        end = time.monotonic() + _DELETE_SECONDS
        while True:
            try:
                manager.create(SERVICE, DISPLAY, image_path)
                return
            except CallRefused as refused:
                # One that was deleted a moment ago may be held by a program that looks at it.
                if refused.code not in (MARKED_FOR_DELETE, EXISTS) or time.monotonic() > end:
                    raise
            time.sleep(_POLL_SECONDS)

    def _wait_for(
        self, is_reached: Callable[[Optional[ServiceStatus]], bool], seconds: float
    ) -> Optional[ServiceStatus]:
        """Return the status that is waited for, or the last one of so many seconds."""
        end = time.monotonic() + seconds
        while True:
            status = self.status()
            if is_reached(status) or time.monotonic() > end:
                return status
            time.sleep(_POLL_SECONDS)

    @contextmanager
    def _manager(self) -> Iterator[ServiceManager]:
        try:
            with self._share.pipe("svcctl") as pipe:
                yield ServiceManager(pipe)
        except SmbError as error:
            raise manager_error(error, self._share.peer, SERVICE) from None

    @contextmanager
    def _service(self) -> Iterator[Optional[Service]]:
        with self._manager() as manager:
            service = None
            try:
                service = manager.open(SERVICE)
            except CallRefused as refused:
                if refused.code not in (UNKNOWN_SERVICE, MARKED_FOR_DELETE):
                    raise
            yield service

    def failed(self, reason: str) -> DeviceServiceFailed:
        """Return the error for what this service does not do."""
        peer = self._share.peer
        return DeviceServiceFailed(device=peer.device, service=SERVICE, reason=reason, base=peer.base)


def _is_settled(status: Optional[ServiceStatus]) -> bool:
    """Whether a service that was started runs, or has ended."""
    return status is None or status.state in (State.RUNNING, State.STOPPED)
