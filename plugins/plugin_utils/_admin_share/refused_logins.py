# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logins that a device refused in this play: none of them is tried again, so that no account is locked.

The workers of a play share nothing but the folder of its temporary files; a refusal is an empty file there.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import hashlib
import os

from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    DeviceAccountLocked,
    DeviceLoginFailed,
    EngineError,
)
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb.errors import REASONS_OF_A_SERVER


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

    def _path(self, address: str, port: int, username: str) -> str:
        """A password must not tell even its digest to a disk: the account alone counts."""
        name = "\n".join((address.casefold(), str(port), username.casefold()))
        digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
        return os.path.join(self._folder, "plantops-imaging-refused-%s" % digest[:32])


_EVERYWHERE = ("", 0)


def _is_of_domain(username: str, address: str) -> bool:
    """Whether the account is not one of the device itself, as far as its name tells."""
    domain, separator, user = username.rpartition("\\")
    if not separator:
        return "@" in user
    return domain.casefold() not in ("", ".", address.casefold(), address.casefold().partition(".")[0])
