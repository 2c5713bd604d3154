# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records: facts added about a committed image, each in a file named by its kind and its own hash.

An account that may only create files can add any record. So a record that steers what a holder of the password decides
carries an authentication under the key, and nothing can be taken back by adding a record: a pin ends when its file is
deleted. Kinds that keep an image (pinned, archived) count by the names of their files, not by their content: that errs
on the side of the image. A foreign file in the place of an image's directory of records is moved aside by an account
that may rename.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from ..entries import Entry, EntryKind
from ..errors import (
    RecordRefused,
    StorageError,
    StorageExists,
    StorageFailed,
    StorageNotFound,
    StoragePermissionDenied,
    StorageUnreachable,
)
from ..moments import MOMENT
from ..storage.shared_connect import together
from .device_paths import DevicePlace
from .format import constants as fmt
from .format import documents
from .format.keys import MasterKey

RECORD_NAME = re.compile(r"([a-z]{1,32})-([0-9a-f]{64})\.json")
ASIDE_NAME = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d\.[0-9a-f]{8}\.aside", re.ASCII)
PINNED, UNPINNED, ARCHIVED, VERIFIED = "pinned", "unpinned", "archived", "verified"
AUTHENTICATION, VERIFIED_AT, AUTHOR, GOOD_SINCE = "authentication", "verified_at", "author", "good_since"
_KEEPS = (PINNED, ARCHIVED)
_MAX_WORD = 16
_MAX_AUTHOR = 200
_ROUNDS = 100  # of listings while pins are deleted


class Record(NamedTuple):
    """The checked content of a record. ``is_authentic``: a holder of the key wrote it; ``None`` without a key to check
    it."""

    kind: str
    level: str
    ok: Optional[bool]
    has_false_index: bool
    is_authentic: Optional[bool]
    verified_at: str = ""  # UTC; "" in records of release 0.1.0
    author: str = ""
    good_since: str = ""  # UTC; the first of the verifications that found it intact without a failure in between

    @property
    def is_believed(self) -> bool:
        """Whether it may steer anything: where there is a key only what a holder of it wrote."""
        return self.is_authentic is not False


class Kept(NamedTuple):
    """The meaning of the names of an image's records: why it must stay, and whether they could be listed at all."""

    is_pinned: bool = False
    is_archived: bool = False
    is_readable: bool = True

    @property
    def reason(self) -> str:
        if not self.is_readable:
            return "its records are unreadable, and it may be pinned"
        return "it is pinned" if self.is_pinned else "it is archived" if self.is_archived else ""


def kept(directory: DevicePlace, image: str) -> Kept:
    """Say whether an image must stay. No record is read."""
    try:
        listed = _listed(directory, image, fmt.MAX_RECORDS_LISTED, _KEEPS)
        kinds = {name.partition("-")[0] for name in _files(listed)}
        # A crowd of directories under such names may hide a pin, and so may a link that leads nowhere at the moment.
        is_readable = bool(kinds) or not (len(listed) >= fmt.MAX_RECORDS_LISTED or _is_link(directory, image))
    except StorageUnreachable:
        raise
    except StorageError:
        return Kept(is_readable=False)
    return Kept(PINNED in kinds, ARCHIVED in kinds, is_readable)


def _is_link(directory: DevicePlace, image: str) -> bool:
    try:
        return directory.storage.stat(directory.path(fmt.RECORDS, image)).kind is EntryKind.OTHER
    except StorageNotFound:
        return False


def kept_of(directory: DevicePlace, images: List[str]) -> List[Kept]:
    """The same for each of ``images``; only where there are any records is their directory listed."""
    wanted = set(images)
    try:
        listed = directory.listed(directory.path(fmt.RECORDS), lambda name: name in wanted)
    except StorageUnreachable:
        raise
    except StorageError:
        return [Kept(is_readable=False) for dummy in images]
    there = {entry.name for entry in listed if entry.kind is not EntryKind.FILE}
    return together(directory.storage, lambda image: kept(directory, image) if image in there else Kept(), images)


def read_of(directory: DevicePlace, images: List[str], key: Optional[MasterKey] = None) -> List[List[Record]]:
    """The records of each of ``images``, as far as this account may read them."""
    there = _with_records(directory, images)

    def one(image: str) -> List[Record]:
        try:
            return read(directory, image, key) if image in there else []
        except (StoragePermissionDenied, StorageFailed):
            return []  # the operator's records are not this account's to read

    return together(directory.storage, one, images)


def _with_records(directory: DevicePlace, images: List[str]) -> Set[str]:
    wanted = set(images)
    try:
        listed = directory.listed(directory.path(fmt.RECORDS), lambda name: name in wanted)
    except (StoragePermissionDenied, StorageFailed):
        return set()
    return {entry.name for entry in listed if _is_directory(entry.kind)}


def _is_directory(kind: EntryKind) -> bool:
    return kind is EntryKind.DIRECTORY


def read(directory: DevicePlace, image: str, key: Optional[MasterKey] = None) -> List[Record]:
    """Return the intact, well-formed records of an image; a damaged one counts as absent, and of too many some do.

    :raises StoragePermissionDenied: when the records are not this account's to read.
    """
    found = []
    for name in _names(directory, image, fmt.MAX_RECORDS):
        try:
            data = directory.storage.get(directory.path(fmt.RECORDS, image, name), 0, fmt.MAX_RECORD_BYTES + 1)
        except (StorageNotFound, StoragePermissionDenied):
            continue  # a rollover has just deleted this image, or only another account may read the file
        record = _parse(name, data, image, key)
        if record is not None:
            found.append(record)
    return found


def _parse(name: str, data: bytes, image: str, key: Optional[MasterKey]) -> Optional[Record]:
    match = RECORD_NAME.fullmatch(name)
    if match is None or len(data) > fmt.MAX_RECORD_BYTES or hashlib.sha256(data).hexdigest() != match.group(2):
        return None
    try:
        document = documents.parse(data, fmt.MAX_RECORD_VALUES)
    except ValueError:
        return None
    if document.get("kind") != match.group(1) or document.get("image") != image:
        return None
    level, ok = document.get("level"), document.get("ok")
    return Record(
        match.group(1),
        level[:_MAX_WORD] if isinstance(level, str) else "",
        ok if isinstance(ok, bool) else None,
        document.get("index") == "false",
        None if key is None else is_authentic(document, key),
        _moment(document.get(VERIFIED_AT)),
        printable(document.get(AUTHOR)),
        _moment(document.get(GOOD_SINCE)),
    )


def _moment(value: Any) -> str:
    return value if isinstance(value, str) and MOMENT.fullmatch(value) else ""


def printable(value: Any) -> str:
    """The name of an author as it may be stored and shown."""
    return "".join(one for one in value if one.isprintable())[:_MAX_AUTHOR] if isinstance(value, str) else ""


def is_authentic(document: Dict[str, Any], key: MasterKey) -> bool:
    """Whether a holder of the key wrote this record."""
    said = document.get(AUTHENTICATION)
    return isinstance(said, str) and hmac.compare_digest(
        said.encode("utf-8", "surrogatepass"), _mac(document, key).encode("ascii")
    )


def _mac(document: Dict[str, Any], key: MasterKey) -> str:
    body = {name: value for name, value in document.items() if name != AUTHENTICATION}
    return hmac.new(key.record_key, documents.canonical(body), hashlib.sha256).hexdigest()


def add(directory: DevicePlace, image: str, kind: str, facts: Dict[str, Any], key: Optional[MasterKey] = None) -> None:
    """Add a fact about a committed image.

    :param key: authenticates it.
    :raises StorageNotFound: when a rollover deletes the image and its records at the same time.
    """
    _store(directory, image, *_document(image, kind, facts, key))


def _document(image: str, kind: str, facts: Dict[str, Any], key: Optional[MasterKey]) -> Tuple[str, bytes]:
    """Name and bytes of a record."""
    data = sealed(dict(facts, kind=kind, image=image), key)
    return "%s-%s.json" % (kind, hashlib.sha256(data).hexdigest()), data


def authenticated(document: Dict[str, Any], key: Optional[MasterKey]) -> Dict[str, Any]:
    """A document with its authentication, where a key is given."""
    return document if key is None else dict(document, **{AUTHENTICATION: _mac(document, key)})


def sealed(document: Dict[str, Any], key: Optional[MasterKey]) -> bytes:
    """The bytes of a record, authenticated where a key is given."""
    return documents.pretty(authenticated(document, key))


def _store(directory: DevicePlace, image: str, name: str, data: bytes) -> None:
    directory.storage.make_directory(directory.path(fmt.RECORDS, image))
    try:
        directory.storage.put(directory.path(fmt.RECORDS, image, name), [data])
    except StorageExists:
        # The very same fact is there already; a directory or a link of this name is not it.
        if directory.storage.get(directory.path(fmt.RECORDS, image, name), 0, len(data) + 1) != data:
            raise


def _make_way(directory: DevicePlace, image: str, error: StorageError) -> str:
    """Move what stands in the place of an image's records aside, with all that is in it; return its new path, "" where
    nothing stands in the way.

    :raises RecordRefused: when this account may not, or a record in it must stay.
    """
    place = directory.path(fmt.RECORDS, image)
    try:
        there = directory.storage.stat(place)
    except StorageNotFound:
        return ""
    if there.kind is EntryKind.DIRECTORY:
        if not isinstance(error, StoragePermissionDenied):
            return ""
        _refuse_archived(directory, image)
    try:
        return _move_aside(directory, place)
    except (StoragePermissionDenied, StorageFailed):
        raise RecordRefused(path=place, reason=str(error).rstrip(".")) from error


def _refuse_archived(directory: DevicePlace, image: str) -> None:
    """Refuse to move records aside that keep an archived image, or that may: there they would not keep it.

    :raises RecordRefused: when one of them is seen, or a crowd of directories may hide one.
    """
    try:
        listed = _listed(directory, image, fmt.MAX_RECORDS_LISTED, (ARCHIVED,))
    except (StoragePermissionDenied, StorageFailed):
        return  # not for this account to read
    files = _files(listed)
    if not files and len(listed) < fmt.MAX_RECORDS_LISTED:
        return
    kept_by = "the record %s in it keeps the image of an archive version" % "".join(files[:1])
    if not files:
        kept_by = "%d directories archived-*.json in it may hide the record of an archive version" % len(listed)
    reason = "directories pinned-*.json in it or its permissions may hide a pin, and %s" % kept_by
    raise RecordRefused(path=directory.path(fmt.RECORDS, image), reason=reason)


def _move_aside(directory: DevicePlace, place: str) -> str:
    aside = "%s.%s.aside" % (place, secrets.token_hex(4))
    directory.storage.rename(place, aside)
    return aside


def pin(directory: DevicePlace, image: str, key: Optional[MasterKey]) -> None:
    """Pin an image; with a key by a record that is authenticated.

    :raises RecordRefused: when something stands in the place of the records that this account can't move aside.
    """
    # An engine of version 0.1.0 compares the number with those of the records by which it took pins back. The other one
    # prevents any account from creating a directory of the file's name beforehand.
    facts = {"order": fmt.MAX_NUMBER, "nonce": secrets.token_hex(8)}
    name, data = _document(image, PINNED, facts, key)
    try:
        _store(directory, image, name, data)
    except (StoragePermissionDenied, StorageExists, StorageFailed, StorageNotFound) as error:
        aside = _make_way(directory, image, error)
        if not aside:
            raise
        try:
            _store(directory, image, name, data)
        except StorageError:
            directory.storage.rename(aside, directory.path(fmt.RECORDS, image))  # it may hold a pin
            raise


def unpin(directory: DevicePlace, image: str) -> None:
    """Delete every pin of an image, and the records by which version 0.1.0 took pins back.

    :raises StoragePermissionDenied: when this account may not delete: only the operator's may.
    :raises RecordRefused: when pins are left that can't be deleted, or may be hidden, and the record of an archive
        version is among them.
    """
    place = directory.path(fmt.RECORDS, image)
    for dummy in range(_ROUNDS):
        try:
            listed = _listed(directory, image, fmt.MAX_RECORDS_LISTED, (PINNED, UNPINNED))
        except (StoragePermissionDenied, StorageFailed) as error:
            _make_way(directory, image, error)
            continue
        names = _files(listed)
        if not names and len(listed) < fmt.MAX_RECORDS_LISTED:
            return
        if names:
            together(directory.storage, lambda name: _delete(directory, "%s/%s" % (place, name)), names)
        else:
            _refuse_archived(directory, image)
            _move_aside(directory, place)  # directories under such names, so many that they may hide a pin
    raise RecordRefused(path=place, reason="other hosts recreate its pins as fast as they are deleted")


def _delete(directory: DevicePlace, path: str) -> None:
    try:
        directory.storage.delete(path)
    except StorageNotFound:
        return  # another host was quicker


def has_authentic_pin(directory: DevicePlace, image: str, key: MasterKey) -> bool:
    """Whether one of the pins of an image was made by a holder of the key."""
    for name in _names(directory, image, fmt.MAX_RECORDS, (PINNED,)):
        try:
            data = directory.storage.get(directory.path(fmt.RECORDS, image, name), 0, fmt.MAX_RECORD_BYTES + 1)
        except (StorageNotFound, StoragePermissionDenied):
            continue
        record = _parse(name, data, image, key)
        if record is not None and record.is_authentic:
            return True
    return False


def names_of(directory: DevicePlace, image: str, kind: str) -> List[str]:
    """The files of an image's records of one kind, as many as are ever read."""
    return _names(directory, image, fmt.MAX_RECORDS, (kind,))


def names(directory: DevicePlace, image: str) -> List[str]:
    """The files of an image's records, as many as are ever read."""
    return _names(directory, image, fmt.MAX_RECORDS)


def _names(directory: DevicePlace, image: str, most: int, kinds: Optional[Sequence[str]] = None) -> List[str]:
    """Names of an image's records, of some kinds or of all: at most ``most``, without other files in the directory."""
    return _files(_listed(directory, image, most, kinds))


def _files(listed: Sequence[Entry]) -> List[str]:
    return [entry.name for entry in listed if entry.kind is EntryKind.FILE]


def _listed(directory: DevicePlace, image: str, most: int, kinds: Optional[Sequence[str]] = None) -> List[Entry]:
    """The entries that have names of records, at most ``most``; an account may also create directories under such names."""

    def is_wanted(name: str) -> bool:
        match = RECORD_NAME.fullmatch(name)
        return match is not None and (kinds is None or match.group(1) in kinds)

    return directory.listed(directory.path(fmt.RECORDS, image), is_wanted, most)
