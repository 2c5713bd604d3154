# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a version: number, comment and author of an archived image, and the hash of the version before.

It is a record of the kind ``archived`` (docs/image-format.md, section 16), so that its name alone spares the image in
every rollover, also in one of release 0.1.0. The same bytes are in ``versions/<number>`` of the archive and among the
records of the image in the storage that it was archived from: each place is a witness for the others.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Dict, NamedTuple, Optional, Pattern, Tuple

from ...moments import MOMENT
from ..device_directory import IMAGE_NAME
from ..format import constants as fmt
from ..format import documents, job_name
from ..format.keys import MasterKey
from ..records import ARCHIVED, is_authentic, sealed

NOTED = "version"  # the kind of the storage's record where its own rollover is not to spare the image
MAX_COMMENT_CHARACTERS = 1000
MAX_AUTHOR_CHARACTERS = 200
MAX_PLACE_CHARACTERS = 1000
MAX_VERSION = 999_999
VERSION_FILE = re.compile(r"(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)\.([0-9a-f]{64})\.json", re.ASCII)
_CHAIN = re.compile(r"[0-9a-f]{32}", re.ASCII)
_KEY_ID = re.compile(r"([0-9a-f]{64})?", re.ASCII)


class Version(NamedTuple):
    """A version as its record says. ``previous`` is the SHA-256 of the record before it, "" for the first."""

    image: str
    device: str
    chain: str  # random, drawn with version 1: tells archives of one device apart
    number: int
    previous_number: int
    previous: str
    manifest: str  # SHA-256 of the bytes of image.json
    key_id: str  # of the image, "" for one that is not encrypted
    job: str
    comment: str
    author: str
    checked_in: str
    place: str  # the archive, as messages name it

    @property
    def name(self) -> str:
        return "v%d" % self.number


class StoredRecord(NamedTuple):
    """A record as it is stored. ``is_authentic``: a holder of the key wrote it; ``None`` without a key that can tell."""

    version: Version
    kind: str
    sha256: str
    data: bytes
    is_authentic: Optional[bool]
    is_signed: bool  # whether it says that a holder of the key wrote it


def encode(version: Version, key: Optional[MasterKey], kind: str = ARCHIVED) -> StoredRecord:
    """Return the record of a version, authenticated with the image's key where it is known."""
    document = dict(version._asdict(), kind=kind)
    document["version"] = document.pop("number")
    document["previous_version"] = document.pop("previous_number")
    data = sealed(document, key)
    has_key = key is not None
    return StoredRecord(version, kind, hashlib.sha256(data).hexdigest(), data, has_key or None, has_key)


def decode(data: bytes, image: str, sha256: str, key: Optional[MasterKey], kind: str = ARCHIVED) -> StoredRecord:
    """Read a record that a file name says the hash and the image of.

    :raises ValueError: with a reason, when it is not the record of a version, or another one than its name says.
    """
    if len(data) > fmt.MAX_RECORD_BYTES or hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError("its content does not match its name")
    document = documents.parse(data, fmt.MAX_RECORD_VALUES)
    if document.get("kind") != kind or document.get("image") != image:
        raise ValueError("it belongs to another image")
    version = _version(document)
    known = key is not None and version.key_id == key.key_id
    proof = is_authentic(document, key) if known and key is not None else None
    return StoredRecord(version, kind, sha256, data, proof, "authentication" in document)


def _version(document: Dict[str, Any]) -> Version:
    text, number = documents.text, documents.number
    version = Version(
        image=_matching(text(document, "image", 32), "image", IMAGE_NAME),
        device=text(document, "device", 255),
        chain=_matching(text(document, "chain", 32), "chain", _CHAIN),
        number=number(document, "version", MAX_VERSION),
        previous_number=number(document, "previous_version", MAX_VERSION),
        previous=text(document, "previous", 64) and documents.digest(document, "previous"),
        manifest=documents.digest(document, "manifest"),
        key_id=_matching(text(document, "key_id", 64), "key_id", _KEY_ID),
        job=_job(text(document, "job", 64)),
        comment=checked_text(text(document, "comment", MAX_COMMENT_CHARACTERS), "comment", may_break=True),
        author=checked_text(text(document, "author", MAX_AUTHOR_CHARACTERS), "author"),
        checked_in=_matching(text(document, "checked_in", 20), "checked_in", MOMENT),
        place=text(document, "place", MAX_PLACE_CHARACTERS),
    )
    if not version.number or version.previous_number >= version.number:
        raise ValueError("its number is not above the one before it")
    if bool(version.previous) != bool(version.previous_number):
        raise ValueError("it does not name the version before it")
    return version


def _job(name: str) -> str:
    if name and job_name.why_invalid(name):
        raise ValueError("job is malformed")
    return name


def _matching(value: str, name: str, pattern: Pattern[str]) -> str:
    if not pattern.fullmatch(value):
        raise ValueError("%s is malformed" % name)
    return value


def checked_text(value: str, name: str, may_break: bool = False) -> str:
    """:raises ValueError: when a text for people holds characters that are none."""
    if not all(character.isprintable() or (may_break and character == "\n") for character in value):
        raise ValueError("%s contains control characters" % name)
    return value


def file_names(record: StoredRecord) -> Tuple[str, str]:
    """The name of the record among the versions, and among the records of its image."""
    version = "%s.%s.json" % (record.version.image, record.sha256)
    return version, "%s-%s.json" % (record.kind, record.sha256)
