# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares two versions of an archive: their disks, the changed bytes, the description of the device."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from ..device.compare import words
from ..device.compare.compare import compare
from ..device.compare.earlier import document_of
from ..image.archive.changes import compare_disks
from ..image.archive.find import find_version, number_of
from ..image.archive.version_record import Version
from ..image.device_directory import DeviceDirectory
from ..image.format import constants as fmt
from ..image.format import documents
from ..image.format.manifest import Manifest
from ..image.reader import ImageReader
from ..storage.contract import Storage
from ..tame import one_line
from .request_archive import ArchiveRequest


def compare_versions(target: Storage, request: ArchiveRequest) -> Dict[str, Any]:
    """Say how two versions differ; without the password of encrypted images no byte of them can be compared.

    :raises ArchiveError: when one of them is not there, or not what was checked in.
    :raises PasswordMissing, PasswordWrong: see :class:`ImageReader`.
    """
    one, other = (_open(target, request, name) for name in request.versions)
    comparison = compare(_information(one[1]), _information(other[1]), one[0].image)
    sides = words.diff(comparison)
    disks = [disk.as_dict() for disk in compare_disks(one[1], other[1])]
    known = [disk["changed_bytes"] for disk in disks]
    return {
        "changed": False,
        "device": request.device,
        "archive": target.description,
        "versions": [_told(*one), _told(*other)],
        "disks": disks,
        "changed_bytes": None if None in known else sum(known),
        "comparison": comparison,
        "device_changes": words.changes(comparison),
        "sections": sorted(comparison["sections"]),
        "diff": {"before": _text(*one) + sides["before"], "after": _text(*other) + sides["after"]},
    }


def _open(target: Storage, request: ArchiveRequest, name: str) -> Tuple[Version, ImageReader]:
    directory, password = DeviceDirectory(target, request.device), request.passwords.password
    version = find_version(directory, number_of(name) or 0, password).version
    return version, ImageReader(target, request.device, version.image, password)


def _information(reader: ImageReader) -> Dict[str, Any]:
    """The description of the device; an empty one where it can't be parsed, which verify reports."""
    try:
        return document_of(documents.parse(reader.document(fmt.DEVICE_INFORMATION_NAME)))
    except ValueError:
        return {}


def _told(version: Version, reader: ImageReader) -> Dict[str, Any]:
    return dict(_facts(version, reader.manifest), version=version.number)


def _facts(version: Version, manifest: Manifest) -> Dict[str, Any]:
    return {
        "image": version.image,
        "comment": version.comment,
        "author": version.author,
        "checked_in": version.checked_in,
        "job": manifest.job,
        "snapshot": manifest.snapshot,
        "encrypted": bool(manifest.key_id),
        "size_bytes": manifest.size_bytes,
        "in_use_bytes": manifest.in_use_bytes,
        "pack_bytes": manifest.pack_bytes,
    }


def _text(version: Version, reader: ImageReader) -> str:
    lines: List[str] = ["%s: %s" % item for item in sorted(_facts(version, reader.manifest).items())]
    return "".join(one_line(line) + "\n" for line in lines)
