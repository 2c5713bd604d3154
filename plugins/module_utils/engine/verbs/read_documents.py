# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents inside an image that a person may want to read: the device's description and the log of the run."""

from __future__ import annotations

from typing import Any, Dict, List

from ..errors import DeviceDocumentUnread
from ..image.format import constants as fmt
from ..image.format import documents
from ..image.format.manifest import Manifest
from ..image.reader import ImageReader
from ..storage.contract import Storage
from .request_listing import DEVICE, LOG, ListRequest

# A result travels as one line of JSON through Ansible, which takes 8 million characters; text may need escapes.
_MOST_LOG_BYTES = 1 << 20
_MOST_DEVICE_BYTES = 2 << 20


def read_documents(storage: Storage, request: ListRequest, manifest: Manifest, warnings: List[str]) -> Dict[str, Any]:
    """``log``: lines; ``device_document``: an object. Those that the request asks for.

    :raises PasswordMissing, PasswordWrong, PasswordUnused: as for any reader of the image.
    :raises ImageDamaged: when a document is not the one that the manifest names.
    :raises DeviceDocumentUnread: when the description can't be parsed.
    """
    if not request.documents:
        return {}
    reader = ImageReader(storage, request.device, manifest.image, request.passwords.password)
    found: Dict[str, Any] = {}
    if DEVICE in request.documents:
        found["device_document"] = _device(reader, warnings)
    if LOG in request.documents:
        found["log"] = _log(reader, warnings)
    return found


def _device(reader: ImageReader, warnings: List[str]) -> Any:
    data = reader.document(fmt.DEVICE_INFORMATION_NAME)
    if len(data) > _MOST_DEVICE_BYTES:
        warnings.append(
            "%s of the image %s has %d bytes and is not returned: the limit is %d bytes."
            % (fmt.DEVICE_INFORMATION_NAME, reader.image, len(data), _MOST_DEVICE_BYTES)
        )
        return None
    try:
        return documents.parse(data)
    except ValueError as error:
        raise DeviceDocumentUnread(image=reader.image, reason=str(error)) from None


def _log(reader: ImageReader, warnings: List[str]) -> List[str]:
    data = reader.document(fmt.LOG_NAME)
    if len(data) > _MOST_LOG_BYTES:
        warnings.append(
            "%s of the image %s has %d bytes; its last %d bytes are returned."
            % (fmt.LOG_NAME, reader.image, len(data), _MOST_LOG_BYTES)
        )
        data = data[-_MOST_LOG_BYTES:].partition(b"\n")[2]
    return data.decode("utf-8", "replace").splitlines()
