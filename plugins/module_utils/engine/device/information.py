# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Device information: the description of a machine, without values that change without cause; and its changes."""

from __future__ import annotations

import os
import platform
import re
from typing import Any, Dict, List, NamedTuple

from ..tame import one_line

VERSION = 1
_MAX_TEXT = 4096


class Change(NamedTuple):
    """One difference: where, what it was, what it is ("" for absent)."""

    path: str
    before: str
    after: str


def collect(disks: List[Dict[str, Any]], root: str = "/") -> Dict[str, Any]:
    """Return the information of this machine (Linux) with the imaged ``disks`` as the caller describes them."""
    release = dict(
        line.split("=", 1) for line in _read(root + "etc/os-release").splitlines() if "=" in line and line[0] != "#"
    )
    dmi = root + "sys/class/dmi/id/"
    interfaces = {}
    net = root + "sys/class/net"
    for name in sorted(os.listdir(net)) if os.path.isdir(net) else []:
        if os.path.exists("%s/%s/device" % (net, name)):
            interfaces[name] = _read("%s/%s/address" % (net, name))
    return {
        "version": VERSION,
        "operating_system": release.get("PRETTY_NAME", "").strip('"'),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "firmware": "uefi" if os.path.isdir(root + "sys/firmware/efi") else "bios",
        "vendor": _read(dmi + "sys_vendor"),
        "product": _read(dmi + "product_name"),
        "serial": _read(dmi + "product_serial"),
        "processors": os.cpu_count() or 0,
        "memory_mib": _memory_mib(root),
        "interfaces": interfaces,
        "disks": {str(disk.get("name", number)): disk for number, disk in enumerate(disks)},
    }


def compare(before: Dict[str, Any], after: Dict[str, Any]) -> List[Change]:
    """Return what differs, by path, in order."""
    old, new = _flatten(before), _flatten(after)
    return [
        Change(path, old.get(path, ""), new.get(path, ""))
        for path in sorted(set(old) | set(new))
        if old.get(path) != new.get(path)
    ]


def render(information: Dict[str, Any]) -> str:
    """One ``path: value`` a line, sorted: for Ansible's diff."""
    lines = ("%s: %s" % item for item in sorted(_flatten(information).items()))
    return "".join(one_line(line) + "\n" for line in lines)


def _flatten(value: Any, path: str = "") -> Dict[str, str]:
    if isinstance(value, dict):
        children = [("%s.%s" % (path, key) if path else str(key), child) for key, child in value.items()]
    elif isinstance(value, list):
        children = [("%s[%d]" % (path, number), child) for number, child in enumerate(value)]
    else:
        return {path: str(value)}
    result: Dict[str, str] = {}
    for child_path, child in children:
        result.update(_flatten(child, child_path))
    return result


def _memory_mib(root: str) -> int:
    for line in _read(root + "proc/meminfo").splitlines():
        found = re.fullmatch(r"MemTotal:\s*([0-9]{1,18}) kB", line.strip())
        if found:
            return int(found.group(1)) // 1024
    return 0


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_MAX_TEXT).strip()
    except OSError:
        return ""
