# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records of progress: what a worker sends arrives as it was, and nothing else is taken."""

from __future__ import annotations

import json
import socket
from typing import Any, Dict

import pytest
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.records import (
    MAX_RECORD_BYTES,
    Record,
    decode,
    encode,
    record_of,
)
from hypothesis import given
from hypothesis import strategies as st

RECORD = Record("uuid", "press-1", "image", "reading", 100, 42, 7, 10, 5, 2, False)


def changed(**fields: Any) -> bytes:
    return json.dumps(dict(RECORD._asdict(), **fields)).encode()


def test_a_status_of_the_agent_becomes_a_record() -> None:
    status: Dict[str, Any] = {
        "number": 3,
        "run": "image-1",
        "state": "running",
        "phase": "reading",
        "bytes_in_use": 100.0,
        "bytes_done": 42,
        "bytes_stored": 7,
        "rate_bytes_per_second": 10,
        "remaining_seconds": 5.9,
        "warnings": ["a", "b"],
    }
    assert record_of("uuid", "press-1", "image", status) == RECORD
    assert decode(encode(RECORD)) == RECORD


def test_a_status_without_figures_is_one_too() -> None:
    record = record_of("uuid", "press-1", "image", {"phase": "waiting", "remaining_seconds": None})
    assert record == Record("uuid", "press-1", "image", "waiting")
    assert record.percent is None
    assert decode(encode(record)) == record


@given(
    st.builds(
        Record,
        task=st.text(max_size=40),
        device=st.text(max_size=60),
        verb=st.sampled_from(["image", "restore"]),
        phase=st.text(max_size=40),
        bytes_in_use=st.integers(0, (1 << 63) - 1),
        bytes_done=st.integers(0, (1 << 63) - 1),
        bytes_stored=st.integers(0, (1 << 63) - 1),
        rate_bytes_per_second=st.integers(0, (1 << 63) - 1),
        remaining_seconds=st.one_of(st.none(), st.integers(0, 10**9)),
        warnings=st.integers(0, 1000),
        is_away=st.booleans(),
    )
)
def test_every_record_arrives_as_it_was(record: Record) -> None:
    assert decode(encode(record)) == record
    assert record.percent is None or 0 <= record.percent <= 100


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b"[" * 2000,
        b"x" * (MAX_RECORD_BYTES + 1),
        changed(more=1),
        json.dumps({name: value for name, value in RECORD._asdict().items() if name != "verb"}).encode(),
        changed(phase="x" * 41),
        changed(phase=None),
        changed(device="x" * 256),
        changed(device=["press-1"]),
        changed(bytes_done=-1),
        changed(bytes_done=1 << 63),
        changed(bytes_done=True),
        changed(bytes_in_use=1.5),
        changed(bytes_in_use="1"),
        changed(remaining_seconds=-1),
        changed(remaining_seconds=float("inf")),
        changed(rate_bytes_per_second=float("nan")),
        changed(warnings=["a"]),
        changed(is_away=1),
    ],
    ids=lambda data: repr(data[:30]),
)
def test_what_is_no_record_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        decode(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_record_or_a_value_error(data: bytes) -> None:
    try:
        record = decode(data)
    except ValueError:
        return
    assert isinstance(record, Record)


def test_a_phase_is_bounded_by_the_sender_and_a_name_that_is_too_long_is_not_sent() -> None:
    record = record_of("uuid", "press-1", "image", {"phase": "p" * 5000})
    assert len(record.phase) == 40
    with pytest.raises(ValueError, match="too large"):
        encode(RECORD._replace(device="\u9999" * 1000))


def test_a_record_fits_into_one_datagram_of_any_unix_socket() -> None:
    largest = Record("t" * 255, "d" * 255, "restore", "\u9999" * 40, *[(1 << 63) - 1] * 6, True)
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        one.send(encode(largest))
        assert decode(other.recv(MAX_RECORD_BYTES + 1)) == largest
