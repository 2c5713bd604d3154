# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sections ``software`` and ``updates`` of Windows.

Sources: "Uninstall Registry Key" of the Windows Installer documentation for programs. Packages of the servicing stack are
in no page as an interface; their CurrentState is that of "DismPackageFeatureState" times 16 (7, installed: 112).
"""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, NamedTuple, Tuple

from ..items import Item, Items
from .machine import CONTROL, PROFILES
from .reading import Reader, Values

_UNINSTALL = r"Microsoft\Windows\CurrentVersion\Uninstall"
_PACKAGES = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages"
_OF_A_PERSON = re.compile(r"S-1-(?:5-21|12-1)-[\d-]+")
# "Package_for_KB123~key~amd64~~10.0.1.0"; the parts of one update have numbers or more words, and are not shown.
_UPDATE = re.compile(r"Package_for_(\w+?)~[^~]*~([^~]*)~[^~]*~([^~]*)")
_PART = re.compile(r"Package_\d+_for_|.*_(?:RTM|SP\d|GM|client|server)(?:_|$)")
_INSTALLED, _SHOWN = 112, 1
_UPDATE_KINDS = frozenset(["update", "hotfix", "security update", "service pack", "update rollup"])


class _Program(NamedTuple):
    name: str
    version: str
    publisher: str
    source: str


def read_software(reader: Reader) -> Items:
    """Return the programs that Windows lists, those of the 32-bit view by their own key, and those of each user in one item.

    The hive of a user is loaded only while that user is logged on: otherwise that item is unknown, not empty.
    """
    native = reader.values(CONTROL + r"\Session Manager\Environment").text("PROCESSOR_ARCHITECTURE").lower()
    items: Items = {}
    for root, architecture in (("SOFTWARE", native), (r"SOFTWARE\WOW6432Node", "x86")):
        found: Dict[str, List[_Program]] = {}
        for one in _programs(reader, "%s\\%s" % (root, _UNINSTALL)):
            found.setdefault(one.name, []).append(one)
        for name, several in found.items():
            key = name if architecture == native else "%s (%s)" % (name, architecture)
            items[key] = _item(several, architecture)
    for user in filter(_OF_A_PERSON.fullmatch, reader.names(PROFILES)):
        items["programs of the user %s" % user] = _of_user(reader, user)
    return items


def read_updates(reader: Reader) -> Items:
    """Return the updates of Windows that are installed, and those of programs that the list of programs names as such."""
    items: Items = {}
    for name in reader.names(_PACKAGES):
        match = None if _PART.match(name.partition("~")[0]) else _UPDATE.fullmatch(name)
        if match is None:
            continue
        values = reader.values("%s\\%s" % (_PACKAGES, name))
        if values.number("CurrentState") == _INSTALLED and values.number("Visibility") == _SHOWN:
            _add_update(items, match.group(1), match.group(3), "windows")
    for root in ("SOFTWARE", r"SOFTWARE\WOW6432Node"):
        for dummy, values in _entries(reader, "%s\\%s" % (root, _UNINSTALL)):
            if _is_update(values) and values.text("DisplayName"):
                _add_update(items, values.text("DisplayName"), values.text("DisplayVersion"), "program")
    return items


def _add_update(items: Items, name: str, version: str, source: str) -> None:
    """One item an update; where several versions are installed, with each of them."""
    known = items.setdefault(name, {"version": [], "source": source})
    known["version"] = sorted({*known["version"], version})


def _programs(reader: Reader, path: str) -> Iterator[_Program]:
    for dummy, values in _entries(reader, path):
        name = values.text("DisplayName")
        if name and values.number("SystemComponent") != 1 and not _is_update(values):
            source = "msi" if values.number("WindowsInstaller") == 1 else "installer"
            yield _Program(name, values.text("DisplayVersion"), values.text("Publisher"), source)


def _entries(reader: Reader, path: str) -> Iterator[Tuple[str, Values]]:
    for name in reader.names(path):
        yield name, reader.values("%s\\%s" % (path, name))


def _is_update(values: Values) -> bool:
    return bool(values.text("ParentKeyName")) or values.text("ReleaseType").lower() in _UPDATE_KINDS


def _item(several: List[_Program], architecture: str) -> Item:
    return {
        "version": ", ".join(sorted({one.version for one in several} - {""})),
        "publisher": ", ".join(sorted({one.publisher for one in several} - {""})),
        "architecture": architecture,
        "source": ", ".join(sorted({one.source for one in several})),
        "held": None,
    }


def _of_user(reader: Reader, user: str) -> Item:
    item: Item = dict.fromkeys(("version", "publisher", "architecture", "source", "held", "programs"))
    if not reader.names(r"USERS\%s" % user):
        return item
    found = [
        "%s %s" % (one.name, one.version)
        for root in ("Software", r"Software\WOW6432Node")
        for one in _programs(reader, r"USERS\%s\%s\%s" % (user, root, _UNINSTALL))
    ]
    return dict(item, programs=sorted(one.strip() for one in found))
