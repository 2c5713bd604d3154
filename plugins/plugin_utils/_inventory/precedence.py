# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of every host, in Ansible's order of precedence."""

from __future__ import annotations

from typing import Dict, List, Set

from .nodes import Node, Variables
from .sources import Inventory


class Hosts:
    """Which variables hold for a host, and which groups it is in."""

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self.parents: Dict[str, Set[str]] = {}
        for name, group in inventory.groups.items():
            for child in group.children:
                self.parents.setdefault(child, set()).add(name)
        self.direct: Dict[str, Set[str]] = {name: set() for name in inventory.hosts}
        for name, group in inventory.groups.items():
            for host in group.hosts:
                self.direct[host].add(name)
        self._above: Dict[str, Dict[str, int]] = {}
        self._merged: Dict[str, Variables] = {}

    def groups_of(self, host: str) -> List[str]:
        """Return the groups of a host, those that win last."""
        depth: Dict[str, int] = {"all": -1}
        for group in self.direct[host]:
            for name, level in self._with_parents(group).items():
                depth[name] = -1 if name == "all" else max(level, depth.get(name, 0))
        return sorted(depth, key=lambda name: (depth[name], self._priority(name), name))

    def members(self) -> Dict[str, List[str]]:
        """Return the hosts of each group, those of its children included."""
        found: Dict[str, List[str]] = {}
        for host in self.inventory.hosts:
            for group in self.groups_of(host):
                found.setdefault(group, []).append(host)
        return found

    def is_unread(self, host: str) -> bool:
        """Whether a file that may hold variables of a host was not read."""
        groups = (self.inventory.groups[name] for name in self.groups_of(host) if name in self.inventory.groups)
        return self.inventory.hosts[host].is_unread or any(group.is_unread for group in groups)

    def _priority(self, name: str) -> int:
        for layer in self.inventory.groups[name].layers if name in self.inventory.groups else ():
            node = layer.get("ansible_group_priority")
            if node and str(node.value).isdigit():
                return int(node.value)
        return 1

    def _with_parents(self, group: str) -> Dict[str, int]:
        """Return a group and all above it, each with how far it is from the top."""
        if group not in self._above:
            self._above[group] = {group: 0}  # where groups contain each other, which Ansible refuses
            found: Dict[str, int] = {}
            for parent in self.parents.get(group, ()):
                found.update(self._with_parents(parent))
            found[group] = 1 + max(found.values(), default=0)
            self._above[group] = found
        return self._above[group]

    def variables(self, host: str) -> Variables:
        """Return what holds for a host; the later of two values wins as a whole."""
        groups = self.groups_of(host)
        key = "\n".join(groups)
        if key not in self._merged:
            merged: Variables = {}
            known = [self.inventory.groups[name] for name in groups if name in self.inventory.groups]
            for layers in [group.layers for group in known] + [group.files for group in known]:
                for layer in layers:
                    merged.update(layer)
            self._merged[key] = merged
        own = self.inventory.hosts[host]
        found = dict(self._merged[key])
        for layer in (*own.layers, *own.files):
            found.update(layer)
        found["inventory_hostname"] = Node(host, own.file, own.line)
        return found
