# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One report of a device on its way from a worker of Ansible to the progress callback: bounded in size, checked on arrival.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import json
from typing import Any, Dict, NamedTuple, Optional

# Datagrams of this size fit into every socket's buffer by the hundred.
MAX_RECORD_BYTES = 2048
_MAX_NAME_CHARACTERS = 255
_MAX_PHASE_CHARACTERS = 40
_MAX_NUMBER = 1 << 63


class Record(NamedTuple):
    """The progress of a device. Text from the device is bounded here, and made harmless where it is drawn."""

    task: str
    device: str
    verb: str
    phase: str
    bytes_in_use: int = 0
    bytes_done: int = 0
    bytes_stored: int = 0
    rate_bytes_per_second: int = 0
    remaining_seconds: Optional[int] = None
    warnings: int = 0
    is_away: bool = False

    @property
    def percent(self) -> Optional[int]:
        """How much of the phase is done, rounded down; ``None`` in a phase without a measure."""
        if not self.bytes_in_use:
            return None
        return min(100, self.bytes_done * 100 // self.bytes_in_use)


def record_of(task: str, device: str, verb: str, status: Dict[str, Any]) -> Record:
    """Return the record of a status as docs/agent.md describes it."""
    left = status.get("remaining_seconds")
    return Record(
        task=task,
        device=device,
        verb=verb,
        phase=str(status.get("phase") or "")[:_MAX_PHASE_CHARACTERS],
        bytes_in_use=int(status.get("bytes_in_use") or 0),
        bytes_done=int(status.get("bytes_done") or 0),
        bytes_stored=int(status.get("bytes_stored") or 0),
        rate_bytes_per_second=int(status.get("rate_bytes_per_second") or 0),
        remaining_seconds=None if left is None else int(left),
        warnings=len(status.get("warnings") or []),
    )


def encode(record: Record) -> bytes:
    """Return the record as a datagram. :raises ValueError: when it is too large to be one."""
    data = json.dumps(record._asdict(), separators=(",", ":")).encode("ascii")
    if len(data) > MAX_RECORD_BYTES:
        raise ValueError("a record of %d bytes is too large" % len(data))
    return data


def decode(data: bytes) -> Record:
    """Return the record in a datagram. :raises ValueError: when there is none in it."""
    if len(data) > MAX_RECORD_BYTES:
        raise ValueError("a record of %d bytes is too large" % len(data))
    try:
        fields = json.loads(data.decode("ascii"))
    except RecursionError:
        raise ValueError("a record is nested too deeply") from None
    if not isinstance(fields, dict) or set(fields) != set(Record._fields):
        raise ValueError("a record has unexpected fields")
    for name in ("task", "device", "verb"):
        _expect(_is_text(fields[name], _MAX_NAME_CHARACTERS), name)
    _expect(_is_text(fields["phase"], _MAX_PHASE_CHARACTERS), "phase")
    for name in ("bytes_in_use", "bytes_done", "bytes_stored", "rate_bytes_per_second", "warnings"):
        _expect(_is_count(fields[name]), name)
    _expect(fields["remaining_seconds"] is None or _is_count(fields["remaining_seconds"]), "remaining_seconds")
    _expect(isinstance(fields["is_away"], bool), "is_away")
    return Record(**fields)


def _expect(fits: bool, name: str) -> None:
    if not fits:
        raise ValueError("%s of a record is malformed" % name)


def _is_text(value: Any, most: int) -> bool:
    return isinstance(value, str) and len(value) <= most


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX_NUMBER
