# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directories of a storage that belong to one machine: under which other names it is known there.

Only asked where something is unusual: a directory that is new, or one that belongs to another machine. The answer
serves sentences alone, so an account that may not read the directories of others knows none.
"""

from __future__ import annotations

from typing import List, Optional

from ..entries import EntryKind
from ..errors import EngineError, RunCancelled, StorageError, StorageUnreachable
from ..image.format import constants as fmt
from ..names import is_valid_name
from ..storage.contract import Storage
from ..storage.shared_connect import together
from .machine_identity import MAX_BYTES, MachineIdentity, parse_identity

_MOST_DIRECTORIES = 1000


def directories_of(storage: Storage, identity: MachineIdentity, but: str) -> List[str]:
    """The names of the directories other than ``but`` that belong to the machine ``identity``, sorted."""
    if not identity.is_known:
        return []
    try:
        listed = storage.list_some("", lambda name: name != but and is_valid_name(name), _MOST_DIRECTORIES)
    except (StorageUnreachable, RunCancelled):
        raise
    except StorageError:
        return []
    names = sorted(entry.name for entry in listed if entry.kind is EntryKind.DIRECTORY and entry.name[0] != ".")
    found = together(storage, lambda name: _identity_of(storage, name), names)
    return [name for name, owner in zip(names, found) if owner is not None and owner.same_machine(identity)]


def _identity_of(storage: Storage, device: str) -> Optional[MachineIdentity]:
    try:
        return parse_identity(storage.get("%s/%s" % (device, fmt.DEVICE_ID_NAME), 0, MAX_BYTES), device)
    except (StorageUnreachable, RunCancelled):
        raise
    except (EngineError, ValueError):
        return None


def second_directory_warnings(storage: Storage, identity: MachineIdentity, device: str) -> List[str]:
    """A warning for a machine that starts the directory ``device`` although it has images under another name."""
    others = directories_of(storage, identity, device)
    if not others:
        return []
    return [
        "%s: this machine already has the directory %s in %s, and this run starts a second one. To continue there, "
        "set imaging_device_name: %s, or rename that directory with the playbook rename (imaging_rename_to)."
        % (device, ", ".join(others[:3]), storage.description, others[0])
    ]
