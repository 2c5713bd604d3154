# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``names.json``: the names that a device's directory had before it was renamed.

A manifest names its device and never changes, and readers refuse the images of another device: two devices of a plant
may have one password. So the images that were made under a former name are accepted only by a document in the
directory, which is written before the directory moves. Each entry is for one present name and one key, and is
authenticated with that key. The entry for unencrypted images is not authenticated: it is as weak as these images. So is
the list that a reader without the password sees.
"""

from __future__ import annotations

import contextlib
from typing import Any, Dict, FrozenSet, Iterable, List, Optional, Tuple

from ..errors import StorageNotFound
from ..names import is_valid_name
from ..storage.contract import Storage
from .format import constants as fmt
from .format import documents
from .format.keys import MasterKey
from .format.manifest import Manifest
from .records import authenticated, is_authentic

FORMAT = "plantops.imaging names"
KIND = "names"
MAX_BYTES = 256 << 10
_MAX_VALUES = 1 << 13
_MAX_ENTRIES = 256
MAX_NAMES = 64

Entry = Dict[str, Any]


def read_entries(storage: Storage, device: str) -> List[Entry]:
    """The entries of a directory that are well formed; none where the document is missing or is not one."""
    path = "%s/%s" % (device, fmt.NAMES_NAME)
    for is_again in (False, True):
        try:
            if is_again:
                storage.look_anew(path)  # a single false read does not prove damage
            return parse_entries(storage.get(path, 0, MAX_BYTES + 1))
        except StorageNotFound:
            return []
        except ValueError:
            continue
    return []


def parse_entries(data: bytes) -> List[Entry]:
    """The entries of the document ``data`` that are well formed.

    :raises ValueError: for another document.
    """
    return [entry for entry in _document(data) if isinstance(entry, dict) and _is_entry(entry)]


def _document(data: bytes) -> List[Any]:
    if len(data) > MAX_BYTES:
        raise ValueError("it is too large")
    document = documents.parse(data, _MAX_VALUES)
    entries = document.get("entries")
    if document.get("format") != FORMAT or not isinstance(entries, list) or len(entries) > _MAX_ENTRIES:
        raise ValueError("it is another document")
    return entries


def _is_entry(entry: Entry) -> bool:
    former = entry.get("former")
    if entry.get("kind") != KIND or not isinstance(former, list) or len(former) > MAX_NAMES:
        return False
    texts = [entry.get("device"), *former]
    return isinstance(entry.get("key_id"), str) and all(isinstance(one, str) and is_valid_name(one) for one in texts)


def accepted(entries: Iterable[Entry], device: str, key: Optional[MasterKey]) -> FrozenSet[str]:
    """The former names of the directory ``device``: those that ``key`` proves; without a key all that are claimed."""
    mine = [entry for entry in entries if entry["device"] == device]
    if key is not None:
        mine = [entry for entry in mine if entry["key_id"] == key.key_id and is_authentic(entry, key)]
    return frozenset(name for entry in mine for name in entry["former"])


def with_names(entries: Iterable[Entry], device: str, former: Iterable[str], key: Optional[MasterKey]) -> List[Entry]:
    """``entries`` and the one by which the directory ``device`` has the ``former`` names for the images of ``key``."""
    key_id = key.key_id if key is not None else ""
    entry: Entry = {"kind": KIND, "device": device, "former": sorted(set(former) - {device}), "key_id": key_id}
    others = [one for one in entries if (one["device"], one["key_id"]) != (device, key_id)]
    return [authenticated(entry, key), *others]


def proved(entries: Iterable[Entry], keys: Iterable[MasterKey]) -> List[Entry]:
    """Those of ``entries`` that one of ``keys`` authenticates: any account may have stored the others."""
    by_id = {key.key_id: key for key in keys}
    return [one for one in entries if one["key_id"] in by_id and is_authentic(one, by_id[one["key_id"]])]


def copied(own: List[Entry], theirs: List[Entry], device: str, key_id: str, key: Optional[MasterKey]) -> List[Entry]:
    """The entries of a copy's directory ``device``: first those by which readers accept an image of ``key_id``, so that no
    foreign entry pushes them out, then ``theirs``, which are there.

    :param key: the one of ``key_id``, where a password proved it.
    """
    mine = [one for one in own if one["device"] == device and key_id in ("", one["key_id"])]
    if key is not None:
        mine = proved(mine, [key])
    if theirs and all(one in theirs for one in mine):
        return theirs
    return fitted([*mine, *(one for one in theirs if one["device"] == device), *own, *theirs])


def fitted(entries: Iterable[Entry]) -> List[Entry]:
    """The first of ``entries``, as many as fit into one document: the least certain ones come last."""
    listed = list(entries)
    found = [one for number, one in enumerate(listed) if one not in listed[:number]]
    fits, fails = 0, len(found) + 1
    while fails - fits > 1:
        half = (fits + fails) // 2
        fits, fails = (half, fails) if _fits(found[:half]) else (fits, half)
    return found[:fits]


def _fits(entries: List[Entry]) -> bool:
    try:
        _document(encode(entries))
    except ValueError:
        return False
    return True


def encode(entries: List[Entry]) -> bytes:
    """The bytes of the document."""
    return documents.pretty({"format": FORMAT, "version": fmt.FORMAT_VERSION, "entries": entries})


class FormerNames:
    """The former names of one directory: read where an image has another name, and again where they do not prove it, since a
    single false read must not make the images another device's."""

    def __init__(self, storage: Storage, device: str) -> None:
        self._storage, self._device = storage, device
        self._entries: List[Entry] = []
        self._reads = 0

    def prove(self, name: str, key: Optional[MasterKey]) -> bool:
        """Whether the directory was called so, as far as ``key`` proves it, if there is one."""
        while name not in accepted(self._entries, self._device, key):
            if self._reads == 2:
                return False
            if self._reads:
                with contextlib.suppress(StorageNotFound):
                    self._storage.look_anew("%s/%s" % (self._device, fmt.NAMES_NAME))
            self._reads += 1
            self._entries = read_entries(self._storage, self._device)
        return True


class Misnamed:
    """The images of a directory whose names were not proved when they were read last: their numbers count anyway."""

    def __init__(self) -> None:
        self._found: Dict[str, Tuple[Manifest, bool]] = {}

    def forget(self, image: str) -> None:
        self._found.pop(image, None)

    def add(self, manifest: Manifest, is_proved: bool) -> None:
        """:param is_proved: whether the key of the image proved the manifest."""
        self._found[manifest.image] = (manifest._replace(disks=[], slots=[], files={}, changes=None), is_proved)

    def of(self, key: Optional[MasterKey]) -> List[Manifest]:
        """Those that count for a run with ``key``: what names that key was proved with it."""
        found = list(self._found.values())  # other threads may read images
        return [one for one, is_proved in found if is_proved or key is None or one.key_id != key.key_id]
