# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logins that a device refused in this play: none of them is tried again, so that no account is locked.

The workers of a play share nothing but the folder of its temporary files; a refusal is an empty file there.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from contextlib import contextmanager
from typing import Iterator

from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    DeviceAccountLocked,
    DeviceLoginFailed,
    EngineError,
)
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb.errors import REASONS_OF_A_SERVER

_TURN_SECONDS = 30.0  # a device that is off must not keep the others waiting for longer
_TURN_PAUSE_SECONDS = 0.1
_EVERYWHERE = ("", 0)
_ACCEPTED = ("", 1)
_TURN = ("", 2)


class RefusedLogins:
    """Remembers refusals in ``folder`` until the play ends and Ansible deletes it."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def add(self, address: str, port: int, username: str, error: EngineError) -> None:
        """Remember a refusal. A wrong password of a domain is wrong on every device of it."""
        is_of_account = isinstance(error, DeviceAccountLocked) or (
            isinstance(error, DeviceLoginFailed) and error.fields.get("reason") not in REASONS_OF_A_SERVER
        )
        place = _EVERYWHERE if is_of_account and _is_of_domain(username, address) else (address, port)
        with open(self._path(*place, username), "w", encoding="ascii"):
            return

    def has(self, address: str, port: int, username: str) -> bool:
        """Whether a login must not be tried. An account of a domain counts on all devices."""
        places = [(address, port), _EVERYWHERE] if _is_of_domain(username, address) else [(address, port)]
        return any(os.path.exists(self._path(*place, username)) for place in places)

    @contextmanager
    def turn(self, address: str, username: str) -> Iterator[None]:
        """Let the workers of a play log in one after the other with an account of a domain, until a login has succeeded.

        Otherwise as many of them as there are forks would try a wrong password at the same time.
        """
        accepted = self._path(*_ACCEPTED, username)
        if not _is_of_domain(username, address) or os.path.exists(accepted):
            yield
            return
        with open(self._path(*_TURN, username), "w", encoding="ascii") as turn:
            end = time.monotonic() + _TURN_SECONDS
            while not _locked(turn.fileno()) and not os.path.exists(accepted) and time.monotonic() < end:
                time.sleep(_TURN_PAUSE_SECONDS)
            yield
        with open(accepted, "w", encoding="ascii"):
            return

    def _path(self, address: str, port: int, username: str) -> str:
        """A password must not tell even its digest to a disk: the account alone counts."""
        name = "\n".join((address.casefold(), str(port), username.casefold()))
        digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
        return os.path.join(self._folder, "plantops-imaging-refused-%s" % digest[:32])


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_of_domain(username: str, address: str) -> bool:
    """Whether the account is not one of the device itself, as far as its name tells."""
    domain, separator, user = username.rpartition("\\")
    if not separator:
        return "@" in user
    return domain.casefold() not in ("", ".", address.casefold(), address.casefold().partition(".")[0])
