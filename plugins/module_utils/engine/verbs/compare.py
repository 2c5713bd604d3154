# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``compare``: two images of a device, or an image and a device document."""

from __future__ import annotations

from typing import Any, Dict, Optional

from ..device.compare import words
from ..device.compare.compare import compare, nothing
from ..device.compare.earlier import document_of
from ..device.compare.ignore import Ignored
from ..errors import DeviceDocumentInvalid
from ..storage.contract import Storage
from .device_documents import HeldInformation, baseline_of, image_before, read_information
from .request import BASELINE, PREVIOUS
from .request_device import CompareRequest
from .run_status import RunStatus


def compare_documents(storage: Storage, request: CompareRequest, status: RunStatus) -> Dict[str, Any]:
    """Return the differences; images stay as they are.

    :raises EngineError: ``ImageNotFound``, ``Password*``, ``DeviceDocument*``.
    """
    if request.document is not None:
        held = read_information(storage, request.device, request.passwords, request.image, request.job)
        return _told(held, held.image, _given(request.document), request, after_image=None)
    later = read_information(storage, request.device, request.passwords, request.image, request.job)
    earlier = _earlier(storage, request, later, status)
    if earlier is None:
        which = "is pinned and readable" if request.against == BASELINE else "was made before it"
        status.warn("The image %s was not compared: no other image of its job %s." % (later.image, which))
        return {"changed": False, "image": later.image, "comparison": nothing(), "diff": {"before": "", "after": ""}}
    return _told(earlier, earlier.image, document_of(later.information), request, after_image=later.image)


def _earlier(
    storage: Storage, request: CompareRequest, later: HeldInformation, status: RunStatus
) -> Optional[HeldInformation]:
    if request.against == BASELINE:
        return baseline_of(storage, request.device, request.passwords, later.job, status.warn)
    name: Optional[str] = request.against
    if name == PREVIOUS:
        name = image_before(storage, request.device, later.image, later.job, status.warn)
    return read_information(storage, request.device, request.passwords, name) if name else None


def _told(
    earlier: HeldInformation, against: str, after: Dict[str, Any], request: CompareRequest, after_image: Optional[str]
) -> Dict[str, Any]:
    before = document_of(earlier.information)
    # An image also says which disks its drives were; a device on its own does not.
    if after_image is None:
        before["sections"] = {name: items for name, items in before["sections"].items() if name != "drives"}
    comparison = compare(before, after, against, Ignored(request.compare_ignore))
    return {"changed": False, "image": after_image, "comparison": comparison, "diff": words.diff(comparison)}


def _given(document: Dict[str, Any]) -> Dict[str, Any]:
    if not isinstance(document.get("sections"), dict):
        raise DeviceDocumentInvalid(reason="it has no sections")
    found = document_of(document)
    found["sections"] = {name: items for name, items in found["sections"].items() if name != "drives"}
    return found
