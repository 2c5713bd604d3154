# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``history``: the device document of an image becomes a commit in a Git repository of this machine."""

from __future__ import annotations

from typing import Any, Dict

from ..device.compare.earlier import document_of
from ..device.history import HistoryRepository
from ..storage.contract import Storage
from .device_documents import read_information
from .request_device import HistoryRequest
from .run_status import RunStatus


def commit_history(storage: Storage, request: HistoryRequest, dummy_status: RunStatus) -> Dict[str, Any]:
    """Commit the document unless the repository has it already; in check mode say whether it would.

    :raises EngineError: ``ImageNotFound``, ``Password*``, ``HistoryFailed``, ``GitMissing``.
    """
    repository = HistoryRepository(request.repository)
    held = read_information(storage, request.device, request.passwords, request.image, request.job)
    document = {name: value for name, value in document_of(held.information).items() if name != "partial"}
    commit = repository.commit(request.device, document, held.image, is_trial=request.check)
    return {
        "changed": commit is not None,
        "image": held.image,
        "commit": commit or "",
        "repository": request.repository,
    }
