# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``list``: what images there are."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from ..errors import EngineError
from ..image import records
from ..image.access import newest_image, openable_key
from ..image.archive.listing import NO_VERSIONS, VersionsOfImages, versions_of_images
from ..image.archive.version_record import NOTED, Version
from ..image.device_directory import DeviceDirectory
from ..image.format.keys import MasterKey
from ..image.format.manifest import Manifest
from ..image.newest import doubts, few, horizon, told_errors
from ..storage.contract import Storage
from .image_table import age_seconds, image_table
from .kept_result import kept_result
from .read_documents import read_documents
from .request_listing import ListRequest
from .run_status import RunStatus


def list_images(storage: Storage, request: ListRequest, status: RunStatus) -> Dict[str, Any]:
    """The images of a device. With a password, images that name its key are proved, and forged records are skipped."""
    directory = DeviceDirectory(storage, request.device)
    unreadable: Dict[str, EngineError] = {}
    wanted, password = request.image, request.passwords.password
    key = openable_key(directory, password)
    warnings: List[str] = []
    if wanted == "all":
        there = directory.images(unreadable, key)
        warnings += told_errors("The image %s is unreadable: %s", unreadable) + doubts(there, key, horizon())
        found = [manifest for manifest in there if request.job in (None, manifest.job)]
    elif wanted == "latest":
        newest = newest_image(directory, password, request.job)
        found, warnings = [newest.manifest], newest.warnings
    else:
        found = [directory.manifest(wanted, key)]
    names = [manifest.image for manifest in found]
    read = records.read_of(directory, names, key)
    versions = versions_beside(directory, read, key)
    facts = zip(found, records.kept_of(directory, names), read)
    images = [summary(*one, versions.versions.get(one[0].image), request.timestamp) for one in facts]
    if wanted != "all":
        for one, manifest in zip(images, found):
            one["result"] = kept_result(directory, manifest, key, warnings)
            one.update(read_documents(storage, request, manifest, warnings))
    warnings += few(versions.sentences)
    for text in warnings:
        status.warn(text)
    devices = [{"device": request.device, "images": images}]
    return {"changed": False, "images": images, "devices": devices, "table": image_table(devices)}


def versions_beside(
    directory: DeviceDirectory, read: List[List[records.Record]], key: Optional[MasterKey]
) -> VersionsOfImages:
    """The versions that images are. Where no record of an image says that it is one, nothing more is read."""
    is_archived = any(record.kind in (records.ARCHIVED, NOTED) for found in read for record in found)
    return versions_of_images(directory, key) if is_archived else NO_VERSIONS


def summary(
    manifest: Manifest,
    kept: records.Kept,
    found: List[records.Record],
    version: Optional[Version] = None,
    now: str = "",
) -> Dict[str, Any]:
    """The facts of ``image_info`` about an image: its manifest, its records and its version. With a key, an unauthenticated success
    is skipped; a failure is reported."""
    verified = [one for one in found if one.kind == records.VERIFIED and (one.is_believed or one.ok is False)]
    return {
        "image": manifest.image,
        "job": manifest.job,
        "sequence": manifest.sequence,
        "created": manifest.created,
        "age_seconds": age_seconds(manifest.created, now),
        "snapshot": manifest.snapshot,
        "encrypted": bool(manifest.key_id),
        "size_bytes": manifest.size_bytes,
        "in_use_bytes": manifest.in_use_bytes,
        "pack_bytes": manifest.pack_bytes,
        "pinned": kept.is_pinned if kept.is_readable else None,
        "version": version.number if version is not None else None,
        "comment": version.comment if version is not None else "",
        "author": version.author if version is not None else "",
        "checked_in": version.checked_in if version is not None else None,
        "disks": [disk.as_dict() for disk in manifest.disks],
        "verified": [
            {
                "level": one.level,
                "ok": one.ok,
                "verified_at": one.verified_at or None,
                "good_since": one.good_since or None,
                "author": one.author,
            }
            for one in sorted(verified, key=lambda one: one.verified_at)
        ],
    }
