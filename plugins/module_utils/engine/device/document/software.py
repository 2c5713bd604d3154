# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``software``: packages as the databases of dpkg, rpm and apk name them, snaps and flatpaks.

Sources of the formats: deb-control(5) and dpkg(1), https://wiki.alpinelinux.org/wiki/Apk_spec (installed database).
"""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Tuple

from . import rpm
from .items import Item, Items
from .tree import SystemTree

_MOST_BYTES = 64 << 20
_DPKG = "/var/lib/dpkg"
_APK = ("/lib/apk/db/installed", "/usr/lib/apk/db/installed")
_SNAP = re.compile(r"(.+)_(x?\d+)\.snap")


def read_software(tree: SystemTree) -> Items:
    """Return each package with its version and architecture."""
    items: Items = {}
    for source, packages in (("dpkg", _dpkg(tree)), ("rpm", rpm.packages(tree)), ("apk", _apk(tree))):
        for name, versions, architecture, held in packages:
            key = name if name not in items else "%s (%s)" % (name, source)
            items[key] = _item(", ".join(versions), source, architecture, held)
    for name, version in _snaps(tree):
        items["%s (snap)" % name] = _item(version, "snap")
    for name, version in _flatpaks(tree):
        items["%s (flatpak)" % name] = _item(version, "flatpak")
    return items


def _item(version: str, source: str, architecture: str = "", held: bool = False) -> Item:
    return {"version": version, "architecture": architecture, "source": source, "held": held}


_Package = Tuple[str, List[str], str, bool]


def _dpkg(tree: SystemTree) -> Iterator[_Package]:
    """Packages that are installed; one that was removed and left its configuration is not."""
    texts = [tree.text(_DPKG + "/status", _MOST_BYTES)]
    folder = _DPKG + "/status.d"  # images without a package manager
    texts += [tree.text("%s/%s" % (folder, name)) for name in tree.names(folder) if not name.endswith(".md5sums")]
    names = ("Package", "Status", "Version", "Architecture")
    stanzas = [one for text in texts for one in _stanzas(tree, text, names, ": ")]
    native = tree.line(_DPKG + "/arch-native") or next(
        (one.get("Architecture", "") for one in stanzas if one.get("Package") == "dpkg"), ""
    )
    for one in stanzas:
        name, status, architecture = one.get("Package", ""), one.get("Status", ""), one.get("Architecture", "")
        if not name or (status and status.split()[-1] not in ("installed", "triggers-pending", "triggers-awaited")):
            continue
        is_foreign = native not in ("", architecture) and architecture not in ("", "all")
        key = "%s:%s" % (name, architecture) if is_foreign else name
        yield key, [one.get("Version", "")], architecture, status.startswith("hold")


def _apk(tree: SystemTree) -> Iterator[_Package]:
    for place in _APK:
        for one in _stanzas(tree, tree.text(place, _MOST_BYTES), ("P", "V", "A"), ":"):
            if one.get("P"):
                yield one["P"], [one.get("V", "")], one.get("A", ""), False
        if tree.exists(place):
            return


def _stanzas(tree: SystemTree, text: str, names: Tuple[str, ...], colon: str) -> Iterator[Dict[str, str]]:
    """The named fields of each stanza; those of several lines are not among them."""
    # One search of the text: a list of its lines would take two MiB more, which stay.
    wanted = re.compile(r"^(?:(%s)%s(.*)|[^\S\n]*)$" % ("|".join(names), colon), re.MULTILINE)
    found: Dict[str, str] = {}
    for match in wanted.finditer(text):
        name, value = match.groups()
        if name:
            found.setdefault(name, value.strip())
        elif found:
            tree.check_time()
            yield found
            found = {}
    if found:
        yield found


def _snaps(tree: SystemTree) -> Iterator[Tuple[str, str]]:
    """The revision in use of each snap."""
    for name in tree.names("/snap"):
        current = tree.link("/snap/%s/current" % name)
        if current:
            yield name, current
    if not tree.is_folder("/snap"):
        matches = filter(None, (_SNAP.fullmatch(name) for name in tree.names("/var/lib/snapd/snaps")))
        yield from {match.group(1): match.group(2) for match in matches}.items()


def _flatpaks(tree: SystemTree) -> Iterator[Tuple[str, str]]:
    for kind in ("app", "runtime"):
        for name in tree.names("/var/lib/flatpak/" + kind):
            active = tree.link("/var/lib/flatpak/%s/%s/current/active" % (kind, name))
            if active:
                yield name, active[:12]
