# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The document of the run that made an image, kept in the image's directory as ``result.json``.

It is written after the commit, when the run knows how it ended: a separate file that no committed file names, sealed like
the log, because it names software and files of the device. Without it the image is complete.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from ..errors import EngineError, StorageNotFound
from ..fleet.run_result import Run, compose, encode
from ..image.device_directory import DeviceDirectory
from ..image.format import constants as fmt
from ..image.format import documents
from ..image.format.keys import MasterKey
from ..image.format.manifest import Manifest
from ..image.format.sealed_files import open_file, seal_file
from ..image.writing.image_order import ImageResult
from ..moments import moment
from ..storage.contract import Storage
from .request import ImageRequest


def keep_result(
    storage: Storage, request: ImageRequest, made: ImageResult, started: str, result: Mapping[str, Any]
) -> List[str]:
    """Store the document beside the image; return a warning where that fails, since the image is committed."""
    run = Run(request.device, "image", request.job, started, moment(), request.run)
    data = seal_file(made.key, made.image, fmt.RESULT_NAME, encode(compose(run, result)))
    path = "%s/%s/%s" % (request.device, made.image, fmt.RESULT_NAME)
    try:
        storage.put(path, [data], replace=False)
    except EngineError as error:
        return ["The image was committed, but the result of the run could not be stored beside it: %s" % error]
    return []


def kept_result(
    directory: DeviceDirectory, manifest: Manifest, key: Optional[MasterKey], warnings: List[str]
) -> Optional[Dict[str, Any]]:
    """Return the document that is kept with an image, or None if there is none or no key opens it."""
    if manifest.key_id and key is None:
        return None
    path = directory.path(manifest.image, fmt.RESULT_NAME)
    try:
        data = directory.storage.get(path, 0, fmt.MAX_DOCUMENT_BYTES + 1)
        plain = open_file(
            key if manifest.key_id else None,
            manifest.image,
            fmt.RESULT_NAME,
            data,
            most_bytes=fmt.MAX_DOCUMENT_BYTES,
        )
        return documents.parse(plain)
    except StorageNotFound:
        return None
    except (EngineError, ValueError) as error:
        warnings.append("The result that is kept with the image %s is unreadable: %s" % (manifest.image, error))
        return None
