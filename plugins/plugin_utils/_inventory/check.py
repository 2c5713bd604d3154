# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks a whole inventory: every definition once, and every host with what holds for it."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import lru_cache
from typing import Dict, FrozenSet, Iterator, List, Optional, Set, Tuple

from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    DirectoryStorageUnderAwx,
    InventoryFileInvalid,
    InventorySourceUnread,
    JobUndefined,
    LocalhostWithoutAlias,
    OperatorUnknown,
    SettingMissing,
    SettingOfLater,
    SettingsConflict,
    SettingUnknown,
    VariablesHidden,
)
from ansible_collections.plantops.imaging.plugins.module_utils.settings.later import LATER
from ansible_collections.plantops.imaging.plugins.module_utils.settings.setting import PREFIX
from ansible_collections.plantops.imaging.plugins.module_utils.settings.table import RESULTS, SETTINGS
from ansible_collections.plantops.imaging.plugins.plugin_utils._misspelt import meant_by

from . import endless, engine_values, jobs, restores, scopes, secrets, storages, values, written
from .devices import Devices
from .expressions import text_of
from .filled_in import filled_in
from .finding import Finding, Issue, issue
from .nodes import Node, Scope, Variables
from .precedence import Hosts
from .references import everywhere
from .sources import Inventory

_BY_NAME = {setting.variable: setting for setting in SETTINGS}
_KNOWN = (*_BY_NAME, *RESULTS)
_JOB = re.compile(r"imaging_jobs\[(\d+)\]")
_NAME_LIKENESS = 0.8  # as of the role's prefix: a letter or two are wrong
# A file that was not read may still define these.
_ABSENT = (SettingMissing, JobUndefined, LocalhostWithoutAlias)
_LOCAL = ("localhost", "127.0.0.1", "::1")
# Two settings of which one makes no sense: with the other, or without it.
_EXCLUSIVE = (("imaging_copy_directory", "imaging_copy_storage"),)
_NEEDED = (
    ("imaging_password_previous", "imaging_password"),
    ("imaging_new_key", "imaging_password"),
    ("imaging_cancel", "imaging_run"),
)


def findings(inventory: Inventory, awx: bool = False) -> List[Finding]:
    """Return everything that is wrong in the inventory; ``awx`` tells that its plays run in containers."""
    found = [one.finding(host) for host, one in _unread(inventory)]
    found += [one.finding("") for one in scopes.issues(inventory)]
    hosts = Hosts(inventory)
    variables = {name: hosts.variables(name) for name in inventory.hosts}
    shared = everywhere(variables, hosts.members())
    for own in variables.values():
        own.update(shared)
    found += _of_definitions(inventory, variables)
    devices = Devices()
    operators = {text_of(one.get("imaging_operator"), one) for one in variables.values()}
    addresses = {text_of(one.get("ansible_host"), one) for one in variables.values()}
    strangers = _strangers(operators - addresses, inventory)
    for host, own in variables.items():
        if any(name.startswith(PREFIX) for name in own):
            is_unread = hosts.is_unread(host)
            told = _of_host(host, own, devices, host in operators, awx)
            found += [one.finding(host) for one in told if not (is_unread and isinstance(one.error, _ABSENT))]
            found += [one.finding(host) for one in _names(own) if not is_unread]
            found += [one.finding(host) for one in _operator(own, strangers)]
    found += [one.finding(host) for host, one in devices.collisions()]
    return sorted(set(found), key=lambda one: (one.file, one.line, one.key, one.code, one.host))


def _unread(inventory: Inventory) -> Iterator[Tuple[str, Issue]]:
    for one in inventory.unread:
        if one.broken:
            invalid = InventoryFileInvalid(file=one.file, reason=one.reason)
            yield one.host, Issue(invalid, one.key, one.file, one.line)
        else:
            yield "", Issue(InventorySourceUnread(source=one.file, reason=one.reason), "", one.file, one.line)
    for hidden in inventory.hidden:
        host = hidden.name if hidden.kind == "host" and hidden.name in inventory.hosts else ""
        error = VariablesHidden(file=hidden.file, other=hidden.other)
        yield host, Issue(error, hidden.name, hidden.file, 1)


def _definitions(inventory: Inventory) -> Iterator[Tuple[str, Node]]:
    seen: Set[int] = set()
    scopes: List[Scope] = [*inventory.groups.values(), *inventory.hosts.values()]
    for scope in scopes:
        for layer in (*scope.layers, *scope.files):
            for name, node in layer.items():
                if id(node) not in seen:
                    seen.add(id(node))
                    yield name, node


def _of_definitions(inventory: Inventory, variables: Dict[str, Variables]) -> Iterator[Finding]:
    """Check every value once where it is written, and name the hosts that it holds for."""
    users: Dict[int, List[str]] = {}
    for host, own in variables.items():
        for node in own.values():
            users.setdefault(id(node), []).append(host)
    site = _site_variables(inventory)
    for name, node in _definitions(inventory):
        for one in _of_definition(name, node, site):
            for host in users.get(id(node), [""]):
                yield one.finding(host)


def _site_variables(inventory: Inventory) -> FrozenSet[str]:
    nodes = [node for name, node in _definitions(inventory) if name == "imaging_site_variables"]
    return frozenset(str(one.value) for node in nodes for one in node.entries)


def _of_definition(name: str, node: Node, site: FrozenSet[str]) -> Iterator[Issue]:
    yield from written.issues(name, node, _is_ours(name))
    if name in _BY_NAME:
        yield from _of_value(name, node)
    else:
        meant = _meant(name, site)
        if meant and name[len(PREFIX) :] in LATER:
            yield issue(SettingOfLater(name=name), name, node)
        elif meant:
            yield issue(SettingUnknown(name=name, meant=meant), name, node)
    yield from secrets.issues({}, name, node)


def _of_value(name: str, node: Node) -> Iterator[Issue]:
    told = list(values.issues(_BY_NAME[name], node, name))
    refused = engine_values.issues(_BY_NAME[name], node, name)
    for one in told or refused:
        match = _JOB.match(one.key)
        job = node.items[int(match.group(1))].text("name") if match else ""
        yield Issue(one.error, one.key, one.file, one.line, job)


def _is_ours(name: str) -> bool:
    return name in _BY_NAME or name in secrets.OF_ANSIBLE


def _names(own: Variables) -> Iterator[Issue]:
    """Yield what is named and not there."""
    for name, node in own.items():
        if _is_ours(name):
            yield from scopes.unknown_variables(name, node, own)


@lru_cache(maxsize=4096)
def _meant(name: str, site: FrozenSet[str]) -> str:
    """Return the setting that is meant by a name. Thousands of hosts set the same names, and each search is long."""
    return meant_by(name, _KNOWN, site)


def _of_host(host: str, own: Variables, devices: Devices, is_operator: bool, awx: bool) -> Iterator[Issue]:
    for name, node in own.items():
        yield from secrets.issues(own, name, node)
        if _is_ours(name):
            yield from endless.issues(name, node, own)
    behind = {name: filled_in(own[name], own) for name in _BY_NAME.keys() & own.keys()}
    for name, node in behind.items():
        if node is not own[name]:
            yield from _of_value(name, node)
    own = {**own, **behind}
    yield from devices.add(host, own)
    yield from jobs.issues(own)
    yield from restores.issues(own)
    yield from _hooks(own)
    yield from _storages(own, is_operator, awx)
    for one, other in _EXCLUSIVE:
        if _says(own, one) and _says(own, other):
            yield _conflict(own, one, other, "an image is copied to one of them")
    for one, other in _NEEDED:
        if _says(own, one) and not _says(own, other):
            yield _conflict(own, one, other, "the other one is not set")


def _hooks(own: Variables) -> Iterator[Issue]:
    yield from scopes.hook_files("imaging_hooks", own.get("imaging_hooks"), own)
    of_jobs = own.get("imaging_jobs")
    for place, job in enumerate(of_jobs.items if of_jobs else ()):
        yield from scopes.hook_files("imaging_jobs[%d].hooks" % place, job.keys.get("hooks"), own)


def _strangers(operators: Set[Optional[str]], inventory: Inventory) -> Dict[str, str]:
    """Return the operator hosts that no inventory has, each with the host that is nearest, "" where none is.

    An inventory that a program or a plugin makes may have them. Thousands of hosts name the same one.
    """
    if any(one.hides_hosts for one in inventory.unread):
        return {}
    hosts = sorted(inventory.hosts)
    names = [name for name in operators if name and name not in inventory.hosts and name not in _LOCAL]
    return {name: next(iter(get_close_matches(name, hosts, 1, _NAME_LIKENESS)), "") for name in names}


def _operator(own: Variables, strangers: Dict[str, str]) -> Iterator[Issue]:
    """Yield that no inventory has the operator host. Ansible delegates to any name that it can reach: this is a warning."""
    node = own.get("imaging_operator")
    name = text_of(node, own)
    if node is not None and name in strangers:
        meant = "; the nearest is %s" % strangers[name] if strangers[name] else ""
        yield issue(OperatorUnknown(operator=name, meant=meant), "imaging_operator", node)


def _storages(own: Variables, is_operator: bool, awx: bool) -> Iterator[Issue]:
    storage = storages.storage_of(own, "storage")
    whole = own.get("imaging_storage")
    if _is_nothing(storage.get("url")) and not is_operator and not (whole and whole.is_open):
        node = storage.get("url") or whole or own["inventory_hostname"]
        yield issue(SettingMissing(key="imaging_storage.url"), "imaging_storage.url", node)
    yield from storages.issues(storage, own, "imaging_storage")
    operator = storages.storage_of(own, "storage_operator")
    yield from storages.issues(operator, own, "imaging_storage_operator")
    for name in ("imaging_copy_storage", "imaging_archive"):
        other = own.get(name)
        if other and other.keys:
            yield from storages.issues(other.keys, own, name)
            if _is_nothing(other.keys.get("url")):
                yield issue(SettingMissing(key=name + ".url"), name + ".url", other)
    yield from _archive(own)
    if awx:
        worker = text_of(own.get("imaging_operator"), own) if "imaging_operator" in own else "localhost"
        url = text_of({**storage, **operator}.get("url"), own)
        if worker in _LOCAL and url and storages.kind_of(url) == "directory":
            error = DirectoryStorageUnderAwx(operator=worker)
            yield issue(error, "imaging_operator", own.get("imaging_operator") or storage["url"])


def _archive(own: Variables) -> Iterator[Issue]:
    transfer = own.get("imaging_transfer")
    if transfer is not None and transfer.value == "archive" and not _says(own, "imaging_archive"):
        yield issue(SettingMissing(key="imaging_archive.url"), "imaging_transfer", transfer)


def _is_nothing(node: Optional[Node]) -> bool:
    return node is None or node.value in (None, "")


def _says(own: Variables, name: str) -> bool:
    return name in own and own[name].value not in (None, "", False, {}, [])


def _conflict(own: Variables, one: str, other: str, reason: str) -> Issue:
    return issue(SettingsConflict(key=one, other=other, reason=reason), one, own[one])
