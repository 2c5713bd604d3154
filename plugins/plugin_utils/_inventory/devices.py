# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of devices: the directory of each, which no other may have, and which every storage can hold."""

from __future__ import annotations

import unicodedata
from typing import Dict, Iterator, List, Mapping, Tuple

from ansible_collections.plantops.imaging.plugins.module_utils.engine.device.identity import device_directory
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    DeviceNameInvalid,
    DeviceNameRefused,
    DeviceNamesCollide,
    LocalhostWithoutAlias,
)

from .expressions import text_of
from .finding import Issue, issue
from .nodes import Node, Variables
from .storages import kind_of, storage_of

_LOCALHOST = ("localhost", "127.0.0.1", "::1")
_NAME, _ALIAS = "imaging_device_name", "imaging_device_alias"
Place = Tuple[str, str]  # the storage and the directory, as the strictest server tells them apart


class Devices:
    """The directories of the devices seen so far."""

    def __init__(self) -> None:
        self.places: Dict[Place, List[Tuple[str, str, Node, str]]] = {}

    def add(self, host: str, variables: Variables) -> Iterator[Issue]:
        """Remember the directories of a host, and yield why they are refused."""
        own = variables["inventory_hostname"]
        name = text_of(variables.get(_NAME, own), variables)
        alias = text_of(variables[_ALIAS], variables) if _ALIAS in variables else ""
        if name is None or alias is None:
            return
        key = _ALIAS if _ALIAS in variables and _NAME not in variables else _NAME
        node = variables.get(_NAME) or variables.get(_ALIAS) or own
        if not alias and name.lower() in _LOCALHOST:
            yield issue(LocalhostWithoutAlias(device=name), _ALIAS, variables.get(_NAME, own))
            return
        if not name:
            yield issue(DeviceNameRefused(directory=alias + "_", reason="the name of the device is empty"), _NAME, node)
            return
        try:
            directory = device_directory(alias, name)
        except DeviceNameInvalid as error:
            refused = DeviceNameRefused(directory=error.fields["device"], reason=error.fields["reason"])
            yield issue(refused, key, node)
            return
        for storage in _storages(variables):
            place = (storage, unicodedata.normalize("NFC", directory).rstrip(". ").casefold())
            self.places.setdefault(place, []).append((host, directory, node, key))

    def collisions(self) -> Iterator[Tuple[str, Issue]]:
        """Yield each device that has its directory together with another one."""
        told = set()
        for found in self.places.values():
            for host, directory, node, key in found:
                other = next((one[0] for one in found if one[0] != host), None)
                if other is not None and host not in told:
                    told.add(host)
                    yield host, issue(DeviceNamesCollide(directory=directory, other=other), key, node)


def _storages(variables: Variables) -> Iterator[str]:
    jobs = variables.get("imaging_jobs")
    own = [job.keys["storage"].keys for job in (jobs.items if jobs else ()) if "storage" in job.keys]
    seen = set()
    for storage in [storage_of(variables, "storage"), *own]:
        url = _normalised(storage, variables)
        if url and url not in seen:
            seen.add(url)
            yield url


def _normalised(storage: Mapping[str, Node], variables: Variables) -> str:
    if "url" not in storage:
        return ""
    url = text_of(storage["url"], variables) or str(storage["url"].value)
    if kind_of(url) == "directory":
        return url.replace("file://", "", 1).rstrip("/") if url.startswith("file://") else url.rstrip("/")
    return (url.casefold() if kind_of(url) == "share" else url).rstrip("/\\")
