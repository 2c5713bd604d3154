# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unit files of systemd as files: which there are, how each starts, what it runs. Source: systemd.unit(5).

Neither systemd nor its generators are asked: what they make at run time changes without a change of the device.
"""

from __future__ import annotations

import hashlib
import re
from typing import Dict, List, NamedTuple, Set

from .tree import SystemTree

ADMINISTRATOR = "/etc/systemd/system"
_FOLDERS = (ADMINISTRATOR, "/usr/local/lib/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system")
_KINDS = re.compile(r".+\.(service|socket|path|timer)")
_WANTS = re.compile(r".+\.(wants|requires|upholds)")
_UNIT_BYTES = 256 << 10
_DIGEST_CHARACTERS = 16
_MOST_DROP_INS = 100
Settings = Dict[str, List[str]]


class Unit(NamedTuple):
    """A unit. ``start`` is enabled, disabled, static (started by other units alone) or masked."""

    name: str
    start: str
    settings: Settings  # "Service.ExecStart" -> values
    drop_ins: List[str]  # of the administrator
    local: str  # a digest of what the administrator wrote, "" for a unit as its package has it

    def values(self, setting: str) -> List[str]:
        return self.settings.get(setting, [])


def read_units(tree: SystemTree, kinds: Set[str]) -> List[Unit]:
    """Return the units of the kinds, sorted: those with a file, and instances of templates that are enabled."""
    return _Reader(tree, kinds).read()


class _Reader:
    def __init__(self, tree: SystemTree, kinds: Set[str]) -> None:
        self._tree = tree
        self._kinds = kinds
        self._places: Dict[str, str] = {}  # name -> the file that counts
        self._enabled: Set[str] = set()
        self._drop_ins: Dict[str, List[str]] = {}

    def read(self) -> List[Unit]:
        for folder in _FOLDERS:
            self._look(folder)
        instances = {name for name in self._enabled if self._template_of(name) in self._places}
        names = sorted(set(self._places) | instances)
        return [self._unit(name) for name in names if self._is_wanted(name) and not name.split(".")[0].endswith("@")]

    def _is_wanted(self, name: str) -> bool:
        match = _KINDS.fullmatch(name)
        return match is not None and match.group(1) in self._kinds

    def _look(self, folder: str) -> None:
        for name in self._tree.names(folder):
            place = "%s/%s" % (folder, name)
            if folder == ADMINISTRATOR and _WANTS.fullmatch(name):
                self._enabled.update(self._tree.names(place))
            elif folder == ADMINISTRATOR and name.endswith(".d"):
                found = [one for one in self._tree.names(place) if one.endswith(".conf")]
                self._drop_ins[name[: -len(".d")]] = found[:_MOST_DROP_INS]
            elif _KINDS.fullmatch(name) and name not in self._places:
                self._add(folder, place, name)

    def _add(self, folder: str, place: str, name: str) -> None:
        target = self._tree.link(place)
        other = target.rpartition("/")[2]
        if target and other != name and other != "null":  # an alias
            if folder == ADMINISTRATOR:
                self._enabled.add(other)
            return
        self._places[name] = place

    def _template_of(self, name: str) -> str:
        before, at, after = name.partition("@")
        return "%s@.%s" % (before, after.rpartition(".")[2]) if at else ""

    def _unit(self, name: str) -> Unit:
        place = self._places.get(name) or self._places[self._template_of(name)]
        drop_ins = [*self._drop_ins.get(name, []), *self._drop_ins.get(self._template_of(name), [])]
        if self._tree.link(place) == "/dev/null":
            return Unit(name, "masked", {}, drop_ins, "")
        text = self._tree.text(place, _UNIT_BYTES)
        is_local = place.startswith(ADMINISTRATOR) and not self._tree.link(place)
        written = [text] if is_local else []
        written += [self._tree.text("%s/%s.d/%s" % (ADMINISTRATOR, name, one), _UNIT_BYTES) for one in drop_ins]
        settings = parse_unit("\n".join([text, *written[is_local:]]))
        if not text.strip():
            start = "masked"
        elif name in self._enabled:
            start = "enabled"
        else:
            start = "disabled" if any(one.startswith("Install.") for one in settings) else "static"
        return Unit(name, start, settings, drop_ins, _digest(written))


def parse_unit(text: str) -> Settings:
    """Return the values of each setting as "Section.Name"; an empty value resets those before it."""
    found: Settings = {}
    section, lines = "", text.replace("\\\n", " ").split("\n")
    for line in lines:
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif "=" in line and line[0] not in "#;":
            name, dummy, value = line.partition("=")
            key = "%s.%s" % (section, name.strip())
            if value.strip():
                found.setdefault(key, []).append(value.strip())
            else:
                found[key] = []
    return found


def _digest(texts: List[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8")).hexdigest()[:_DIGEST_CHARACTERS] if texts else ""
