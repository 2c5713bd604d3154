# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the document of a request to the result of its verb: parse it, open the storage, call the verb."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict

from ..errors import EngineError
from ..storage.contract import Storage
from ..storage.open import open_storage
from ..tame import tame
from .request import (
    CopyRequest,
    ImageRequest,
    PinRequest,
    Request,
    RestoreRequest,
    RolloverRequest,
    ShortRequest,
    VerifyRequest,
    parse,
)
from .request_archive import ArchiveRequest
from .request_device import CompareRequest, HistoryRequest
from .request_listing import DevicesRequest, ListRequest
from .request_upkeep import RenameRequest, RetireRequest
from .run_status import Report, RunStatus


def run_document(document: Dict[str, Any], report: Report, cancelled: Callable[[], bool]) -> Dict[str, Any]:
    """Run the request that ``document`` makes and return its result.

    :raises EngineError: what went wrong, from the catalogue.
    """
    return run_request(parse(document), report, cancelled)


run_job = run_document  # the former name; code outside of the repository may use it


def run_request(request: Request, report: Report, cancelled: Callable[[], bool]) -> Dict[str, Any]:
    """Run the request and return its result. ``report`` gets status and warning events. Both are tamed.

    :raises EngineError: what went wrong, from the catalogue.
    """
    status = RunStatus(lambda event: report(tame(event)), cancelled)
    for key in request.unused:
        status.warn("The key %s of the request is ignored: its verb does not use it." % key)
    with open_storage(request.storage.as_mapping(), status.warn, cancelled, status.notices) as storage:
        try:
            result = call_verb(storage, request, status)
        except EngineError as error:
            from .fitting import fit

            fit(error, storage, request)
            raise
        if storage.server_key is not None:
            result["storage_host_key"] = storage.server_key.fingerprint
            result["storage_host_key_is_new"] = storage.server_key.is_new
    return dict(tame(result))


def call_verb(storage: Storage, request: Request, status: RunStatus) -> Dict[str, Any]:
    """Call the verb of the request. Each is loaded when it is asked for: a start has no use for the files of the others."""
    from .chosen_version import with_chosen_image

    request = with_chosen_image(storage, request)
    if isinstance(request, ImageRequest):
        from .image import image

        return image(storage, request, status)
    if isinstance(request, RestoreRequest):
        from .restore import restore

        return restore(storage, request, status)
    if isinstance(request, VerifyRequest):
        from .verify import verify

        return verify(storage, request, status)
    if isinstance(request, CopyRequest):
        from .copy import copy

        return copy(storage, request, status)
    if isinstance(request, ArchiveRequest):
        from .archive import archive

        return archive(storage, request, status)
    return _call_short_verb(storage, request, status)


def _call_short_verb(storage: Storage, request: ShortRequest, status: RunStatus) -> Dict[str, Any]:
    """Call a verb that reads or writes no data of an image."""
    if isinstance(request, ListRequest):
        from .list_images import list_images

        return list_images(storage, request, status)
    if isinstance(request, DevicesRequest):
        from .devices import list_devices

        return list_devices(storage, request, status)
    if isinstance(request, RolloverRequest):
        from .rollover import rollover

        return rollover(storage, request, status)
    if isinstance(request, RetireRequest):
        from .retire import retire_device

        return retire_device(storage, request, status)
    if isinstance(request, RenameRequest):
        from .rename import rename_device

        return rename_device(storage, request, status)
    if isinstance(request, PinRequest):
        from .pin import pin_image

        return pin_image(storage, request, status)
    if isinstance(request, CompareRequest):
        from .compare import compare_documents

        return compare_documents(storage, request, status)
    if isinstance(request, HistoryRequest):
        from .history import commit_history

        return commit_history(storage, request, status)
    from .storage_check import check

    return check(storage, request, status)


def to_line(event: Dict[str, Any]) -> str:
    return json.dumps(event, sort_keys=True)
