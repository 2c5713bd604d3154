# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which machine a device's directory belongs to (rule 7)."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Dict, List, Optional

from ..entries import EntryKind
from ..errors import (
    DeviceMismatch,
    DeviceNameCollision,
    DeviceNameInvalid,
    DeviceSwapped,
    DirectoryMoved,
    StorageExists,
    StorageNotFound,
    StoragePathInvalid,
    StoragePermissionDenied,
)
from ..host.identity import machine_id, smbios_uuid
from ..image.format import checked, documents
from ..image.format import constants as fmt
from ..names import check_name
from ..storage.contract import Storage, check_is_file_or_absent
from .machine_identity import FORMAT, MAX_BYTES, MachineIdentity, NamesAnother, parse_identity
from .other_directories import directories_of

_JUNK = re.compile(r"^(0+|f+|0*3000200.*|1234.*|)$")

_MOST_TWINS = 1024
_MOST_NAMED = 3


def read_identity(root: str = "/") -> MachineIdentity:
    """Read the identity of this machine; unreadable and dummy values count as unknown."""
    smbios = smbios_uuid(root)
    if _JUNK.match(smbios.replace("-", "")):
        smbios = ""
    return MachineIdentity(smbios, machine_id(root))


def device_directory(alias: str, name: str) -> str:
    """Return ``<alias>_<name>``, or ``name`` where there is no alias.

    :raises DeviceNameInvalid: for ``localhost`` without an alias, and what a share can't hold.
    """
    if not alias and name.lower() in ("localhost", "127.0.0.1", "::1"):
        raise DeviceNameInvalid(
            device=name, reason="localhost is the same name on every device: set imaging_device_alias"
        )
    directory = unicodedata.normalize("NFC", "%s_%s" % (alias, name) if alias else name)
    try:
        check_name(directory)
    except StoragePathInvalid as error:
        raise DeviceNameInvalid(device=directory, reason=str(error.fields["reason"])) from None
    if directory.startswith("."):
        raise DeviceNameInvalid(device=directory, reason="it begins with a dot")
    return directory


def prove_directory(storage: Storage, device: str, identity: MachineIdentity, adopt: bool) -> Optional[MachineIdentity]:
    """Prove that the directory belongs to this machine or to none, and return its owner; changes nothing.

    :raises DeviceNameCollision: when another directory has the same name to a Windows share.
    :raises DeviceMismatch: when it belongs to another machine and ``adopt`` is false.
    """
    refuse_twins(storage, device)
    try:
        stored = stored_identity(storage, device)
    except DeviceMismatch:
        if not adopt:
            raise
        return MachineIdentity("", "")  # a damaged document; the yes covers that, too
    known = stored is not None and (stored.is_known or identity.is_known)
    if stored is not None and known and not adopt and not stored.same_machine(identity):
        reason, others = _difference(stored, identity), directories_of(storage, identity, device)
        if others:
            raise DeviceSwapped(device=device, reason=reason, others=", ".join(others[:_MOST_NAMED]))
        raise DeviceMismatch(device=device, reason=reason)
    return stored


def refuse_twins(storage: Storage, device: str) -> None:
    """:raises DeviceNameCollision: when another directory has the same name to a Windows share, or on a FAT stick."""

    def is_twin(name: str) -> bool:
        # Windows shares also drop dots and spaces at the end of a name.
        return name != device and unicodedata.normalize("NFC", name).rstrip(". ").casefold() == device.casefold()

    for entry in storage.list_some("", is_twin, _MOST_TWINS):
        if entry.kind is EntryKind.DIRECTORY:
            raise DeviceNameCollision(device=device, other=entry.name)


def claim_directory(storage: Storage, device: str, identity: MachineIdentity, adopt: bool) -> None:
    """Make the directory this machine's, or prove that it is. Raises what :func:`prove_directory` does."""
    path = "%s/%s" % (device, fmt.DEVICE_ID_NAME)
    stored = prove_directory(storage, device, identity, adopt)
    if stored == identity and _has_check(storage, path):
        return
    storage.make_directory(device)
    try:
        storage.put(path, [_owned(device, identity)], replace=stored is not None)
    except StoragePermissionDenied:
        if stored != identity:
            raise  # else it stays as an earlier version wrote it
    except StorageExists:
        prove_directory(storage, device, identity, adopt)  # another machine of this name was quicker, or we were


def name_owner(storage: Storage, former: str, device: str) -> None:
    """Give the document in the directory ``device`` its name, after the directory was called ``former``."""
    path = "%s/%s" % (device, fmt.DEVICE_ID_NAME)
    try:
        identity = parse_identity(storage.get(path, 0, MAX_BYTES), former)
    except NamesAnother as error:
        if error.named == device:
            return
        raise DirectoryMoved(device=device, named=error.named) from None
    except ValueError as error:
        raise DeviceMismatch(device=device, reason="its device-id.json is not valid: %s" % error) from None
    storage.put(path, [_owned(device, identity)], replace=True)


def _owned(device: str, identity: MachineIdentity) -> bytes:
    document: Dict[str, Any] = {"format": FORMAT, "version": fmt.FORMAT_VERSION, "device": device}
    return checked.encode(dict(document, **identity._asdict()))


def stored_identity(storage: Storage, device: str) -> Optional[MachineIdentity]:
    """:raises DeviceMismatch: when the document is there but can't be used: it could belong to any machine.

    :raises StorageNameTaken: when a folder, a link or a pipe has its name.
    """
    path = "%s/%s" % (device, fmt.DEVICE_ID_NAME)
    try:
        try:
            return parse_identity(storage.get(path, 0, MAX_BYTES), device)
        except ValueError:
            storage.look_anew(path)  # a single false read does not prove damage
            return parse_identity(storage.get(path, 0, MAX_BYTES), device)
    except StorageNotFound:
        check_is_file_or_absent(storage, path)
        return None
    except NamesAnother as error:
        raise DirectoryMoved(device=device, named=error.named) from None
    except ValueError as error:
        raise DeviceMismatch(device=device, reason="its device-id.json is not valid: %s" % error) from None


def _has_check(storage: Storage, path: str) -> bool:
    """Whether an earlier version wrote the document, which had none."""
    return checked.is_checked(documents.parse(storage.get(path, 0, MAX_BYTES)))


def _difference(stored: MachineIdentity, present: MachineIdentity) -> str:
    parts: List[str] = []
    for name, label in (("smbios_uuid", "SMBIOS UUID"), ("machine_id", "machine id")):
        before, now = getattr(stored, name), getattr(present, name)
        if before != now:
            parts.append("%s %s there, %s here" % (label, before or "unknown", now or "unknown"))
    return ", ".join(parts) or "the identity of both is unknown"
