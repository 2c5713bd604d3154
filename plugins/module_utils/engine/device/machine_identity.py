# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The identity of a machine, and the document ``device-id.json`` that holds that of a directory's owner."""

from __future__ import annotations

from typing import NamedTuple

from ..image.format import checked, documents
from ..names import is_valid_name

FORMAT = "plantops.imaging device"
MAX_BYTES = 64 << 10


class MachineIdentity(NamedTuple):
    """Identifies a machine; "" if unknown."""

    smbios_uuid: str
    machine_id: str

    @property
    def is_known(self) -> bool:
        return bool(self.smbios_uuid or self.machine_id)

    def same_machine(self, other: MachineIdentity) -> bool:
        """One known part that agrees is enough: a new system disk changes the machine id, not the SMBIOS UUID."""
        if self.smbios_uuid and other.smbios_uuid:
            return self.smbios_uuid == other.smbios_uuid
        return bool(self.machine_id) and self.machine_id == other.machine_id


class NamesAnother(ValueError):
    """The document is that of another directory, ``named``: this one was moved or copied on the storage."""

    def __init__(self, named: str, owner: MachineIdentity) -> None:
        super().__init__("it is that of the device %s" % named)
        self.named = named
        self.owner = owner


def parse_identity(data: bytes, device: str) -> MachineIdentity:
    """Return the owner of the directory ``device``.

    :raises NamesAnother: when the document is intact and names another directory.
    :raises ValueError: for any other document.
    """
    document = checked.decode(data)
    named = document.get("device")
    if document.get("format") != FORMAT or not isinstance(named, str):
        raise ValueError("it is another document")
    owner = MachineIdentity(documents.text(document, "smbios_uuid"), documents.text(document, "machine_id"))
    if named != device:
        raise NamesAnother(named, owner) if is_valid_name(named) else ValueError("it is another document")
    return owner
