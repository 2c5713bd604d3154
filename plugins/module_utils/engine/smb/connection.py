# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection of smbprotocol that is on its guard: waits end, unsigned answers are refused, links are not followed."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from typing import Any

from .._libraries import smbprotocol
from .errors import LINK_GONE
from .transport import SmbTransport

PENDING = 0x103
_SESSION_SETUP = 1
_WRITE = 9
_SIGNED = 8
# Requests that the server may hold for us at once; 512 of 64 KiB are 32 MiB, more than 1 Gbit/s holds in 200 ms.
_CREDITS = 512
_CREDIT_POLL_SECONDS = 0.002
# The server answers only after a whole write of a MiB: 100 seconds at 10 kB/s.
_PATIENCE_WITH_WRITES = 3
# However much comes for others: an answer may have to wait for the 8 MiB of a file, 800 seconds at 10 kB/s.
_PATIENCE = 20


class AnswerUnprotected(Exception):
    """An answer came without the signature or encryption of its session."""


class RequestTimedOut(Exception):
    """The server did not answer a request in time."""


def open_connection(server: str, port: int, timeout_seconds: float) -> Any:
    """Return a negotiated ``smbprotocol.connection.Connection`` that requires signing.

    :raises OSError: when the server can't be reached.
    :raises ForeignServer: when another protocol is spoken there; SessionRefused: when it takes no sessions from this host.
    """
    logging.getLogger("smbprotocol").addHandler(logging.NullHandler())  # its own last resort writes to stderr
    connection = _guarded_class()(uuid.uuid4(), server, port, require_signing=True)
    connection.request_seconds = timeout_seconds
    try:
        connection.connect(timeout=timeout_seconds)
    except BaseException as error:
        transport = connection.transport
        if transport is not None:
            connection.disconnect(False)  # the library leaves a thread that reads, and the socket that it reads from
            # A server that speaks first and hangs up makes our request fail too: what it said is the cause.
            if transport.refusal is not None and error is not transport.refusal:
                raise transport.refusal from error
        raise
    return connection


class _Guard:
    """The layer in front of the library's class."""

    request_seconds = 60.0
    is_patient = True
    refusal: Any  # the library's exception for an answer that says no
    # The attributes of the library's class.
    outstanding_requests: Any
    sequence_window: Any
    session_table: Any
    _calculate_credit_charge: Any
    _check_worker_running: Any

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._send_lock = threading.Lock()
        self._worker = 0
        _library_of(super()).__init__(*arguments, **named)

    def _process_message_thread(self) -> None:
        self._worker = threading.get_ident()  # not every version of the library tells which thread it is
        _library_of(super())._process_message_thread()

    @property
    def transport(self) -> Any:
        return self._bounded_transport

    @transport.setter
    def transport(self, offered: Any) -> None:
        self._bounded_transport = (
            None if offered is None else SmbTransport(offered.server, offered.port, self.request_seconds)
        )

    def send(self, message: Any, sid: Any = None, tid: Any = None, credit_request: Any = None, **named: Any) -> Any:
        if threading.get_ident() == self._worker:
            return _library_of(super()).send(
                message, sid, tid, credit_request, **named
            )  # it is the one that gets credits in
        with self._send_lock:
            charge = max(1, self._calculate_credit_charge(message))
            have = self._wait_for_credits(charge)
            wanted = credit_request or charge + min(64, max(0, _CREDITS - have))
            return _library_of(super()).send(message, sid, tid, wanted, **named)

    def _wait_for_credits(self, charge: int) -> int:
        started = time.monotonic()
        while True:
            have = int(self.sequence_window["high"] - self.sequence_window["low"])
            if have >= charge:
                return have
            self._check_worker_running()
            if self._left_seconds(started, self.request_seconds) <= 0:
                raise RequestTimedOut("the server grants no credits for a request")
            time.sleep(_CREDIT_POLL_SECONDS)

    def receive(self, request: Any, wait: bool = True, timeout: Any = None, **dummy: Any) -> Any:
        """As the library's, but the time-out is one for all interim answers, and no link is ever resolved.

        On a slow line an answer may have to queue behind the megabytes of others; that alone is not a failure.
        """
        seconds = timeout or self.request_seconds
        started = time.monotonic()
        while True:
            self._check_worker_running()
            left_seconds = self._left_seconds(started, seconds)
            if left_seconds <= 0:
                raise RequestTimedOut("no response within %d seconds" % (time.monotonic() - started))
            if not request.response_event.wait(left_seconds):
                continue  # another answer may have come in the meantime
            with request.response_event_lock:
                self._check_worker_running()
                response = request.response
                status = response["status"].get_value()
                if status == PENDING and wait:
                    request.response_event.clear()
                    continue
            self.outstanding_requests.pop(request.message["message_id"].get_value(), None)
            if status not in (0, PENDING):
                raise self.refusal(response)
            return response

    def _left_seconds(self, started: float, seconds: float) -> float:
        """How long to wait on for what was asked at ``started`` before the link counts as dead."""
        now = time.monotonic()
        if not self.is_patient:
            return started + seconds - now
        last = started + max(seconds, _PATIENCE * self.request_seconds)
        heard = float(max(started, self.transport.last_arrival))
        if now >= heard + seconds and self._is_writing():
            seconds *= _PATIENCE_WITH_WRITES
        return min(heard + seconds, last) - now

    def _is_writing(self) -> bool:
        waiting = list(self.outstanding_requests.values())
        return any(request.message["command"].get_value() == _WRITE for request in waiting)

    def verify_signature(self, header: Any, session_id: Any, force: bool = False) -> None:
        """The library checks a signature where there is one [MS-SMB2 3.2.5.1.3]; here one must be there."""
        session = self.session_table.get(session_id)
        status, command = header["status"].get_value(), header["command"].get_value()
        if not force and session is not None and status != PENDING and command != _SESSION_SETUP:
            is_signed = bool(int(header["flags"].get_value()) & _SIGNED)
            if status in LINK_GONE and not is_signed:
                raise ConnectionError("the session has ended")  # who has forgotten a session can't sign for it
            if session.encrypt_data:
                raise AnswerUnprotected("a response in an encrypted session was not encrypted")
            if not is_signed:
                raise AnswerUnprotected("a response in a signed session had no signature")
        _library_of(super()).verify_signature(header, session_id, force)


def _library_of(parent: Any) -> Any:
    """The library's class behind the guard, which a type checker can't see."""
    return parent


def _guarded_class() -> Any:
    """Return the class; made on use, because its base comes from a package that may be missing."""
    base = smbprotocol("connection").Connection
    refusal = smbprotocol("exceptions").SMBResponseException
    return type("GuardedConnection", (_Guard, base), {"refusal": refusal})
