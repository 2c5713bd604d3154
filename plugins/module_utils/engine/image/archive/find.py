# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which image ``v3`` is: what its version's record says, as far as that can be trusted."""

from __future__ import annotations

import hashlib
import re
from typing import List, Optional

from ...errors import (
    ArchiveVersionAmbiguous,
    ArchiveVersionMissing,
    ArchiveVersionTampered,
    EngineError,
    ImageNotFound,
)
from ..access import openable_key
from ..device_directory import DeviceDirectory
from .chain import Chain, chain_of
from .held import read_versions
from .version_record import StoredRecord

_REFERENCE = re.compile(r"v([1-9][0-9]{0,5})", re.ASCII)


def number_of(image: str) -> Optional[int]:
    """The number in ``v3``, or ``None`` for every other way to name an image."""
    match = _REFERENCE.fullmatch(image)
    return int(match.group(1)) if match else None


def find_version(directory: DeviceDirectory, number: int, password: Optional[str]) -> StoredRecord:
    """Return the record of a version, in an archive, in the storage that it was made from, or in a copy of the image.

    :raises ArchiveVersionMissing, ArchiveVersionAmbiguous: when there is none, or not one.
    :raises ArchiveVersionTampered: when the version is not what was checked in.
    """
    key = openable_key(directory, password)
    versions = read_versions(directory, key)
    if versions.is_archive:
        record = _in_chain(directory, chain_of(versions, key is not None), number)
    else:
        found = [one.record for one in versions.held if one.record.version.number == number]
        record = _only(directory, found, number)
    prove_image(directory, record)
    return record


def _missing(directory: DeviceDirectory, number: int) -> ArchiveVersionMissing:
    return ArchiveVersionMissing(storage=directory.storage.description, device=directory.device, version="v%d" % number)


def _tampered(directory: DeviceDirectory, number: int, reason: str) -> ArchiveVersionTampered:
    return ArchiveVersionTampered(
        storage=directory.storage.description, device=directory.device, version="v%d" % number, reason=reason
    )


def _in_chain(directory: DeviceDirectory, chain: Chain, number: int) -> StoredRecord:
    for problem in chain.problems:
        if problem.number == number:
            raise _tampered(directory, number, problem.reason)
    link = chain.numbered(number)
    if link is None:
        raise _missing(directory, number)
    return link.record


def _only(directory: DeviceDirectory, found: List[StoredRecord], number: int) -> StoredRecord:
    believed = [one for one in found if one.is_authentic is not False]
    if found and not believed:
        raise _tampered(directory, number, "the password does not authenticate its record")
    if not believed:
        raise _missing(directory, number)
    images = sorted({one.version.image for one in believed})
    if len(images) > 1:
        raise ArchiveVersionAmbiguous(
            storage=directory.storage.description,
            device=directory.device,
            version="v%d" % number,
            images=", ".join(images),
        )
    return believed[0]


def prove_image(directory: DeviceDirectory, record: StoredRecord) -> None:
    """:raises ArchiveVersionTampered: when the image is not the one that was checked in."""
    reason = what_is_wrong(directory, record)
    if reason:
        raise _tampered(directory, record.version.number, reason)


def what_is_wrong(directory: DeviceDirectory, record: StoredRecord) -> str:
    """Say how the image differs from what was checked in; "" where it does not, as far as its manifest tells."""
    version = record.version
    try:
        for data, manifest, dummy_is_copy in directory.readings(version.image):
            if hashlib.sha256(data).hexdigest() == version.manifest:
                # A record that names no key, or another, is one that no password can tell to be false.
                return "" if manifest.key_id == version.key_id else "its record does not name the key of its image"
    except ImageNotFound:
        return "its image %s is missing" % version.image
    except EngineError as error:
        return "its image %s is unreadable: %s" % (version.image, str(error).rstrip("."))
    return "image.json of its image %s is not the one that was checked in" % version.image
