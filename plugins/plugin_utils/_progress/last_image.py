# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last good image of a device that has none of this play, from the directory of results, as far as it is known there.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import datetime
import json
import os
from typing import Any, Dict, List, Optional

from ansible_collections.plantops.imaging.plugins.module_utils.engine.fleet.run_result import safe_name

from .moments import FORM

_ENDING = "-image.json"
_MOST_READ = 100  # documents of a device: those of the failures since
_MOST_BYTES = 4 << 20


class LastImages:
    """Learns from documents that this play wrote where those of earlier plays are."""

    def __init__(self) -> None:
        self._root = ""
        self._folders: Dict[str, str] = {}
        self._prefix = ""

    def learn(self, host: str, device: str, path: Any) -> None:
        """Take in where the document of a host is; one on another operator tells nothing."""
        folder = safe_name(device)
        self._folders[host] = folder
        if device.endswith("_" + host):
            self._prefix = device[: -len(host)]  # imaging_device_alias, which a plant sets for all devices
        if isinstance(path, str) and os.path.basename(os.path.dirname(path)) == folder and os.path.isfile(path):
            self._root = os.path.dirname(os.path.dirname(path))

    def words(self, host: str, now_seconds: float) -> str:
        """Return the name and age of the last image of a host, "" where neither is known."""
        if not self._root:
            return ""
        names = [self._folders[host]] if host in self._folders else [safe_name(self._prefix + host), safe_name(host)]
        for name in names:
            found = _newest(os.path.join(self._root, name))
            if found is not None:
                return "%s%s" % (found["image"], _age(str(found.get("ended")), now_seconds))
        return ""


def _newest(folder: str) -> Optional[Dict[str, Any]]:
    try:
        names: List[str] = sorted((name for name in os.listdir(folder) if name.endswith(_ENDING)), reverse=True)
    except OSError:
        return None
    documents = (_read(os.path.join(folder, name)) for name in names[:_MOST_READ])
    return next((one for one in documents if one.get("image") and isinstance(one["image"], str)), None)


def _read(path: str) -> Dict[str, Any]:
    try:
        with open(path, "rb") as file:
            document = json.loads(file.read(_MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}  # neither whole nor ours
    return document if isinstance(document, dict) else {}


def _age(moment: str, now_seconds: float) -> str:
    try:
        ended = datetime.datetime.strptime(moment, FORM).replace(tzinfo=datetime.timezone.utc).timestamp()
    except (ValueError, OverflowError):
        return ""
    hours = int(max(0.0, now_seconds - ended) // 3600)
    return ", %d h ago" % hours if hours < 48 else ", %d days ago" % (hours // 24)
