# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mirrors the status to the storage, so that one look there follows many devices. Best effort: the image comes first."""

from __future__ import annotations

import contextlib
import threading
import traceback
from typing import Any, Callable, Dict, Optional

from ..errors import EngineError, StoragePermissionDenied
from ..image.format import constants as fmt
from ..image.format import documents
from ..storage.contract import Storage
from ..storage.open import open_storage
from ..verbs.request import Request

MIRROR_NAME = fmt.RUN_STATUS_NAME
_EVERY_SECONDS = 10.0
_STOP_SECONDS = 10.0
_STORAGE_SECONDS = 5  # one attempt is not worth more: the next status comes in ten


class Mirror:
    """Writes ``<device>/run.json`` while a run lives. Start it when the run knows that the directory is this machine's and
    files in it may be replaced: else another machine's status would go, or a first one stay for ever.
    """

    def __init__(self, request: Request, snapshot: Callable[[], Dict[str, Any]], host_key: str = "") -> None:
        """``host_key``: the fingerprint that the server has shown to the run; to another server nothing is sent."""
        settings = request.storage._replace(time_limit_seconds=_STORAGE_SECONDS)
        self._settings = (settings._replace(host_key=host_key) if host_key else settings).as_mapping()
        self._device = request.device
        self._snapshot = snapshot
        self._stop = threading.Event()
        self._shown = 0
        self._thread = threading.Thread(target=self._run, name="status mirror", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Show the last status and end; waits ten seconds for a storage that does not answer, not longer."""
        self._stop.set()
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        storage: Optional[Storage] = None
        is_last = False
        while True:
            try:
                if storage is None:
                    storage = open_storage(self._settings)
                self._show(storage)
            except StoragePermissionDenied:
                break
            except EngineError:
                _close(storage)  # away or full: the next status comes
                storage = None
            except Exception:
                traceback.print_exc()
                break
            if is_last:
                break
            is_last = self._stop.wait(_EVERY_SECONDS)
        _close(storage)

    def _show(self, storage: Storage) -> None:
        status = self._snapshot()
        if status["number"] == self._shown:
            return
        storage.put("%s/%s" % (self._device, MIRROR_NAME), [documents.pretty(_short(status))], replace=True)
        self._shown = status["number"]


def _short(status: Dict[str, Any]) -> Dict[str, Any]:
    result = status.get("result")
    if isinstance(result, dict):
        facts = {name: value for name, value in result.items() if not isinstance(value, (dict, list))}
        return dict(status, result=facts)
    return status


def _close(storage: Optional[Storage]) -> None:
    if storage is not None:
        with contextlib.suppress(EngineError):
            storage.close()
