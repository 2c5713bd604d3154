# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``services``: units of systemd, services of OpenRC, scripts of System V.

It says how a service starts, not whether it runs: that changes without a change of the device.
"""

from __future__ import annotations

import re
from typing import Dict, List, Set

from .items import Items
from .masking import masked
from .tree import SystemTree
from .units import read_units

_RUNLEVELS = "/etc/runlevels"
_SCRIPTS = "/etc/init.d"
_START_LINK = re.compile(r"S\d\d(.+)")
_NOT_A_SCRIPT = frozenset(["README", "functions.sh", "rc", "rcS", "skeleton", "functions"])


def read_services(tree: SystemTree) -> Items:
    items: Items = {}
    for unit in read_units(tree, {"service", "socket", "path"}):
        items[unit.name] = {
            "start": unit.start,
            "program": masked("; ".join(unit.values("Service.ExecStart"))),
            "user": " ".join(unit.values("Service.User")[-1:]),
            "drop_ins": unit.drop_ins,
            "local_settings": unit.local,
        }
    if tree.is_folder(_RUNLEVELS):
        _open_rc(tree, items)
    elif tree.is_folder(_SCRIPTS):
        _system_v(tree, items)
    return items


def _open_rc(tree: SystemTree, items: Items) -> None:
    levels: Dict[str, List[str]] = {}
    for level in tree.names(_RUNLEVELS):
        for name in tree.names("%s/%s" % (_RUNLEVELS, level)):
            levels.setdefault(name, []).append(level)
    for name in sorted(set(_scripts(tree)) | set(levels)):
        start = "enabled" if name in levels else "disabled"
        items.setdefault(name, {"start": start, "runlevels": levels.get(name, [])})


def _system_v(tree: SystemTree, items: Items) -> None:
    """Scripts without a unit of their name, which systemd runs through a unit that it makes."""
    enabled: Set[str] = set()
    for level in "2345":
        for folder in ("/etc/rc%s.d" % level, "/etc/rc.d/rc%s.d" % level):
            matches = filter(None, (_START_LINK.fullmatch(name) for name in tree.names(folder)))
            enabled.update(match.group(1) for match in matches)
    for name in _scripts(tree):
        if name + ".service" not in items:
            items[name] = {"start": "enabled" if name in enabled else "disabled", "runlevels": []}


def _scripts(tree: SystemTree) -> List[str]:
    return [name for name in tree.names(_SCRIPTS) if name not in _NOT_A_SCRIPT and not name.startswith(".")]
