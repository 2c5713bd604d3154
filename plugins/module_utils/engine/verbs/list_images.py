# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``list``: what images there are."""

from __future__ import annotations

from typing import Any, Dict, List

from ..errors import EngineError
from ..image import records
from ..image.access import newest_image, openable_key
from ..image.device_directory import DeviceDirectory
from ..image.format.manifest import Manifest
from ..image.newest import doubts, horizon, told_errors
from ..storage.contract import Storage
from .kept_result import kept_result
from .request import ListRequest
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
    facts = zip(records.kept_of(directory, names), records.read_of(directory, names, key))
    images = [summary(manifest, kept, read) for manifest, (kept, read) in zip(found, facts)]
    if wanted != "all":
        for one, manifest in zip(images, found):
            one["result"] = kept_result(directory, manifest, key, warnings)
    for text in warnings:
        status.warn(text)
    return {"changed": False, "images": images}


def summary(manifest: Manifest, kept: records.Kept, found: List[records.Record]) -> Dict[str, Any]:
    """The facts of ``image_info`` about an image: its manifest and its records. With a key, an unauthenticated success
    is skipped; a failure is reported."""
    verified = [one for one in found if one.kind == records.VERIFIED and (one.is_believed or one.ok is False)]
    return {
        "image": manifest.image,
        "job": manifest.job,
        "sequence": manifest.sequence,
        "created": manifest.created,
        "snapshot": manifest.snapshot,
        "encrypted": bool(manifest.key_id),
        "size_bytes": manifest.size_bytes,
        "in_use_bytes": manifest.in_use_bytes,
        "pack_bytes": manifest.pack_bytes,
        "pinned": kept.is_pinned if kept.is_readable else None,
        "disks": [disk.as_dict() for disk in manifest.disks],
        "verified": [{"level": one.level, "ok": one.ok} for one in verified],
    }
