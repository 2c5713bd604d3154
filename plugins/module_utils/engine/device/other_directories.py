# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directories of a storage that belong to one machine: under which other names it is known there.

Only asked where something is unusual: a directory that is new, or one that belongs to another machine. The answer
serves sentences alone, so an account that may not read the directories of others knows none.
"""

from __future__ import annotations

from typing import List, NamedTuple, Optional

from ..entries import EntryKind
from ..errors import EngineError, RunCancelled, StorageError, StorageUnreachable
from ..image.format import constants as fmt
from ..names import is_valid_name
from ..storage.contract import Storage
from ..storage.shared_connect import together
from .machine_identity import MAX_BYTES, MachineIdentity, NamesAnother, parse_identity

_MOST_DIRECTORIES = 1000


class _Owned(NamedTuple):
    """A directory with the machine and the device that its document names."""

    directory: str
    owner: MachineIdentity
    named: str


def directories_of(storage: Storage, identity: MachineIdentity, but: str) -> List[str]:
    """The names of the directories other than ``but`` that belong to the machine ``identity``, sorted."""
    return [one.directory for one in _owned_by(storage, identity, but) if one.named == one.directory]


def _owned_by(storage: Storage, identity: MachineIdentity, but: str) -> List[_Owned]:
    if not identity.is_known:
        return []
    try:
        listed = storage.list_some("", lambda name: name != but and is_valid_name(name), _MOST_DIRECTORIES)
    except (StorageUnreachable, RunCancelled):
        raise
    except StorageError:
        return []
    names = sorted(entry.name for entry in listed if entry.kind is EntryKind.DIRECTORY and entry.name[0] != ".")
    found = together(storage, lambda name: _owner_of(storage, name), names)
    return [one for one in found if one is not None and one.owner.same_machine(identity)]


def _owner_of(storage: Storage, directory: str) -> Optional[_Owned]:
    try:
        data = storage.get("%s/%s" % (directory, fmt.DEVICE_ID_NAME), 0, MAX_BYTES)
        return _Owned(directory, parse_identity(data, directory), directory)
    except NamesAnother as error:
        return _Owned(directory, error.owner, error.named)
    except (StorageUnreachable, RunCancelled):
        raise
    except (EngineError, ValueError):
        return None


def second_directory_warnings(storage: Storage, identity: MachineIdentity, device: str) -> List[str]:
    """A warning for a machine that starts the directory ``device`` although it has images under another name."""
    found = _owned_by(storage, identity, device)
    moved = next((one.directory for one in found if one.named == device), "")
    if moved:
        return [
            "%s: the directory %s in %s was %s before, and its renaming is not finished. This run starts a second directory %s. To "
            "continue in %s, first rename the second one with the playbook rename (imaging_rename_to: %s), then run "
            "imaging_rename_to: %s again, and set imaging_device_name: %s."
            % (device, moved, storage.description, device, device, moved, spare_name(device), moved, moved)
        ]
    others = [one.directory for one in found if one.named == one.directory]
    if not others:
        return []
    return [
        "%s: this machine already has the directory %s in %s, and this run starts a second one. To continue there, "
        "set imaging_device_name: %s, or rename that directory with the playbook rename (imaging_rename_to)."
        % (device, ", ".join(others[:3]), storage.description, others[0])
    ]


def spare_name(device: str) -> str:
    """A third name for the directory ``device``, as an example in sentences."""
    return device + "-2"
