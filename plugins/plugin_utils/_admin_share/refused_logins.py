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


class RefusedLogins:
    """Remembers refusals in ``folder`` until the play ends and Ansible deletes it."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def add(self, address: str, port: int, username: str) -> None:
        with open(self._path(address, port, username), "w", encoding="ascii"):
            return

    def has(self, address: str, port: int, username: str) -> bool:
        return os.path.exists(self._path(address, port, username))

    def _path(self, address: str, port: int, username: str) -> str:
        """A password must not tell even its digest to a disk: the account alone counts."""
        name = "\n".join((address.casefold(), str(port), username.casefold()))
        digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
        return os.path.join(self._folder, "plantops-imaging-refused-%s" % digest[:32])
