# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``SHA256SUMS`` of a copy's directory: everything outside of image folders, in the form that ``sha256sum -c`` reads.

The files inside an image's folder are in that folder's own list. Packs, key slots and records are named by their
SHA-256, so that the list is made without reading them again. Several copies may end at the same time: each checks the
directory after writing the list, and rewrites it where another copy has added files in between.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
from functools import partial
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple, TypeVar

from ...entries import EntryKind
from ...errors import (
    CopyNotProved,
    CopyTargetInvalid,
    ImageDamaged,
    StorageError,
    StorageNotFound,
    StoragePermissionDenied,
    StorageUnreachable,
)
from ...names import is_valid_name
from ...storage.contract import PARTIAL_SUFFIX, Storage
from ...storage.shared_connect import together
from .. import records
from ..device_directory import IMAGE_NAME, DeviceDirectory
from ..format import constants as fmt
from ..format import sums
from ..pack_listing import rooms
from .packs import store_file

_MOST_DEVICES = 10_000
_TRIES = 20
_FAILURES = 5  # to prove the list
_HEAD_BYTES = 64 << 10
_MOST_LIST_BYTES = 64 << 20
_DEAD_SECONDS = 600.0  # a stick may take minutes to write down the program
_DIGEST = re.compile(r"[0-9a-f]{64}")
_Found = TypeVar("_Found")


def write_directory_sums(storage: Storage, page_names: Sequence[str], program_name: str) -> bool:
    """Write the list of the files that exist now; return whether it had to be written.

    :param page_names: of the pages in each device's directory, by which the devices are known that were copied here.
    """
    changed, failures_left = False, _FAILURES
    for dummy in range(_TRIES):
        data = directory_sums(storage, page_names, program_name)
        try:
            if not store_file(storage, fmt.SUMS_NAME, data, replace=True):
                break
        except CopyNotProved:  # another copy may put its own list there before ours is read back
            failures_left -= 1
            if not failures_left:
                raise
        changed = True
    return changed


def refuse_foreign_sums(storage: Storage, page_names: Sequence[str], program_name: str) -> None:
    """Refuse a directory with a list of this name that no copy wrote: it would be replaced.

    :raises CopyTargetInvalid: when the list has lines, and none of the first ones is of a copy.
    """
    try:
        head = storage.get(fmt.SUMS_NAME, 0, _HEAD_BYTES)
    except StorageNotFound:
        return
    files = "|".join(map(re.escape, (fmt.DEVICE_ID_NAME, fmt.ENCRYPTED_NAME, fmt.NAMES_NAME, *page_names)))
    folders = "|".join(map(re.escape, (fmt.KEYS, fmt.PACKS, fmt.RECORDS)))
    line = r"[0-9a-f]{64}  (%s|[^/\n]+/(%s|(%s)/[^\n]+))\n" % (re.escape(program_name), files, folders)
    if head and not re.search("^" + line, head.decode("utf-8", "replace"), re.MULTILINE):
        raise CopyTargetInvalid(
            target=storage.description, reason="its file %s is not the list of a copy" % fmt.SUMS_NAME
        )


def changed_since_copied(storage: Storage, device: str, page_names: Sequence[str], program_name: str) -> List[str]:
    """Name pages of a device, and the program, that are not what the list of a copy says: a person follows the pages, and
    runs the program as root. The list itself is not authenticated.

    One that can't be read is named, too: any account of the storage can put an unreadable one there.
    """
    pages = ["%s/%s" % (device, name) for name in page_names]
    unread: Dict[str, StorageError] = {}
    if not any(_read(unread, page, partial(storage.exists, page), True) for page in pages):
        return []  # no copy, but a storage
    paths = [*pages, program_name]
    nothing: Dict[str, str] = {}
    expected = _read(unread, fmt.SUMS_NAME, partial(_listed, storage, paths), nothing)
    found: List[str] = []
    for path in paths if fmt.SUMS_NAME not in unread else ():
        present = _read(unread, path, partial(_digest_of, storage, path), None)
        if path not in unread and present != expected.get(path):
            reason = "is missing" if present is None else "is not the file that %s lists" % fmt.SUMS_NAME
            found.append("%s %s." % (path, reason))
    return found + ["%s can't be compared with the list of a copy: %s" % item for item in sorted(unread.items())]


def _read(unread: Dict[str, StorageError], path: str, read: Callable[[], _Found], otherwise: _Found) -> _Found:
    """Return the result of ``read``; ``otherwise``, with the error in ``unread``, where the storage refuses it.

    :raises StorageUnreachable:
    """
    try:
        return read()
    except StorageUnreachable:
        raise
    except StorageError as error:
        unread[path] = error
        return otherwise


def _digest_of(storage: Storage, path: str) -> Optional[str]:
    return dict(_of_file(storage, path)).get(path)


def _listed(storage: Storage, paths: Sequence[str]) -> Dict[str, str]:
    """The digests of some paths in the list; one that is cut off, or a line that is too long, ends it."""
    found: Dict[str, str] = {}
    with contextlib.suppress(StorageNotFound, ImageDamaged):
        for line in sums.lines(storage.read(fmt.SUMS_NAME, 0, _MOST_LIST_BYTES), fmt.SUMS_NAME):
            digest, dummy, name = line.decode("utf-8", "replace").partition("  ")
            if name in paths:
                found[name] = digest
    return found


def sweep_top(storage: Storage, names: Sequence[str], now: Callable[[], float] = time.time) -> None:
    """Remove what a killed copy left half-written of these files; other copies of one play may write theirs just now."""

    def is_partial(name: str) -> bool:
        return name.endswith(PARTIAL_SUFFIX) and any(name.startswith(one + ".") for one in names)

    for entry in storage.list_some("", is_partial, _MOST_DEVICES):
        with contextlib.suppress(StorageNotFound, StoragePermissionDenied):
            modified = storage.modified_seconds(entry.name)
            if modified is None or now() - modified >= _DEAD_SECONDS:
                storage.delete(entry.name)


def directory_sums(storage: Storage, page_names: Sequence[str], program_name: str) -> bytes:
    """The bytes of the list."""
    found = dict(_of_file(storage, program_name))
    names = storage.list_some("", lambda name: is_valid_name(name) and not name.startswith("."), _MOST_DEVICES)
    for device in sorted(entry.name for entry in names if entry.kind is EntryKind.DIRECTORY):
        if storage.list_some(device, lambda name: name in page_names, 1):
            found.update(_of_device(DeviceDirectory(storage, device), page_names))
    return "".join("%s  %s\n" % (digest, name) for name, digest in sorted(found.items())).encode("utf-8")


def _of_device(directory: DeviceDirectory, page_names: Sequence[str]) -> Dict[str, str]:
    found: Dict[str, str] = {}
    for name in (fmt.DEVICE_ID_NAME, fmt.ENCRYPTED_NAME, fmt.NAMES_NAME, *page_names):
        found.update(_of_file(directory.storage, directory.path(name)))
    for slot in directory.slot_names():
        found[directory.path(fmt.KEYS, slot)] = slot[: -len(".json")]
    for folder, entries in zip(*_pack_rooms(directory)):
        found.update({"%s/%s" % (folder, name): name for name in entries})
    for folder in rooms(directory, fmt.RECORDS, IMAGE_NAME):
        for name, digest in directory.record_names(folder.rpartition("/")[2]):
            if records.RECORD_NAME.fullmatch(name):
                found["%s/%s" % (folder, name)] = digest
    return found


def _pack_rooms(directory: DeviceDirectory) -> Tuple[List[str], List[List[str]]]:
    folders = rooms(directory, fmt.PACKS)

    def packs(folder: str) -> List[str]:
        listed = directory.listed(folder, lambda name: _DIGEST.fullmatch(name) is not None, 1 << 16)
        return [entry.name for entry in listed if entry.kind is EntryKind.FILE and entry.name[:2] == folder[-2:]]

    return folders, together(directory.storage, packs, folders)


def _of_file(storage: Storage, path: str) -> Iterator[Tuple[str, str]]:
    with contextlib.suppress(StorageNotFound):
        digest = hashlib.sha256()
        for piece in storage.read(path, 0, fmt.MAX_PACK_BYTES):
            digest.update(piece)
        yield path, digest.hexdigest()
